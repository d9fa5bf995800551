"""Rows as they come in, before they have ids: what every format is turned into.

These are msgspec structs: decoding JSON straight into them checks the types about ten times faster than
row-wise pydantic does. What they do not say about a sound row, `is_sound` and `is_consistent` do.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from curate.data.conversation import Conversation
from curate.data.native import explain_contradiction
from curate.records import Kind, Message, Outcome, Role, Shown, TiedAs

Key = Annotated[str, Meta(min_length=1)]


class IncomingPart(Struct, forbid_unknown_fields=True, gc=False):
    """A part of a native message, as in `records.Part`."""

    type: Literal["text", "image", "video", "audio"] = "text"
    text: str | None = None
    uri: str | None = None
    sha256: str | None = None
    mime_type: str | None = None


class IncomingCall(Struct, forbid_unknown_fields=True, gc=False):
    """A tool call of a native message, as in `records.ToolCall`."""

    name: str
    arguments: str | dict[str, Any]
    id: str | None = None


class IncomingMessage(Struct, forbid_unknown_fields=True):
    """A message of a native row; it has the names of `records.Message`, and foreign rows have those."""

    role: Role
    content: str | list[IncomingPart] | None = None
    reasoning: str | None = None
    tool_calls: list[IncomingCall] = []
    tool_call_id: str | None = None
    name: str | None = None
    is_target: bool | None = None


AnyMessage = IncomingMessage | Message
Turns = list[IncomingMessage] | Conversation


class IncomingResponse(Struct):
    """A response of a foreign row, as a text or as messages. `id` is null where the format has none."""

    id: str | None
    text: str | None = None
    messages: Conversation | None = None
    model: str | None = None

    @property
    def answer(self) -> str | Conversation:
        """The messages, or the text where there are none."""
        return self.text or "" if self.messages is None else self.messages


class NativeResponse(Struct, forbid_unknown_fields=True):
    """A response of a native row, likewise."""

    id: Key
    text: str | None = None
    messages: list[IncomingMessage] | None = None
    model: str | None = None

    @property
    def answer(self) -> str | list[IncomingMessage]:
        """The messages, or the text where there are none."""
        return self.text or "" if self.messages is None else self.messages


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
    margin: float | None = None
    aspect: str | None = None
    tied_as: TiedAs | None = None


class Rating(Struct, forbid_unknown_fields=True, gc=False):
    """A number that a foreign row gives the response at a position of its list."""

    response: int
    annotator: str
    kind: Kind
    score: float
    rationale: str | None = None
    aspect: str | None = None


class Row(Struct, forbid_unknown_fields=True):
    """A prompt with responses, as every format delivers it."""

    id: Key | None
    prompt: str | Conversation
    responses: list[IncomingResponse]
    reference: str | None = None
    meta: dict[str, Any] | None = None
    tools: str | None = None
    verdicts: list[Verdict] = []
    ratings: list[Rating] = []


class NativeRow(Struct, forbid_unknown_fields=True):
    """The native responses row; a `Row` but for what only foreign formats may do."""

    id: Key
    prompt: str | list[IncomingMessage]
    responses: Annotated[list[NativeResponse], Meta(min_length=1)]
    reference: str | None = None
    meta: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None

    @property
    def verdicts(self) -> list[Verdict]:
        return []

    @property
    def ratings(self) -> list[Rating]:
        return []


class JudgmentRow(Struct, forbid_unknown_fields=True, gc=False):
    """A native row of judgments."""

    prompt: Key
    a: Key
    b: Key
    annotator: Key
    kind: Kind
    winner: Outcome
    shown: Shown | None = None
    p_a: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    rationale: str | None = None
    margin: float | None = None
    aspect: str | None = None
    tied_as: TiedAs | None = None


def is_sound(row: NativeRow | Row) -> bool:
    """Tell whether something is asked and answered and the responses differ in their ids, which types do not say."""
    prompt = row.prompt
    if isinstance(prompt, str):
        if not prompt or prompt.isspace():
            return False
    elif prompt_is_blank(prompt) or not all(_is_meaningful(message) for message in prompt):
        return False
    for response in row.responses:
        if (response.text is None) is (response.messages is None):
            return False
        if response.messages is not None and not _is_answer(response.messages):
            return False
    ids = [response.id for response in row.responses]
    if len(ids) == 2:  # by far the most rows
        return ids[0] is None or ids[0] != ids[1]
    return find_repeated_id(row) is None


def prompt_is_blank(prompt: str | Turns) -> bool:
    """Tell whether a prompt has nothing that anybody could answer."""
    if isinstance(prompt, str):
        return not prompt or prompt.isspace()
    return not any(_is_visible(message) for message in prompt)


def _is_answer(messages: Turns) -> bool:
    """Tell whether messages begin and end with the assistant, as a response does."""
    ends = bool(messages) and messages[0].role == "assistant" and messages[-1].role == "assistant"
    return ends and all(_is_meaningful(message) for message in messages)


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
    """Tell whether a judgment is about two responses and its probability fits its winner."""
    return row.a != row.b and (row.p_a is None or explain_contradiction(row.winner, row.p_a) is None)


def _is_visible(message: AnyMessage) -> bool:
    if message.reasoning or message.tool_calls:
        return True
    if isinstance(message.content, str):
        return bool(message.content.strip())
    return any(part.uri is not None or bool((part.text or "").strip()) for part in message.content or ())


def _is_meaningful(message: AnyMessage) -> bool:
    if message.content is None:
        return bool(message.reasoning or message.tool_calls)
    if isinstance(message.content, str):
        return True
    return all((part.text if part.type == "text" else part.uri) is not None for part in message.content)
