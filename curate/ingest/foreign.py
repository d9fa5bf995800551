"""Fields of foreign rows: small functions that read a field or raise `RowError` with what is wrong."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, cast, get_args

from curate.config.ingest import Fields
from curate.data.conversation import Conversation, is_text, normalize_tools, read_messages
from curate.data.preference_rows import add_images, add_system, check_media
from curate.ingest.explain import TYPE_NAMES
from curate.ingest.rejection import RowError
from curate.ingest.rows import IncomingResponse, Row, Verdict
from curate.ingest.storable import check_storable
from curate.records import Kind, Message, Outcome, Shown, text_parts

ForeignRow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Settings of one source: the fields of its shape, and who judged where no row says so."""

    fields: Fields
    annotator: str
    kind: Kind = "imported"


def find_value(row: ForeignRow, path: str | None) -> Any:
    """Return the value at a path with dots, or None. A key that itself has dots comes first."""
    if path is None:
        return None
    if path in row:
        return row[path]
    value: Any = row
    for step in path.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return value


def require_value(row: ForeignRow, path: str) -> Any:
    """Return the value at a path, or raise `RowError` where there is none."""
    value = find_value(row, path)
    if value is None:
        raise RowError("missing key", f"`{path}` is missing.")
    return value


def check_text(value: object, place: str) -> str:
    """Return a value that is text, or raise `RowError`."""
    if not isinstance(value, str):
        raise RowError("wrong type", f"`{place}` is {name_type(value)}, but should be a string.")
    return value


def get_text(row: ForeignRow, path: str | None) -> str | None:
    """Return the text at a path, or None."""
    value = find_value(row, path)
    return None if value is None or path is None else check_text(value, path)


def get_key(row: ForeignRow, path: str | None) -> str | None:
    """Return the caller's id: numbers are ids too in foreign data."""
    value = find_value(row, path)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or path is None:
        return None
    if check_text(value, path) == "":
        raise RowError("empty id", f"`{path}` is empty.")
    return cast(str, value)


def parse_number(value: object, place: str) -> float:
    """Parse a number, or text that is one (all that CSV has)."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            parsed = float(value)
            if math.isfinite(parsed):
                return parsed
    raise RowError("wrong type", f"`{place}` is {name_type(value)}, but should be a number.")


def parse_probability(value: object, place: str) -> float:
    """Parse a number between 0 and 1."""
    parsed = parse_number(value, place)
    if not 0 <= parsed <= 1:
        raise RowError("wrong value", f"`{place}` is {parsed:g}, but must be between 0 and 1.")
    return parsed


def name_type(value: object) -> str:
    """Name a value's type in the words of JSON."""
    return TYPE_NAMES.get(type(value), type(value).__name__)


def read_history(value: object, place: str) -> Conversation:
    """Read earlier turns: messages, or pairs of what was asked and answered as LLaMA-Factory writes them."""
    if not isinstance(value, list) or not any(isinstance(turn, list) for turn in value):
        return read_messages(value, place) if value else ()
    turns: list[Message] = []
    for position, pair in enumerate(value):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            reason = (
                f"`{place}[{position}]` should be a pair of texts: what was asked, and what was answered."
            )
            raise RowError("wrong type", reason)
        turns += [
            Message(role="user", content=text_parts(pair[0])),
            Message(role="assistant", content=text_parts(pair[1])),
        ]
    return tuple(turns)


def build_prompt(row: ForeignRow, reading: SourceSettings, value: object) -> Conversation:
    """Read what was asked: the value at `prompt`, after the history and with the input that belongs to it."""
    fields = reading.fields
    asked = read_messages(value, fields.prompt or "prompt")
    addition = get_text(row, fields.input) if fields.input != fields.prompt else None
    if addition:
        if not isinstance(value, str):
            reason = (
                f"`{fields.input}` is text that follows a prompt, but `{fields.prompt}` is a conversation."
            )
            raise RowError("wrong type", reason)
        asked = read_messages(f"{value}\n\n{addition}", fields.prompt or "prompt")
    return (*read_history(find_value(row, fields.history), fields.history or "history"), *asked)


def add_context(row: ForeignRow, reading: SourceSettings, asked: Conversation) -> Conversation:
    """Add what stands in columns of their own: the system message before a prompt, the images in it."""
    fields = reading.fields
    images = find_value(row, fields.images)
    listed = images if isinstance(images, list) else [images] if images else []
    system = get_text(row, fields.system)
    return add_images(add_system(asked, system, fields.system or "system"), listed, fields.images or "images")


