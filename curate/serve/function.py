"""A reward model as a function for TRL's GRPOTrainer (`reward_funcs`), or anybody with prompts and completions."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate.core.errors import CurateError
from curate.core.secrets import register_secrets
from curate.serve.protocol import TrlRequest

RewardFunction = Callable[..., list[float | None]]


def reward_function(
    model: str | Path,
    *,
    name: str = "curate_reward",
    timeout: float = 180.0,
    api_key_env: str | None = None,
) -> RewardFunction:
    """Return a function `f(prompts, completions, **kwargs)` that scores each completion.

    Prompts and completions are texts or lists of messages, as TRL gives them to reward functions; `tools`, a column of
    the data set, holds the tools of each prompt. A reward is None where the model cannot read the completion.

    Args:
        model: Reward model of any kind (folder, pypi:PACKAGE or hub id), which is opened at once in this process; or
            the address (http://…) of a `curate serve-reward`.
        name: Name under which TRL logs the rewards.
        timeout: Seconds to wait for an answer of the server.
        api_key_env: Environment variable with the key of the server, if it asks for one.

    Raises:
        CurateError: The model cannot be opened. The function raises it when the server fails.

        >>> reward = reward_function("models/reward")                                   # doctest: +SKIP
        >>> reward(prompts=["Why?", "Why?"], completions=["Because it is.", "No."])     # doctest: +SKIP
        [1.25, -0.5]
    """
    ask_rewards = (
        _connect_server(str(model), timeout, api_key_env)
        if str(model).startswith(("http://", "https://"))
        else _open_model(str(model))
    )

    def reward(
        prompts: Sequence[Any], completions: Sequence[Any], tools: Sequence[Any] | None = None, **_: Any
    ) -> list[float | None]:
        if not prompts:
            return []
        offered = {} if tools is None else {"tools": list(tools)}
        return ask_rewards({"prompts": list(prompts), "completions": list(completions), **offered})

    reward.__name__ = name
    return reward


AskRewards = Callable[[dict[str, Any]], list[float | None]]


def _open_model(model: str) -> AskRewards:
    """Open a model in this process."""
    from curate.reward.scorer import open_reward_model

    scorer = open_reward_model(model, folder=Path.cwd(), share_prompts=True)

    def ask_rewards(body: dict[str, Any]) -> list[float | None]:
        scores = scorer.score(TrlRequest.model_validate(body).list_prompts())
        return [float(value) if np.isfinite(value) else None for (value,) in scores]

    return ask_rewards


def _connect_server(url: str, timeout: float, api_key_env: str | None = None) -> AskRewards:
    """Make a client of a `curate serve-reward`; nothing is sent yet."""
    address = f"{url.rstrip('/')}/rewards"
    headers = {"Content-Type": "application/json"}
    if api_key_env is not None:
        key = os.environ.get(api_key_env, "").strip()
        if not key:
            raise CurateError(
                f"The environment variable {api_key_env} is not set: it holds the key of {url}."
            )
        register_secrets([key])
        headers["Authorization"] = f"Bearer {key}"

    def ask_rewards(body: dict[str, Any]) -> list[float | None]:
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                rewards: list[float | None] = json.load(response)["rewards"]
                return rewards
        except urllib.error.HTTPError as error:
            answer = error.read().decode(errors="replace")[:300]
            raise CurateError(f"The reward server {address} answered {error.code}: {answer}") from error
        except OSError as error:
            raise CurateError(f"The reward server {address} cannot be reached: {error}.") from error

    return ask_rewards
