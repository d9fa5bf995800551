"""Subjects on a benchmark: their opinions once, and everything that follows from them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from curate.config.evaluate import GUARD
from curate.core.progress import Track, no_progress
from curate.evaluate.benchmark import BenchmarkSet
from curate.evaluate.distance import ModelComparison, compare_scores
from curate.evaluate.measures import measure_subject
from curate.evaluate.perturb import PERTURBATIONS, measure_robustness, perturb_items
from curate.evaluate.scores import MetricScore
from curate.evaluate.verdicts import BASELINES, ItemVerdict, Subject


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """`comparisons`: of every two subjects that score responses; baselines are not compared."""

    of: BenchmarkSet
    scores: list[MetricScore]
    comparisons: list[ModelComparison]


def score_subjects(
    of: BenchmarkSet,
    subjects: Sequence[Subject],
    *,
    resamples: int,
    perturb: bool = False,
    track: Track = no_progress,
) -> BenchmarkResult:
    """Score `subjects`, and the baselines beside them, on the items of `of`.

    `perturb`: also on pairs made harder (`perturb.py`), which asks each subject again for each way to do it.
    """
    opinions: dict[str, list[ItemVerdict]] = {}
    scores: list[MetricScore] = []
    for subject in (*subjects, *BASELINES):
        said = opinions[subject.name] = subject.judge_items(of.items, track=track)
        scores += measure_subject(subject.name, of, said, resamples=resamples)
        if perturb and of.format != GUARD:
            for name in PERTURBATIONS:
                after = subject.judge_items(perturb_items(of.items, name), track=track)
                scores += measure_robustness(subject.name, name, of.items, said, after, resamples=resamples)
    found = (
        compare_scores(
            one.name,
            other.name,
            [each.scores for each in opinions[one.name]],
            [each.scores for each in opinions[other.name]],
            [item.cluster for item in of.items],
            resamples=resamples,
        )
        for one, other in itertools.combinations(subjects, 2)
    )
    return BenchmarkResult(of, scores, [each for each in found if each is not None])


def build_distance_scores(comparisons: Sequence[ModelComparison]) -> list[MetricScore]:
    """Comparisons as lines of the score table: the subject is one model, the subset names the other."""
    return [
        MetricScore(one, metric, estimate, f"to {other}")
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
