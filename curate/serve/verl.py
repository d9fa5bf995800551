"""verl's custom reward function, which asks a `curate serve-reward`.

    reward.custom_reward_function.path=$(python -c 'import curate.serve.verl as file; print(file.__file__)')
    reward.custom_reward_function.name=compute_score
    reward.reward_model.reward_router_address=host:8300      # or the environment variable CURATE_REWARD_URL

verl gives such a function the response without its prompt, so the data must hold the prompt under `extra_info`: as
`prompt` (messages or text), or as `question`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from curate.core.errors import CurateError
from curate.serve.function import RewardFunction, reward_function

_URL = "CURATE_REWARD_URL"
_KEY = "CURATE_REWARD_KEY"


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    reward_router_address: str | None = None,
    **_: Any,
) -> float:
    """Return the reward of a response.

    Args:
        data_source: Ignored, like whatever else verl gives.
        solution_str: The response.
        ground_truth: Ignored: a reward model needs no reference.
        extra_info: Further columns of the row, with its prompt.
        reward_router_address: host:port of the server; default: what CURATE_REWARD_URL says. Where the server asks
            for a key, CURATE_REWARD_KEY holds it.

    Raises:
        CurateError: There is no prompt or no server, or the model cannot read the response.
    """
    columns = extra_info or {}
    prompt = columns.get("prompt", columns.get("question"))
    if prompt is None:
        raise CurateError(
            "A row has no prompt in `extra_info`: verl's reward functions see nothing else of it, so write it there as "
            "`prompt` (messages or text)."
        )
    address = reward_router_address or os.environ.get(_URL)
    if not address:
        raise CurateError(
            f"No reward server is named: set reward.reward_model.reward_router_address, or {_URL}."
        )
    asked = prompt if isinstance(prompt, str) else [dict(message) for message in prompt]
    answer = solution_str if isinstance(asked, str) else [{"role": "assistant", "content": solution_str}]
    (reward,) = _connect(address if "://" in address else f"http://{address}")([asked], [answer])
    if reward is None:
        raise CurateError(
            "The reward model cannot read a response (is it too long?), and verl needs a number."
        )
    return reward


@lru_cache(maxsize=8)
def _connect(url: str) -> RewardFunction:
    return reward_function(url, api_key_env=_KEY if os.environ.get(_KEY) else None)