def parse_json_cell(value: str, place: str) -> Any:
    """Parse a cell that holds JSON, in which there may be characters that its text as such does not have."""
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        raise RowError("broken JSON", f"`{place}` is text, but not valid JSON.") from None
    check_storable({place: parsed})
    return parsed


def get_annotator(row: ForeignRow, reading: SourceSettings) -> str:
    """Return who judged: as the row says, else the source's."""
    value = get_key(row, reading.fields.annotator)
    return reading.annotator if value is None else value


def get_kind(row: ForeignRow, reading: SourceSettings) -> Kind:
    """Return what the annotator is: as the row says, else the source's kind."""
    value = get_text(row, reading.fields.annotator_kind)
    if value is None:
        return reading.kind
    if value not in get_args(Kind):
        allowed = ", ".join(get_args(Kind))
        raise RowError(
            "wrong value", f"`{reading.fields.annotator_kind}` is {value!r}, but must be one of {allowed}."
        )
    return cast(Kind, value)


def parse_outcome(value: object, place: str, winners: Mapping[str, Outcome]) -> Outcome:
    """Parse who won, by the words of `winners` or our own."""
    name = str(value) if isinstance(value, str | int | float) else ""
    winner = winners.get(name, name)
    if winner not in get_args(Outcome):
        allowed = ", ".join([*winners, *get_args(Outcome)])
        raise RowError("wrong value", f"`{place}` is {value!r}, but must be one of {allowed}.")
    return cast(Outcome, winner)


def get_order(row: ForeignRow, reading: SourceSettings) -> Shown | None:
    """Return the order that the annotator saw, or None."""
    value = get_text(row, reading.fields.shown)
    if value not in (None, "ab", "ba"):
        raise RowError("wrong value", f"`{reading.fields.shown}` is {value!r}, but must be 'ab' or 'ba'.")
    return cast(Shown | None, value)


def collect_meta(row: ForeignRow, reading: SourceSettings) -> dict[str, Any] | None:
    """Collect what is kept of a row beside what is read."""
    return {path: find_value(row, path) for path in reading.fields.meta} or None


def build_row(
    row: ForeignRow,
    reading: SourceSettings,
    prompt: Conversation,
    responses: list[IncomingResponse],
    verdicts: Sequence[Verdict] = (),
) -> Row:
    """Put a row together; the columns `system` and `images` are added to the prompt."""
    asked = add_context(row, reading, prompt)
    check_media((*asked, *(message for response in responses for message in response.messages or ())))
    fields = reading.fields
    return Row(
        id=get_key(row, fields.id),
        prompt=_simplify_prompt(asked),
        responses=responses,
        reference=get_text(row, fields.reference),
        meta=collect_meta(row, reading),
        tools=normalize_tools(find_value(row, fields.tools), fields.tools or "tools"),
        verdicts=list(verdicts),
    )


def make_response(
    answer: Conversation, *, id: str | None = None, model: str | None = None
) -> IncomingResponse:
    """Return a response of messages; one plain message is its text."""
    if len(answer) == 1 and _is_plain_text(answer[0], "assistant"):
        return IncomingResponse(id=id, text=answer[0].content[0].text, model=model)
    return IncomingResponse(id=id, messages=answer, model=model)


def _simplify_prompt(prompt: Conversation) -> str | Conversation:
    """Return one user message as its text, which is the quicker way into the tables."""
    return (
        cast(str, prompt[0].content[0].text)
        if len(prompt) == 1 and _is_plain_text(prompt[0], "user")
        else prompt
    )


def _is_plain_text(message: Message, role: str) -> bool:
    """Tell whether a message is of a role and holds one text and nothing else."""
    has_more = message.name or message.tool_call_id or message.is_target is not None
    return message.role == role and len(message.content) == 1 and is_text([message]) and not has_more


def compare_scores(
    scores: Sequence[float | None], annotator: str, kind: Kind, best: Literal["high", "low"] | None = None
) -> list[Verdict]:
    """Turn scores of a row's responses into verdicts about its pairs; no verdict where one has no score.

    `best`: "low" where the lower score wins, as of ranks.
    """
    sign = -1 if best == "low" else 1
    verdicts = []
    for a, b in combinations(range(len(scores)), 2):
        first, second = scores[a], scores[b]
        if first is not None and second is not None:
            margin = sign * (first - second)
            winner: Outcome = "a" if margin > 0 else "b" if margin < 0 else "tie"
            verdicts.append(Verdict(a=a, b=b, annotator=annotator, kind=kind, winner=winner))
    return verdicts
