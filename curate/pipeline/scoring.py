"""Score responses with a reward model, in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.core.errors import CurateError
from curate.core.progress import no_progress, progress_bars
from curate.data.conversation import Conversation, UnreadableMessageError, normalize_tools, read_messages
from curate.data.preference_rows import read_response
from curate.pipeline.frames import Frame, Row, check_columns, read_rows
from curate.records import prompt_id
from curate.reward.scorer import EncodingScorer, PromptResponses, open_reward_model
from curate.serve.grouping import group_by_prompt

_LONG = ("id", "prompt", "response", "response_id", "model", "reference", "meta", "tools")
_NESTED = ("id", "prompt", "responses", "reference", "meta", "tools")


def score_responses(
    model: Path | str, rows: Frame, *, progress: bool = False, order: str | None = None
) -> NDArray[np.float64]:
    """Score responses with a reward model: of two responses to a prompt, the better one gets the higher score.

    Args:
        model: A folder that `curate train` wrote, or a sequence-classification model (a folder, `pypi:PACKAGE` or hub
            id).
        rows: One row for each response (`prompt`, `response`) or for each prompt (`prompt`, `responses`: a list of
            texts or of {id, text, model}). A prompt is a text or a list of {role, content}. With `id` (and `reference`,
            if it has one) a prompt of the training set is scored by the part of the model that did not see it.
        progress: Whether to show a bar.
        order: Orders in which a model that was trained with `forward: joint` reads the responses of a row: one,
            average:K or rotations. It scores the responses of all rows with one prompt together.

    Returns:
        float64[N], the score of each of the N responses in the order in which they come; not a number where the model
        cannot read one (too long, say).

    Raises:
        CurateError: There is no such model, or a column or value is not as it should be.
    """
    requests = _read_requests(rows)
    scorer = open_reward_model(str(model), folder=Path.cwd(), order=order)
    track = progress_bars if progress else no_progress
    if isinstance(scorer, EncodingScorer) and scorer.compares_responses:
        grouped = group_by_prompt(requests, scorer)
        scores, _ = grouped.restore_order(
            np.concatenate(scorer.score(grouped.prompts, track=track)).tolist(), {}
        )
        return np.array(scores, np.float64)
    return np.concatenate(scorer.score(requests, track=track))


def _read_requests(rows: Frame) -> list[PromptResponses]:
    table, columns = read_rows(rows, "rows")
    if "responses" in columns:
        check_columns(columns, "rows", required=("prompt",), known=_NESTED)
    else:
        check_columns(columns, "rows", required=("prompt", "response"), known=_LONG)
    requests = []
    for number, row in enumerate(table):
        where = f"rows[{number}]"
        listed = row["responses"] if "responses" in row else [row.get("response")]
        if not isinstance(listed, list | tuple) or not listed:
            raise CurateError(f"{where}: `responses` must be a list of texts or of {{id, text, model}}.")
        try:
            context = read_messages(row.get("prompt"), "prompt")
            responses = tuple(read_response(answer, f"responses[{k}]") for k, answer in enumerate(listed))
            tools = normalize_tools(row.get("tools"))
        except UnreadableMessageError as error:
            raise CurateError(f"{where}: {error.reason}") from None
        requests.append(PromptResponses(context, responses, _identify(row, context, tools), tools))
    return requests


def _identify(row: Row, context: Conversation, tools: str | None) -> str:
    """The lake's id of the prompt, by which a model knows what it was trained on; empty where no key is given."""
    key: Any = row.get("id")
    if key is None:
        return ""
    return prompt_id(context, key=str(key), reference=row.get("reference"), tools=tools)
