"""The two native row formats that `curate ingest` takes in, as pydantic models: one row per line of JSONL.

They are the contract (JSON Schemas are made from them) and the judge of every row that the fast decoder of
`curate/ingest/native.py` refuses. Both are strict: no type is guessed, no unknown key is dropped silently.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from curate.records import Kind, Outcome, Probability, Role, Shown, TiedAs

Key = Annotated[str, Field(min_length=1)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PartInput(_Row):
    """A piece of a message: text, or an image, video or sound by address."""

    type: Literal["text", "image", "video", "audio"] = "text"
    text: str | None = None
    uri: str | None = None
    sha256: str | None = None
    mime_type: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.type == "text" and self.text is None:
            raise ValueError("a part of type text needs `text`")
        if self.type != "text" and self.uri is None:
            raise ValueError(f"a part of type {self.type} needs `uri`")
        return self


class ToolCallInput(_Row):
    """A call of a tool by the assistant."""

    name: str
    arguments: str | dict[str, JsonValue] = Field(
        description="A JSON object, or its text as the model wrote it."
    )
    id: str | None = None


class MessageInput(_Row):
    """One message of a conversation."""

    role: Role
    content: str | list[PartInput] | None = Field(
        None, description="May be missing beside `reasoning` or `tool_calls` alone."
    )
    reasoning: str | None = Field(None, description="What the assistant thought before it.")
    tool_calls: list[ToolCallInput] = Field(default_factory=list)
    tool_call_id: str | None = Field(None, description="The call that a message of the role `tool` answers.")
    name: str | None = Field(None, description="Name of the tool, or of the speaker.")
    is_target: bool | None = Field(
        None,
        description="Whether it is trained on and judged; default: the assistant's messages of a response.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.content is None and not (self.reasoning or self.tool_calls):
            raise ValueError("a message has `content`, or else `reasoning` or `tool_calls`")
        return self


class ResponseInput(_Row):
    """One candidate: a text, or messages of which the assistant says the first and the last.

    The text may be empty (a model may answer nothing), but it may not be missing.
    """

    id: Key = Field(description="Unique within the row.")
    model: str | None = Field(None, description="Name of the model that answered.")
    text: str | None = None
    messages: list[MessageInput] | None = Field(
        None,
        description="In place of `text`: a trajectory with reasoning, calls of tools, images or several turns.",
    )

    @model_validator(mode="after")
    def _answers(self) -> Self:
        if (self.text is None) is (self.messages is None):
            raise ValueError("a response has either `text` or `messages`")
        if (
            self.messages is not None
            and [m.role for m in (*self.messages[:1], *self.messages[-1:])] != ["assistant"] * 2
        ):
            raise ValueError("the first and the last of `messages` must be the assistant's")
        return self


class ResponsesRow(_Row):
    """A prompt and the responses to it. One response is enough, but there is nothing to compare it with."""

    id: Key = Field(description="The caller's own id of the prompt.")
    prompt: str | list[MessageInput] = Field(description="Text of one user message, or a conversation.")
    responses: list[ResponseInput] = Field(min_length=1)
    reference: str | None = Field(None, description="A reference answer, for judges that read one.")
    meta: dict[str, JsonValue] | None = Field(None, description="Anything else; kept as it is.")
    tools: list[dict[str, JsonValue]] | None = Field(
        None, description="JSON Schemas of the tools that models may call."
    )

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        if is_blank(self.prompt):
            raise ValueError("`prompt` is empty")
        seen = set[str]()
        for response in self.responses:
            if response.id in seen:
                raise ValueError(f"two responses have the id {response.id!r}")
            seen.add(response.id)
        return self


class JudgmentsRow(_Row):
    """One statement about two responses to one prompt. `winner` and `p_a` speak of a and b, not of positions.

    `prompt`, `a` and `b` are the ids of the responses file, or the lake's own ids.
    """

    prompt: Key
    a: Key
    b: Key
    annotator: Key = Field(description="Name of the person, model or rule that says so.")
    kind: Kind
    winner: Outcome
    shown: Shown | None = Field(None, description="Which response the annotator saw first, if known.")
    p_a: Probability | None = Field(None, description="The annotator's probability that a is better.")
    rationale: str | None = None
    margin: float | None = Field(None, description="By how much a is better (negative: b).")
    aspect: str | None = Field(
        None,
        description="The one criterion that the statement is about; it is kept, and does not count for labels.",
    )
    tied_as: TiedAs | None = Field(None, description="What a tie says of both responses.")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.a == self.b:
            raise ValueError("`a` and `b` are the same response")
        flaw = explain_contradiction(self.winner, self.p_a)
        if flaw:
            raise ValueError(flaw)
        return self


def is_blank(prompt: str | list[MessageInput]) -> bool:
    """Tell whether nothing is asked: no message holds a visible character or an image."""
    if isinstance(prompt, str):
        return not prompt or prompt.isspace()
    return not any(map(_is_visible, prompt))


def _is_visible(message: MessageInput) -> bool:
    if message.reasoning or message.tool_calls:
        return True
    if isinstance(message.content, str):
        return bool(message.content.strip())
    return any(part.uri is not None or bool((part.text or "").strip()) for part in message.content or ())


def explain_contradiction(winner: Outcome, p_a: float | None) -> str | None:
    """Say how a verdict contradicts its probability, or return None. A tie agrees with any probability."""
    if p_a is None or winner == "tie":
        return None
    if winner in ("abstain", "failed"):
        return (
            f"`winner` is {winner!r}, but `p_a` is {p_a:g}: an annotator without a verdict has no probability"
        )
    if (winner == "a" and p_a < 0.5) or (winner == "b" and p_a > 0.5):
        return f"`winner` is {winner!r}, but `p_a` = {p_a:g} says the opposite"
    return None
