"""The rows of the training formats: what a reader of an export may rely on."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import WithJsonSchema

from curate.records import Probability, Record, Role

_TEXT = {"type": "string"}
_CALL = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "type": {"const": "function"},
        "function": {
            "type": "object",
            "properties": {"name": _TEXT, "arguments": {"type": ["object", "string"]}},
            "required": ["name", "arguments"],
        },
    },
    "required": ["type", "function"],
}
_MEDIUM = dict.fromkeys(("text", "uri", "sha256", "mime_type"), _TEXT)
_PART = {
    "type": "object",
    "properties": {"type": {"enum": ["text", "image", "video", "audio"]}, **_MEDIUM},
    "required": ["type"],
}
_MESSAGE = {
    "type": "object",
    "description": "As `curate.data.conversation.build_dicts` writes it and chat templates read it; what it lacks is "
    "absent.",
    "properties": {
        "role": {"enum": list(get_args(Role))},
        "content": {"anyOf": [_TEXT, {"type": "array", "items": _PART}]},
        "reasoning_content": _TEXT,
        "tool_calls": {"type": "array", "items": _CALL},
        "tool_call_id": _TEXT,
        "name": _TEXT,
        "is_target": {"type": "boolean"},
    },
    "required": ["role", "content"],
    "additionalProperties": False,
}

MessageDict = Annotated[dict[str, Any], WithJsonSchema(_MESSAGE)]
"""A message with everything that it has; JSON in Arrow, since its keys differ from message to message."""


class ChatMessage(Record):
    """A message of plain text."""

    role: str
    content: str


class TrlPreferenceRow(Record):
    """One decided pair, as TRL's preference trainers read it (conversational, explicit prompt).

    `confidence` is the probability that the chosen response is the better one, `strength` its log-odds before
    calibration, and `n_judgments` the number of judgments behind it. `margin` is `strength` where that speaks for the
    label, else 0 (people or the other pairs overruled the pair's own votes): by how much the score of the chosen
    response should lead in a loss with margins, under the name that TRL, OpenRLHF and ms-swift read.
    """

    prompt: tuple[ChatMessage, ...]
    chosen: tuple[ChatMessage, ...]
    rejected: tuple[ChatMessage, ...]
    prompt_id: str
    chosen_id: str
    rejected_id: str
    chosen_model: str | None
    rejected_model: str | None
    confidence: Probability
    strength: float
    margin: float
    n_judgments: int
    iteration: int


class PreferenceConversationRow(TrlPreferenceRow):
    """A `TrlPreferenceRow` where a prompt or response has more than text: tools, calls, reasoning, turns or media.

    `tools`: JSON Schemas of what models may call. `images`: the addresses of the prompt's images, in the order of its
    parts, where TRL looks for them; there is no such column where no prompt has one.
    """

    prompt: tuple[MessageDict, ...]  # type: ignore[assignment]
    chosen: tuple[MessageDict, ...]  # type: ignore[assignment]
    rejected: tuple[MessageDict, ...]  # type: ignore[assignment]
    tools: tuple[dict[str, Any], ...] | None
    images: tuple[str, ...] = ()


class RankedResponse(Record):
    """A response of a ranking, as plain text."""

    response_id: str
    model: str | None
    text: str


class RankingRow(Record):
    """One prompt with all its ranked responses, in the order of their ids (so that order tells nothing).

    `rankings[i]` and `scores[i]` belong to `responses[i]`; rank 1 is the best, and ties share a rank.
    """

    prompt: tuple[ChatMessage, ...]
    responses: tuple[RankedResponse, ...]
    rankings: tuple[int, ...]
    scores: tuple[float, ...]
    prompt_id: str
    iteration: int


class RankedConversation(Record):
    """A response of a ranking, as messages."""

    response_id: str
    model: str | None
    messages: tuple[MessageDict, ...]


class RankingConversationRow(RankingRow):
    """A `RankingRow` where a prompt or response has more than text: see `PreferenceConversationRow`."""

    prompt: tuple[MessageDict, ...]  # type: ignore[assignment]
    responses: tuple[RankedConversation, ...]  # type: ignore[assignment]
    tools: tuple[dict[str, Any], ...] | None
    images: tuple[str, ...] = ()


class JudgeSftRow(Record):
    """One verdict of a judge, as TRL's SFTTrainer reads it (conversational, prompt and completion).

    `prompt` is what the judge was told, `completion` what it thought and its verdict. The judge said the same of the
    pair in both orders, and the label (with `confidence`) agrees. `shown`: ab where response a stood first.
    """

    prompt: tuple[ChatMessage, ...]
    completion: tuple[ChatMessage, ...]
    prompt_id: str
    judgment_id: str
    annotator_id: str
    response_a: str
    response_b: str
    shown: str
    outcome: str
    confidence: Probability
    iteration: int
