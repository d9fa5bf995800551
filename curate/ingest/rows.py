"""Rows as they come in, before they have ids: what every format is turned into.

These are msgspec structs: decoding JSON straight into them checks the types about ten times faster than
row-wise pydantic does. What they do not say about a sound row, `is_sound` and `is_consistent` do.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from curate.data.native import explain_contradiction
from curate.records import Kind, Outcome, Role, Shown

Key = Annotated[str, Meta(min_length=1)]


class IncomingPart(Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text", "image", "video"] = "text"
    text: str | None = None
    uri: str | None = None
    sha256: str | None = None


class IncomingMessage(Struct, forbid_unknown_fields=True):
    role: Role
    content: str | list[IncomingPart]


class IncomingResponse(Struct, forbid_unknown_fields=True, gc=False):
    """A response as it comes in. `id` is null only where a foreign format has none."""

    text: str
    id: Key | None
    model: str | None = None


class NativeResponse(IncomingResponse, forbid_unknown_fields=True, gc=False):
    text: str
    id: Key


class Verdict(Struct, forbid_unknown_fields=True, gc=False):
    """A statement of a foreign row about its own responses `a` and `b` (positions in its list)."""

    a: int
    b: int
    annotator: str
    kind: Kind
    winner: Outcome
    p_a: float | None = None
    shown: Shown | None = None
    rationale: str | None = None


class Row(Struct, forbid_unknown_fields=True):
    """A prompt with responses, as every format delivers it."""

    id: Key | None
    prompt: str | list[IncomingMessage]
    responses: list[IncomingResponse]
    reference: str | None = None
    meta: dict[str, Any] | None = None
    verdicts: list[Verdict] = []


class NativeRow(Struct, forbid_unknown_fields=True):
    """The native responses row; a `Row` but for what only foreign formats may do."""

    id: Key
    prompt: str | list[IncomingMessage]
    responses: Annotated[list[NativeResponse], Meta(min_length=1)]
    reference: str | None = None
    meta: dict[str, Any] | None = None

    @property
    def verdicts(self) -> list[Verdict]:
        return []


class JudgmentRow(Struct, forbid_unknown_fields=True, gc=False):
    prompt: Key
    a: Key
    b: Key
    annotator: Key
    kind: Kind
    winner: Outcome
    shown: Shown | None = None
    p_a: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    rationale: str | None = None


def is_sound(row: NativeRow | Row) -> bool:
    """Tell whether something is asked and the responses differ in their ids, which the types do not say."""
    prompt = row.prompt
    if isinstance(prompt, str):
        if not prompt or prompt.isspace():
            return False
    elif prompt_is_blank(prompt) or not all(_is_meaningful(message) for message in prompt):
        return False
    ids = [response.id for response in row.responses]
    if len(ids) == 2:  # by far the most rows
        return ids[0] is None or ids[0] != ids[1]
    return find_repeated_id(row) is None


def prompt_is_blank(prompt: str | list[IncomingMessage]) -> bool:
    if isinstance(prompt, str):
        return not prompt or prompt.isspace()
    return not any(_is_visible(message) for message in prompt)


def find_repeated_id(row: NativeRow | Row) -> str | None:
    """Return the first id that two responses of the row share."""
    seen = set[str]()
    for response in row.responses:
        if response.id is not None:
            if response.id in seen:
                return response.id
            seen.add(response.id)
    return None


def is_consistent(row: JudgmentRow) -> bool:
    return row.a != row.b and (row.p_a is None or explain_contradiction(row.winner, row.p_a) is None)


def _is_visible(message: IncomingMessage) -> bool:
    if isinstance(message.content, str):
        return bool(message.content.strip())
    return any(part.uri is not None or bool((part.text or "").strip()) for part in message.content)


def _is_meaningful(message: IncomingMessage) -> bool:
    if isinstance(message.content, str):
        return True
    return all((part.text if part.type == "text" else part.uri) is not None for part in message.content)
