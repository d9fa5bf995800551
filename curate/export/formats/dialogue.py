"""Conversations as dialogues of {role, content: text}, for consumers that read nothing else.

What such a dialogue has no place for makes a row unusable, with a reason that is counted: nothing is left out silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from curate.data.preference_rows import Unusable

Dict = dict[str, Any]

IMAGE = "<image>"
"""Where an image stands in the text of a dialogue; its address is in a column of its own, in the same order."""


def write_turns(
    messages: Iterable[Dict], write_calls: Callable[[Dict], list[Dict]] | None = None
) -> list[Dict]:
    """Return messages as turns {role, content: text}: reasoning between `<think>` tags, images as `<image>`.

    Args:
        messages: Messages of `curate.data.conversation.build_dicts`.
        write_calls: Makes turns of a message with calls; None: the consumer reads no calls.

    Raises:
        Unusable: A message holds what the dialogue has no place for.
    """
    turns: list[Dict] = []
    for message in messages:
        if message.get("tool_calls"):
            if write_calls is None:
                raise Unusable("calls of tools, which this consumer does not read")
            turns += write_calls(message)
        elif message["role"] == "tool" and write_calls is None:
            raise Unusable("results of tools, which this consumer does not read")
        else:
            turns.append({"role": message["role"], "content": write_content(message)})
    return turns


def write_content(message: Dict) -> str:
    """Return what a message says as one text; reasoning comes first, as open models write it."""
    content = message["content"]
    if isinstance(content, str):
        text = content
    else:
        if any(IMAGE in (part.get("text") or "") for part in content):
            raise Unusable(f"a text beside images that holds {IMAGE} itself")
        text = "\n".join(_write_part(part) for part in content)
    if message.get("reasoning_content") is not None:
        return f"<think>\n{message['reasoning_content']}\n</think>\n\n{text}"
    return text


def _write_part(part: Dict) -> str:
    if part["type"] == "text":
        return str(part["text"])
    if part["type"] == "image":
        return IMAGE
    raise Unusable(f"{part['type']}, which this consumer does not read")


def list_images(*conversations: Iterable[Dict]) -> list[str]:
    """Return the addresses of all images, in their order."""
    return [
        part["uri"]
        for messages in conversations
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "image"
    ]


def refuse_images(*conversations: Iterable[Dict]) -> None:
    """Raise where a conversation holds an image."""
    if list_images(*conversations):
        raise Unusable("images, which this consumer does not read")


def refuse_tools(row: Dict) -> None:
    """Raise where the prompt of a row has tools."""
    if row["tools"]:
        raise Unusable("tools, which this consumer does not read")


def get_only_turn(turns: Sequence[Dict]) -> Dict:
    """Return the one turn of a response; raise where it has several."""
    if len(turns) != 1:
        raise Unusable("a response of several messages, of which this consumer reads one")
    return turns[0]


def split_system(turns: Sequence[Dict]) -> tuple[str | None, list[Dict]]:
    """Return the system message in front of a prompt, if any, and the other turns.

    Raises:
        Unusable: There is one further on, which the consumer has no place for.
    """
    system, rest = None, list(turns)
    if rest and rest[0]["role"] in ("system", "developer"):
        system, rest = rest[0]["content"], rest[1:]
    if any(turn["role"] in ("system", "developer") for turn in rest):
        raise Unusable("a system message within the conversation")
    return system, rest


def refuse_broken_alternation(turns: Sequence[Dict], *, own: Sequence[str], theirs: Sequence[str]) -> None:
    """Raise where the two sides do not take turns, beginning and ending with `theirs`."""
    sides = (theirs, own)
    if len(turns) % 2 == 0 or any(turn["role"] not in sides[place % 2] for place, turn in enumerate(turns)):
        raise Unusable("turns that do not alternate between user and assistant")
