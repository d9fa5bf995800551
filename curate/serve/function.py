"""A reward model as a function for TRL's GRPOTrainer (`reward_funcs`), or anybody with prompts and completions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from curate.engine.base import Failure
from curate.reward.scorer import (
    EncodingScorer,
    PromptResponses,
    RewardScorer,
    hide_request_media,
    open_reward_model,
)
from curate.serve.grouping import group_by_prompt
from curate.serve.protocol import TrlRequest
from curate.serve.remote_rewards import RemoteRewards, RetryLimits
from curate.serve.transcript import ChatReader

RewardFunction = Callable[..., list[float | None]]


def reward_function(
    model: str | Path,
    *,
    name: str = "curate_reward",
    timeout: float = 180.0,
    api_key_env: str | None = None,
    dtype: str = "auto",
    retries: int = 6,
    order: str | None = None,
) -> RewardFunction:
    """Return a function `f(prompts, completions, **kwargs)` that scores each completion.

    Prompts and completions are texts or lists of messages, as TRL gives them to reward functions; `tools`, a column of
    the data set, holds the tools of each prompt. A reward is None where the model cannot read the completion; the other
    rows have theirs. Any number of rows may be given: a server is asked in chunks, and again where it is overloaded or
    out of reach for a while.

    Args:
        model: Reward model of any kind (folder, pypi:PACKAGE or hub id), which is opened at once in this process; or
            the address (http://…) of a `curate serve-reward`.
        name: Name under which TRL logs the rewards.
        timeout: Seconds to wait for an answer of the server.
        api_key_env: Environment variable with the key of the server, if it asks for one.
        dtype: Precision of a model in this process: `auto` is float32 on a CPU and bfloat16 on a GPU, as everywhere.
        order: Orders in which a joint model in this process is asked (see `open_reward_model`); it scores the
            completions to one prompt together.
        retries: How often a server is asked again, with pauses that grow from half a second to 30 seconds.

    Raises:
        CurateError: The model cannot be opened. The function raises it when the server fails for good.

        >>> reward = reward_function("models/reward")                                   # doctest: +SKIP
        >>> reward(prompts=["Why?", "Why?"], completions=["Because it is.", "No."])     # doctest: +SKIP
        [1.25, -0.5]
    """
    ask_rewards = (
        RemoteRewards(str(model), api_key_env, RetryLimits(timeout=timeout, retries=retries)).ask
        if str(model).startswith(("http://", "https://"))
        else _open_model(str(model), dtype, order)
    )

    def reward(
        prompts: Sequence[Any], completions: Sequence[Any], tools: Sequence[Any] | None = None, **_: Any
    ) -> list[float | None]:
        columns = {"prompts": list(prompts), "completions": list(completions)}
        if tools is not None:
            columns["tools"] = list(tools)
        lengths = {column: len(values) for column, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"a reward function takes as many completions as prompts, and not {lengths}")
        return ask_rewards(columns) if columns["prompts"] else []

    reward.__name__ = name
    return reward


def _open_model(
    model: str, dtype: str, order: str | None
) -> Callable[[dict[str, list[Any]]], list[float | None]]:
    """Open a model in this process."""
    scorer = open_reward_model(model, folder=Path.cwd(), share_prompts=True, dtype=dtype, order=order)
    reads_text = isinstance(scorer, EncodingScorer) and not scorer.sees_images
    reader = ChatReader(scorer if reads_text and isinstance(scorer, EncodingScorer) else None)

    def ask_rewards(columns: dict[str, list[Any]]) -> list[float | None]:
        prompts = _read_rows(columns, reader)
        if not scorer.sees_images:
            prompts = list(map(hide_request_media, prompts))
        rewards: list[float | None] = [None] * len(prompts)
        readable = [row for row, prompt in enumerate(prompts) if not isinstance(prompt.encoded, Failure)]
        for row, value in zip(readable, _score_rows(scorer, [prompts[row] for row in readable]), strict=True):
            rewards[row] = value
        return rewards

    return ask_rewards


def _read_rows(columns: dict[str, list[Any]], reader: ChatReader) -> list[PromptResponses]:
    """Read rows, all at once where all can be read."""
    try:
        return TrlRequest.model_validate(columns).list_prompts(reader)
    except ValidationError as error:
        if len(columns["prompts"]) == 1:
            return [PromptResponses((), ((),), encoded=Failure(str(error), permanent=True))]
        rows = [
            {column: [values[row]] for column, values in columns.items()}
            for row in range(len(columns["prompts"]))
        ]
        return [prompt for row in rows for prompt in _read_rows(row, reader)]


def _score_rows(scorer: RewardScorer, prompts: Sequence[PromptResponses]) -> list[float | None]:
    if isinstance(scorer, EncodingScorer) and scorer.compares_responses:
        grouped = group_by_prompt(prompts, scorer)
        flat = [float(value) for values in scorer.score(grouped.prompts) for value in values]
        scores, _ = grouped.restore_order(flat, {})
    else:
        scores = [float(value) for (value,) in scorer.score(prompts)]
    return [value if np.isfinite(value) else None for value in scores]
