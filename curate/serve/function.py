"""A reward model as a function for TRL's GRPOTrainer (`reward_funcs`), or anybody with prompts and completions."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate.core.errors import CurateError
from curate.serve.protocol import TrlRequest

RewardFunction = Callable[..., list[float | None]]


def reward_function(
    model: str | Path, *, name: str = "curate_reward", timeout: float = 180.0
) -> RewardFunction:
    """`f(prompts, completions, **kwargs)` → a reward for each; None where the model cannot read one.

    `model`: a reward model of any kind (folder, pypi:PACKAGE or hub id), opened at once in this process, or the address
    (http://…) of a `curate serve-reward`. Prompts and completions are texts or lists of messages, as TRL gives them to
    reward functions. TRL logs the rewards under `name`.

        >>> reward = reward_function("models/reward")                                   # doctest: +SKIP
        >>> reward(prompts=["Why?", "Why?"], completions=["Because it is.", "No."])     # doctest: +SKIP
        [1.25, -0.5]
    """
    ask = (
        _connect_server(str(model), timeout)
        if str(model).startswith(("http://", "https://"))
        else _open_model(str(model))
    )

    def reward(prompts: Sequence[Any], completions: Sequence[Any], **_: Any) -> list[float | None]:
        if not prompts:
            return []
        return ask({"prompts": list(prompts), "completions": list(completions)})

    reward.__name__ = name
    return reward


AskRewards = Callable[[dict[str, Any]], list[float | None]]


def _open_model(model: str) -> AskRewards:
    from curate.reward.scorer import open_reward_model

    scorer = open_reward_model(model, folder=Path.cwd(), share_prompts=True)

    def ask(body: dict[str, Any]) -> list[float | None]:
        scores = scorer.score(TrlRequest.model_validate(body).asked())
        return [float(value) if np.isfinite(value) else None for (value,) in scores]

    return ask


def _connect_server(url: str, timeout: float) -> AskRewards:
    address = f"{url.rstrip('/')}/rewards"

    def ask(body: dict[str, Any]) -> list[float | None]:
        request = urllib.request.Request(
            address, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                rewards: list[float | None] = json.load(response)["rewards"]
                return rewards
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:300]
            raise CurateError(f"The reward server {address} answered {error.code}: {said}") from error
        except OSError as error:
            raise CurateError(f"The reward server {address} cannot be reached: {error}.") from error

    return ask
