"""Rows of a file of preferences or responses, as a reward model is asked about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.data.conversation import Conversation, UnreadableMessageError, normalize_tools, read_messages
from curate.data.preference_rows import check_answer, read_context, read_pair, read_response
from curate.reward.scorer import PromptResponses, RewardScorer, hide_request_media

Float64 = NDArray[np.float64]
_SINGLE = ("response", "completion")  # columns of one response


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """A row of a file, with the request that it makes.

    Attributes:
        fields: The row as it is in the file; what is no object stands under `row`.
        request: The prompt with the responses to score, and the references behind them; None: it cannot be read.
        n_references: Number of the references.
        columns: Columns of the result; one column holds a list of all scores.
        error: Why the row cannot be read.
    """

    fields: dict[str, Any]
    request: PromptResponses | None
    n_references: int = 0
    columns: tuple[str, ...] = ()
    error: str = ""

    @property
    def holds_list(self) -> bool:
        """Tells whether the scores stand as a list in one column."""
        return self.columns == ("scores",)

    @property
    def responses(self) -> tuple[Conversation, ...]:
        """The responses, without the references."""
        if self.request is None:
            return ()
        return self.request.responses[: len(self.request.responses) - self.n_references]


def read_row(row: Any) -> ScoredRow:
    """Read a row: `chosen` and `rejected`, `responses`, one `response` (or `completion`), or whole `messages`.

    `references` are responses that the transform `par` compares with.
    """
    if not isinstance(row, Mapping):
        return ScoredRow({"row": row}, None, error="the row is no JSON object")
    fields = dict(row)
    try:
        context, responses, columns = _read_responses(fields)
        references = [
            read_response(value, f"references[{number}]")
            for number, value in enumerate(fields.get("references") or ())
        ]
        tools = normalize_tools(fields.get("tools"))
    except UnreadableMessageError as error:
        return ScoredRow(fields, None, error=error.reason)
    request = PromptResponses(context, (*responses, *references), _get_prompt_id(fields), tools)
    return ScoredRow(fields, request, len(references), columns)


def _read_responses(
    fields: Mapping[str, Any],
) -> tuple[Conversation, Sequence[Conversation], tuple[str, ...]]:
    if fields.get("chosen") is not None or fields.get("rejected") is not None:
        pair = read_pair(fields)
        return pair.prompt, (pair.chosen, pair.rejected), ("score_chosen", "score_rejected")
    if (answers := fields.get("responses")) is not None:
        if not isinstance(answers, list):
            raise UnreadableMessageError("wrong type", "`responses` should be an array of responses.")
        if not answers:
            raise UnreadableMessageError("empty", "`responses` is empty: there is nothing to score.")
        read = [read_response(answer, f"responses[{number}]") for number, answer in enumerate(answers)]
        return read_context(fields), read, ("scores",)
    for name in _SINGLE:
        if fields.get(name) is not None:
            return read_context(fields), (read_response(fields[name], name),), ("score",)
    if fields.get("messages") is not None:
        chat = read_messages(fields["messages"], "messages")
        check_answer(chat[-1:], "messages")
        return chat[:-1], (chat[-1:],), ("score",)
    raise UnreadableMessageError(
        "missing key",
        "The row has neither `chosen` and `rejected`, nor `responses`, `response`, `completion` or `messages`.",
    )


def _get_prompt_id(fields: Mapping[str, Any]) -> str:
    value = fields.get("prompt_id")
    return value if isinstance(value, str) else ""


def score_rows(scorers: Sequence[RewardScorer], rows: Sequence[ScoredRow]) -> list[Float64]:
    """Score rows by all models.

    Args:
        scorers: M models.
        rows: R rows.

    Returns:
        R arrays float64[M, responses and references]; without columns where the row cannot be read.
    """
    requests = [row.request for row in rows if row.request is not None]
    by_model = [
        iter(
            scorer.score(requests if scorer.sees_images else [hide_request_media(item) for item in requests])
        )
        for scorer in scorers
    ]
    return [
        np.stack([next(scores) for scores in by_model])
        if row.request is not None
        else np.zeros((len(scorers), 0))
        for row in rows
    ]
