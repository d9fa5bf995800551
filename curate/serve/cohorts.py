"""Rollouts of one prompt that are rewarded together: each waits for the others, and is compared with them."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from curate.core.errors import CurateError
from curate.reward.transforms import RewardTransform


class IncompleteCohortError(Exception):
    """The other rollouts of the prompt did not come in time."""


@dataclass(slots=True)
class _Cohort:
    scores: list[float] = field(default_factory=list)
    rewards: asyncio.Future[list[float]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(slots=True)
class Cohorts:
    """Waiting cohorts by prompt.

    Args:
        size: Rollouts of a prompt. More of them begin the next cohort.
        transform: Makes rewards of a cohort's scores.
        seconds: How long a rollout waits for the others.
    """

    size: int
    transform: RewardTransform
    seconds: float
    _waiting: dict[Hashable, _Cohort] = field(default_factory=dict)

    async def join(self, key: Hashable, score: float) -> float:
        """Add the score of a rollout (NaN: it has none, but it has come), and return its reward.

        Raises:
            IncompleteCohortError: The others did not come in time.
        """
        cohort = self._waiting.setdefault(key, _Cohort())
        place = len(cohort.scores)
        cohort.scores.append(score)
        if len(cohort.scores) == self.size:
            del self._waiting[key]
            try:
                rewards = self.transform.apply(np.array(cohort.scores)).tolist()
            except CurateError as error:
                cohort.rewards.set_exception(IncompleteCohortError(str(error)))
            else:
                cohort.rewards.set_result(rewards)
        try:
            async with asyncio.timeout(self.seconds):
                rewards = await asyncio.shield(cohort.rewards)
        except TimeoutError:
            if self._waiting.get(key) is cohort:
                del self._waiting[key]  # whoever comes later begins anew
            raise IncompleteCohortError(
                f"only {len(cohort.scores)} of {self.size} rollouts of this prompt came in {self.seconds:g} seconds"
            ) from None
        return float(rewards[place])
