"""Rows of preferences: the one reader that `ingest`, `train FILE`, `evaluate`, few-shot examples and transcripts share.

A row says which of two answers is better (`chosen`, `rejected`), or how several rank (`responses`, `rankings`). Answers
are texts or messages, beside a prompt or after it: a conversation may begin with its prompt, and then the prompt is
found where messages, or turns of a transcript, stop being the same. It is never looked for inside a message: how two
texts begin in common may be part of both answers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from curate.data.conversation import (
    Conversation,
    UnreadableMessageError,
    count_common,
    normalize_tools,
    read_address,
    read_messages,
)
from curate.records import Message, Part, text_parts

NO_PROMPT = "no prompt"  # the kind of rejection by which a wrong mapping is told from single bad rows
SAME_RESPONSE = "same response twice"

_TURN = re.compile(r"\n\n(Human|Assistant):")
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A prompt with the better and the worse response to it; `tools`: JSON text of what models may call."""

    prompt: Conversation
    chosen: Conversation
    rejected: Conversation
    tools: str | None = None


@dataclass(frozen=True, slots=True)
class PreferenceRanking:
    """A prompt with N responses and their ranks, of which 1 is the best; equal ranks are ties."""

    prompt: Conversation
    responses: tuple[Conversation, ...]
    ranks: tuple[int, ...]
    tools: str | None = None


@dataclass(frozen=True, slots=True)
class PairColumns:
    """Names of the columns of a pair, for error messages."""

    prompt: str = "prompt"
    chosen: str = "chosen"
    rejected: str = "rejected"
    system: str = "system"
    images: str = "images"


def read_pair(row: Mapping[str, Any]) -> PreferencePair:
    """Read a row with the columns `chosen`, `rejected`, and where it has them `prompt`, `system`, `images`, `tools`.

    Raises:
        UnreadableMessageError: The row is no pair of two different responses to one prompt.
    """
    prompt = row.get("prompt")
    pair = split_pair(
        None if prompt is None else read_messages(prompt, "prompt"), row.get("chosen"), row.get("rejected")
    )
    asked = _add_columns(pair.prompt, row)
    pair = replace(pair, prompt=asked, tools=normalize_tools(row.get("tools")))
    check_media((*pair.prompt, *pair.chosen, *pair.rejected))
    if pair.chosen == pair.rejected:
        raise UnreadableMessageError(SAME_RESPONSE, "`chosen` and `rejected` are the same.")
    return pair


def read_ranking(row: Mapping[str, Any]) -> PreferenceRanking:
    """Read a row with the columns `prompt`, `responses` and `rankings`.

    A response is a text, messages, or an object with the key `text` or `messages`.

    Raises:
        UnreadableMessageError: The row is no ranking of different responses.
    """
    answers, ranks = row.get("responses"), row.get("rankings")
    if not isinstance(answers, list) or not isinstance(ranks, list) or len(answers) != len(ranks):
        reason = "`rankings` and `responses` should be arrays of one length."
        raise UnreadableMessageError("wrong type", reason)
    responses = tuple(read_response(answer, f"responses[{number}]") for number, answer in enumerate(answers))
    if not all(isinstance(rank, int) and not isinstance(rank, bool) and rank >= 1 for rank in ranks):
        raise UnreadableMessageError(
            "wrong value", "`rankings` holds something that is no rank of at least 1."
        )
    if len(set(responses)) < len(responses):
        raise UnreadableMessageError(SAME_RESPONSE, "Two of the `responses` are the same.")
    if len(set(ranks)) < 2:
        raise UnreadableMessageError("all tied", "All `responses` have the same rank.")
    prompt = read_context(row)
    check_media((*prompt, *(message for response in responses for message in response)))
    return PreferenceRanking(prompt, responses, tuple(ranks), normalize_tools(row.get("tools")))


def read_context(row: Mapping[str, Any]) -> Conversation:
    """Read the prompt of a row that must have one: its column `prompt`, with `system` and `images`.

    Raises:
        UnreadableMessageError: There is none, or something is wrong with it.
    """
    if row.get("prompt") is None:
        raise UnreadableMessageError("missing key", "`prompt` is missing.")
    return _add_columns(read_messages(row["prompt"], "prompt"), row)


def read_response(value: object, place: str) -> Conversation:
    """Read a response: a text, messages, or an object with the key `text` or `messages`.

    Raises:
        UnreadableMessageError: It is something else, or does not begin and end with the assistant.
    """
    if isinstance(value, Mapping) and "role" not in value and "from" not in value:
        name = "messages" if value.get("messages") is not None else "text"
        value, place = value.get(name), f"{place}.{name}"
        if value is None:
            raise UnreadableMessageError("missing key", f"`{place}` is missing.")
    answer = read_messages(value, place, role="assistant")
    check_answer(answer, place)
    return answer


