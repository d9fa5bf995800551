"""Who is evaluated: anybody who says of an item's responses which is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from curate.core.progress import Track
from curate.evaluate.benchmark import BenchmarkItem
from curate.reward.scorer import PromptResponses, RewardScorer
from curate.stats.accuracy import LENGTH, RANDOM

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ItemVerdict:
    """Of an item with N responses. `scores` float64[N]: higher is better; not a number where nothing was said.

    `p` float64[N, N]: the probability that the row's response is better than the column's (not a number where
    nothing was said); None: whoever it is knows only which, not how surely.
    """

    scores: Float64
    p: Float64 | None = None

    @property
    def is_complete(self) -> bool:
        return not np.isnan(self.scores).any()

    def compare_pair(self, one: int, other: int) -> float:
        """1 where `one` is said to be better, 0 where `other` is, ½ where neither; not a number: nothing is said."""
        margin = self.p[one, other] - 0.5 if self.p is not None else self.scores[one] - self.scores[other]
        return float(0.5 + 0.5 * np.sign(round(float(margin), 9))) if np.isfinite(margin) else float("nan")


class Subject(Protocol):
    """`revision` identifies all that can change an opinion."""

    @property
    def name(self) -> str: ...

    @property
    def revision(self) -> str: ...

    def judge_items(self, items: Sequence[BenchmarkItem], *, track: Track) -> list[ItemVerdict]: ...


@dataclass(frozen=True, slots=True)
class ModelSubject:
    """A reward model: P(a is better) = σ(score_a − score_b), as Bradley–Terry models are trained."""

    scorer: RewardScorer

    @property
    def name(self) -> str:
        return self.scorer.name

    @property
    def revision(self) -> str:
        return self.scorer.revision

    def judge_items(self, items: Sequence[BenchmarkItem], *, track: Track) -> list[ItemVerdict]:
        asked = [PromptResponses(item.context, item.responses, item.prompt_id) for item in items]
        return [
            ItemVerdict(scores, _compare_scores(scores)) for scores in self.scorer.score(asked, track=track)
        ]


def _compare_scores(scores: Float64) -> Float64:
    margins = np.clip(scores[:, None] - scores[None, :], -700, 700)
    return np.asarray(1.0 / (1.0 + np.exp(-margins)))


@dataclass(frozen=True, slots=True)
class LengthBaseline:
    """Prefers what has more characters."""

    name: str = LENGTH
    revision: str = LENGTH

    def judge_items(self, items: Sequence[BenchmarkItem], *, track: Track) -> list[ItemVerdict]:
        return [ItemVerdict(np.array([float(len(each)) for each in item.responses])) for item in items]


@dataclass(frozen=True, slots=True)
class RandomBaseline:
    """Knows nothing: every pair is a tie, which is worth what a blind choice is."""

    name: str = RANDOM
    revision: str = RANDOM

    def judge_items(self, items: Sequence[BenchmarkItem], *, track: Track) -> list[ItemVerdict]:
        return [ItemVerdict(np.zeros(len(item.responses))) for item in items]


BASELINES: tuple[Subject, ...] = (LengthBaseline(), RandomBaseline())
