"""Subjects on a benchmark: their opinions once, and everything that follows from them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from curate.config.evaluate import GUARD
from curate.core.progress import Track, no_progress
from curate.evaluate.benchmark import ItemSet
from curate.evaluate.distance import Comparison, compared
from curate.evaluate.measures import measured
from curate.evaluate.perturb import PERTURBATIONS, perturbed, robustness
from curate.evaluate.scores import Score
from curate.evaluate.verdicts import BASELINES, Opinion, Subject


@dataclass(frozen=True, slots=True)
class Result:
    """`comparisons`: of every two subjects that score responses; baselines are not compared."""

    of: ItemSet
    scores: list[Score]
    comparisons: list[Comparison]


def benchmarked(
    of: ItemSet,
    subjects: Sequence[Subject],
    *,
    resamples: int,
    perturb: bool = False,
    track: Track = no_progress,
) -> Result:
    """Score `subjects`, and the baselines beside them, on the items of `of`.

    `perturb`: also on pairs made harder (`perturb.py`), which asks each subject again for each way to do it.
    """
    opinions: dict[str, list[Opinion]] = {}
    scores: list[Score] = []
    for subject in (*subjects, *BASELINES):
        said = opinions[subject.name] = subject.opinions(of.items, track=track)
        scores += measured(subject.name, of, said, resamples=resamples)
        if perturb and of.format != GUARD:
            for name in PERTURBATIONS:
                after = subject.opinions(perturbed(of.items, name), track=track)
                scores += robustness(subject.name, name, of.items, said, after, resamples=resamples)
    found = (
        compared(
            one.name,
            other.name,
            [each.scores for each in opinions[one.name]],
            [each.scores for each in opinions[other.name]],
            [item.cluster for item in of.items],
            resamples=resamples,
        )
        for one, other in itertools.combinations(subjects, 2)
    )
    return Result(of, scores, [each for each in found if each is not None])


def distance_scores(comparisons: Sequence[Comparison]) -> list[Score]:
    """Comparisons as lines of the score table: the subject is one model, the subset names the other."""
    return [
        Score(one, metric, estimate, f"to {other}")
        for each in comparisons
        for one, other in ((each.one, each.other), (each.other, each.one))
        for metric, estimate in (
            ("distance", each.distance),
            ("kendall", each.kendall),
            ("spearman", each.spearman),
            ("agreement", each.agreement),
        )
        if estimate is not None
    ]