def check_answer(answer: Sequence[Message], place: str) -> None:
    """Raise where messages are no response: the assistant says the first and the last of them."""
    if not answer:
        raise UnreadableMessageError("no responses", f"`{place}` is empty.")
    if answer[-1].role != "assistant":
        reason = f"`{place}` does not end with a turn of the assistant."
        raise UnreadableMessageError("no responses", reason)
    if answer[0].role != "assistant":
        reason = f"`{place}` should begin with a turn of the assistant: what comes before it belongs to the prompt."
        raise UnreadableMessageError("wrong value", reason)


def split_pair(
    prompt: Conversation | None, chosen: object, rejected: object, columns: PairColumns | None = None
) -> PreferencePair:
    """Split two answers into what they have in common, the prompt, and the two responses.

    Args:
        prompt: What was asked, where the row says so. Beside whole conversations it must be a part of them.
        chosen: The better answer: text, messages or a whole conversation.
        rejected: The worse answer, likewise.
        columns: Names for error messages.

    Raises:
        UnreadableMessageError: There is no prompt, or the answers do not answer one prompt.
    """
    names = columns or PairColumns()
    values = {names.chosen: chosen, names.rejected: rejected}
    for place, value in values.items():
        if value is None:
            raise UnreadableMessageError("missing key", f"`{place}` is missing.")
    if prompt is None and all(isinstance(value, str) for value in values.values()):
        if not all(is_transcript(str(value)) for value in values.values()):
            reason = (
                f"`{names.prompt}` is missing, and nothing says where in the texts `{names.chosen}` and "
                f"`{names.rejected}` a prompt would end."
            )
            raise UnreadableMessageError(NO_PROMPT, reason)
        turns = [parse_transcript(str(value), place) for place, value in values.items()]
    else:
        turns = [read_messages(value, place, role="assistant") for place, value in values.items()]
    for answer, place in zip(turns, values, strict=True):
        if not answer:
            raise UnreadableMessageError("no responses", f"`{place}` is empty.")
    whole = [_is_whole(answer) for answer in turns]
    if not prompt:
        # An answer as text beside a whole conversation (ms-swift) answers that conversation's prompt.
        if whole[0] and not whole[1]:
            turns[1] = (*turns[0][:-1], *turns[1])
        elif whole[1] and not whole[0]:
            turns[0] = (*turns[1][:-1], *turns[0])
    else:
        turns = [
            _add_prompt(answer, prompt, names.prompt, place)
            for answer, place in zip(turns, values, strict=True)
        ]
    common = count_common(turns)
    if common == 0 and all(_is_whole(answer) for answer in turns):
        reason = (
            f"`{names.chosen}` and `{names.rejected}` begin differently, so they do not answer one prompt."
        )
        raise UnreadableMessageError("different contexts", reason)
    if common == 0:
        raise UnreadableMessageError(NO_PROMPT, f"`{names.prompt}` is missing.")
    answers = [answer[common:] for answer in turns]
    for answer, place in zip(answers, values, strict=True):
        if answer[0].role != "assistant":
            reason = (
                f"`{names.chosen}` and `{names.rejected}` differ in a turn that is not the assistant's, "
                "so they do not answer one prompt."
            )
            raise UnreadableMessageError("different contexts", reason)
        check_answer(answer, place)
    return PreferencePair(turns[0][:common], answers[0], answers[1])


def _is_whole(messages: Sequence[Message]) -> bool:
    """Tell whether messages are a conversation from its beginning, and not an answer alone."""
    return bool(messages) and messages[0].role in ("system", "developer", "user")


def _add_prompt(turns: Conversation, prompt: Conversation, name: str, place: str) -> Conversation:
    """Put the prompt before an answer, but not before a whole conversation, which holds it already.

    Beside whole conversations, sets repeat all of the prompt, its first question or its last one, more or less
    stripped of white space.
    """
    if not _is_whole(turns):
        return (*prompt, *turns)
    rest = iter(turns[:-1])
    if all(any(_is_same_turn(message, turn) for turn in rest) for message in prompt):
        return turns
    reason = f"`{place}` is a whole conversation, but `{name}` is no part of it: one of them is about something else."
    raise UnreadableMessageError("different contexts", reason)


def _is_same_turn(one: Message, other: Message) -> bool:
    return _strip_text(one) == _strip_text(other)


def _strip_text(message: Message) -> Message:
    content = tuple(
        part if part.text is None else part.model_copy(update={"text": part.text.strip()})
        for part in message.content
    )
    return message.model_copy(update={"content": content})


# What stands beside the conversation ------------------------------------------------------------------------------


