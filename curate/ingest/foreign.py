"""Fields of foreign rows: small functions that read a field or raise `RowError` with what is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from curate.config.ingest import Source
from curate.config.mapping import Fields
from curate.data.conversation import Conversation, is_text, normalize_tools, read_messages
from curate.data.preference_rows import add_images, add_system, check_media
from curate.ingest.explain import TYPE_NAMES
from curate.ingest.paths import find_value, get_column
from curate.ingest.rejection import RowError
from curate.ingest.rows import IncomingResponse, Rating, Row, Verdict
from curate.ingest.turns import read_value
from curate.records import Kind, Message, text_parts

ForeignRow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Settings of one source: the fields of its shape, and who judged where no row says so."""

    fields: Fields
    annotator: str
    kind: Kind = "imported"
    may_guess: bool = False  # that an annotator is a person, by the name of the column

    @classmethod
    def from_source(cls, source: Source, fields: Fields, name: str, kind: Kind) -> SourceSettings:
        """Put a source's settings together; `name`: of the data set; `kind`: of the shape's annotators."""
        stated = source.annotator_kind
        return cls(fields, source.annotator or name, stated or kind, may_guess=stated is None)


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
    if isinstance(value, float) and value.is_integer():  # pandas turns numbers with gaps into floats
        return str(int(value))
    if value is None or path is None:
        return None
    if check_text(value, path) == "":
        raise RowError("empty id", f"`{path}` is empty.")
    return cast(str, value)


def parse_number(value: object, place: str) -> float:
    """Parse a number, or text that is one (all that CSV has)."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:  # `contextlib.suppress` takes four times as long
            parsed = float(value)
        except (ValueError, OverflowError):
            parsed = math.nan
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
    value = read_value(value, fields.prompt or "prompt", fields, is_prompt=True)
    asked = read_messages(value, fields.prompt or "prompt")
    addition = get_text(row, fields.input) if fields.input != fields.prompt else None
    if addition:
        if not isinstance(value, str):
            reason = (
                f"`{fields.input}` is text that follows a prompt, but `{fields.prompt}` is a conversation."
            )
            raise RowError("wrong type", reason)
        asked = read_messages(f"{value}\n\n{addition}", fields.prompt or "prompt")
    history = read_value(find_value(row, fields.history), fields.history or "history", fields)
    return (*read_history(history, fields.history or "history"), *asked)


def add_context(row: ForeignRow, reading: SourceSettings, asked: Conversation) -> Conversation:
    """Add what stands in columns of their own: the system message before a prompt, the images in it."""
    fields = reading.fields
    images = find_value(row, fields.images)
    listed = images if isinstance(images, list) else [images] if images else []
    system = get_text(row, fields.system)
    return add_images(add_system(asked, system, fields.system or "system"), listed, fields.images or "images")


def collect_meta(row: ForeignRow, reading: SourceSettings) -> dict[str, Any] | None:
    """Collect what goes to `meta`: the named paths, and with "*" every column that nothing reads."""
    fields = reading.fields
    kept = {path: find_value(row, path) for path in fields.meta if path != "*"}
    if "*" in fields.meta:
        read = {get_column(path) for path in fields.list_paths().values()} | {*fields.ignore, *fields.meta}
        kept |= {name: value for name, value in row.items() if name not in read and value is not None}
    return kept or None


def build_row(
    row: ForeignRow,
    reading: SourceSettings,
    prompt: Conversation,
    responses: list[IncomingResponse],
    verdicts: Sequence[Verdict] = (),
    ratings: Sequence[Rating] = (),
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
        ratings=list(ratings),
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
