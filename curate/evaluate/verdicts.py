"""Subjects of an evaluation: models, judges and baselines, and their verdicts on the items of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from curate.core.progress import Track
from curate.evaluate.benchmark import BenchmarkItem
from curate.reward.scorer import PromptResponses, RewardScorer, describe_losses
from curate.stats.accuracy import LENGTH, RANDOM

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ItemVerdict:
    """A subject's verdict on an item with N responses.

    | field    | type          | meaning |
    | ---      | ---           | --- |
    | `scores` | float64[N]    | higher is better; NaN where the subject gave none |
    | `p`      | float64[N, N] | probability that the row's response is better than the column's, or NaN |

    `p` is None for subjects that give no probabilities.
    """

    scores: Float64
    p: Float64 | None = None

    @property
    def is_complete(self) -> bool:
        """Tell whether every response has a score."""
        return not np.isnan(self.scores).any()

    def compare_pair(self, one: int, other: int) -> float:
        """Return 1 where response `one` is better, 0 where `other` is, ½ for a tie, NaN without a verdict."""
        margin = self.p[one, other] - 0.5 if self.p is not None else self.scores[one] - self.scores[other]
        return float(0.5 + 0.5 * np.sign(round(float(margin), 9))) if np.isfinite(margin) else float("nan")


class Subject(Protocol):
    """Anything that can be evaluated; `revision` identifies all that can change its verdicts."""

    @property
    def name(self) -> str: ...

    @property
    def revision(self) -> str: ...

    def judge_items(self, items: Sequence[BenchmarkItem], *, track: Track) -> list[ItemVerdict]:
        """Return a verdict on each item, in their order."""
        ...


@runtime_checkable
class HasNote(Protocol):
    """A subject that says what it could not read; `note` is "" where it read everything."""

    @property
    def note(self) -> str: ...


def list_notes(subjects: Sequence[Subject]) -> list[str]:
    """Return what subjects say about what they could not read."""
    return [subject.note for subject in subjects if isinstance(subject, HasNote) and subject.note]


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

    @property
    def note(self) -> str:
        return describe_losses(self.scorer)

    def judge_items(self, items: Sequence[BenchmarkItem], *, track: Track) -> list[ItemVerdict]:
        prompts = [
            PromptResponses(item.context, item.responses, item.prompt_id, item.tools) for item in items
        ]
        return [
            ItemVerdict(scores, _compare_scores(scores)) for scores in self.scorer.score(prompts, track=track)
        ]


def _compare_scores(scores: Float64) -> Float64:
    """Return float64[N, N], P(row is better than column) by Bradley–Terry."""
    margins = np.clip(scores[:, None] - scores[None, :], -700, 700)
    return np.asarray(1.0 / (1.0 + np.exp(-margins)))


@dataclass(frozen=True, slots=True)
class LengthBaseline:
    """Prefers the response with more characters."""

    name: str = LENGTH
    revision: str = LENGTH

    def judge_items(self, items: Sequence[BenchmarkItem], *, track: Track) -> list[ItemVerdict]:
        return [ItemVerdict(np.array([float(len(text)) for text in item.texts])) for item in items]


@dataclass(frozen=True, slots=True)
class RandomBaseline:
    """Calls every pair a tie, which earns as much as a random choice in expectation."""

    name: str = RANDOM
    revision: str = RANDOM

    def judge_items(self, items: Sequence[BenchmarkItem], *, track: Track) -> list[ItemVerdict]:
        return [ItemVerdict(np.zeros(len(item.responses))) for item in items]


BASELINES: tuple[Subject, ...] = (LengthBaseline(), RandomBaseline())