def _add_columns(prompt: Conversation, row: Mapping[str, Any]) -> Conversation:
    """Add what the columns `system` and `images` (or `image`) of a row say to its prompt."""
    images = row.get("images")
    if images in (None, []):
        images = [row["image"]] if row.get("image") else []
    if not isinstance(images, list):
        images = [images]
    return add_images(add_system(prompt, row.get("system"), "system"), images, "images")


def add_system(prompt: Conversation, system: object, place: str) -> Conversation:
    """Put a system message before a prompt that does not begin with it already.

    Raises:
        UnreadableMessageError: The prompt begins with another one.
    """
    if system is None:
        return prompt
    if not isinstance(system, str):
        raise UnreadableMessageError("wrong type", f"`{place}` should be a string.")
    if not system.strip():
        return prompt
    message = Message(role="system", content=text_parts(system))
    if not prompt or prompt[0].role != "system":
        return (message, *prompt)
    if _is_same_turn(prompt[0], message):
        return prompt
    reason = (
        f"`{place}` and the system message of the conversation differ: which of them held is not known "
        f"(`ignore: [{place}]` takes that of the conversation)."
    )
    raise UnreadableMessageError("two system messages", reason)


def add_images(prompt: Conversation, images: Sequence[object], place: str) -> Conversation:
    """Put images that stand in a column of their own where the prompt's messages leave room for them.

    Room is a part of the type `image` without an address. Where there is none, the images go before the first user
    turn; where every image of the prompt has an address already and there are as many, the column repeats them.

    Raises:
        UnreadableMessageError: There are more images than places, or fewer, or one has no address.
    """
    if not images:
        return prompt
    addresses = [read_address(image) for image in images]
    if None in addresses:
        raise UnreadableMessageError("image without address", f"`{place}` holds an image without an address.")
    parts = [Part(type="image", uri=address) for address in addresses]
    present = [part for message in prompt for part in message.content if part.type == "image"]
    holes = sum(part.uri is None for part in present)
    if not present:
        first = next((at for at, message in enumerate(prompt) if message.role == "user"), 0)
        content = (*parts, *prompt[first].content)
        return (*prompt[:first], prompt[first].model_copy(update={"content": content}), *prompt[first + 1 :])
    if holes == len(parts):
        rest = iter(parts)
        return tuple(
            message.model_copy(update={"content": tuple(_fill_holes(message.content, rest))})
            for message in prompt
        )
    if not holes and [part.uri for part in present] == addresses:
        return prompt
    reason = f"`{place}` has {len(parts)} images, but the prompt has room for {holes}."
    raise UnreadableMessageError("images do not fit", reason)


def _fill_holes(content: Sequence[Part], images: Iterator[Part]) -> Iterator[Part]:
    for part in content:
        yield next(images) if part.type == "image" and part.uri is None else part


def check_media(messages: Sequence[Message]) -> None:
    """Raise where an image, video or sound has no address."""
    for message in messages:
        for part in message.content:
            if part.type != "text" and not part.uri:
                reason = f"A message of the {message.role} holds an {part.type} without an address."
                raise UnreadableMessageError(f"{part.type} without address", reason)


def is_transcript(text: str) -> bool:
    r"""Tell whether a text is a transcript as HH-RLHF has them: `"\n\nHuman: … \n\nAssistant: …"`."""
    return bool(_TURN.match(text))


def parse_transcript(text: str, place: str) -> Conversation:
    """Read a transcript; blanks around a turn are not part of it.

    Raises:
        UnreadableMessageError: The text does not begin with a turn mark.
    """
    head, *rest = _TURN.split(text)
    if head.strip() or not rest:
        reason = f"`{place}` does not begin with a blank line and `Human:` or `Assistant:`."
        raise UnreadableMessageError("no transcript", reason)
    return tuple(
        Message.model_validate({"role": _SPEAKERS[speaker], "content": text_parts(turn.strip())})
        for speaker, turn in zip(rest[::2], rest[1::2], strict=True)
    )


# Numbers of a row -------------------------------------------------------------------------------------------------


def read_row_number(
    row: Mapping[str, Any], name: str, default: float, *, least: float = 0.0, most: float = math.inf
) -> float:
    """Read an optional number of a row.

    Raises:
        UnreadableMessageError: It is no finite number from `least` to `most`.
    """
    value = row.get(name)
    if value is None:
        return default
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not least <= value <= most:
        bounds = "" if math.isinf(least) else f" of at least {least:g}"
        bounds += "" if math.isinf(most) else f" and at most {most:g}"
        raise UnreadableMessageError("wrong value", f"`{name}` is no number{bounds}.")
    return float(value)


class Unusable(UnreadableMessageError):  # noqa: N818 (a verdict on a row, not an error)
    """Why a row is of no use, in words that rows are counted by; formats of one's own raise it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, reason)
