"""Rollouts of one prompt that are rewarded together: each waits for the others, and is compared with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from curate.core.errors import CurateError
from curate.reward.transforms import RewardTransform

Rollout = TypeVar("Rollout")


class IncompleteCohortError(Exception):
    """The other rollouts of the prompt did not come in time."""


@dataclass(slots=True)
class _Cohort(Generic[Rollout]):
    rollouts: list[Rollout] = field(default_factory=list)
    rewards: asyncio.Future[list[float]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(slots=True)
class Cohorts(Generic[Rollout]):
    """Waiting cohorts by prompt.

    Args:
        size: Rollouts of a prompt. More of them begin the next cohort.
        reward: Makes the rewards of a cohort; a rollout is its score, or what is to be scored.
        seconds: How long a rollout waits for the others.
    """

    size: int
    reward: Callable[[Sequence[Rollout]], Awaitable[list[float]]]
    seconds: float
    _waiting: dict[Hashable, _Cohort[Rollout]] = field(default_factory=dict)

    async def join(self, key: Hashable, rollout: Rollout) -> float:
        """Add a rollout, and return its reward.

        Raises:
            IncompleteCohortError: The others did not come in time, or there is nothing to compare.
        """
        cohort = self._waiting.setdefault(key, _Cohort())
        place = len(cohort.rollouts)
        cohort.rollouts.append(rollout)
        if len(cohort.rollouts) == self.size:
            del self._waiting[key]
            try:
                cohort.rewards.set_result(await self.reward(cohort.rollouts))
            except CurateError as error:
                cohort.rewards.set_exception(IncompleteCohortError(str(error)))
            except BaseException as error:
                cohort.rewards.set_exception(error)
                cohort.rewards.exception()  # those who wait get it too, if there are any left
                raise
        try:
            async with asyncio.timeout(self.seconds):
                rewards = await asyncio.shield(cohort.rewards)
        except TimeoutError:
            if self._waiting.get(key) is cohort:
                del self._waiting[key]  # whoever comes later begins anew
            raise IncompleteCohortError(
                f"only {len(cohort.rollouts)} of {self.size} rollouts of this prompt came in {self.seconds:g} seconds"
            ) from None
        return float(rewards[place])


def transform_cohort(scores: Sequence[float], transform: RewardTransform) -> list[float]:
    """Return the rewards of a cohort; a rollout without a score (NaN) has none, and enters no statistic."""
    rewards: list[float] = transform.apply(np.array(scores, np.float64)).tolist()
    return rewards
