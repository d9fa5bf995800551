"""Scores of subjects on one benchmark: each subject judges its items once, and all measures follow from that."""

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
    """The scores on a benchmark, and a comparison of every two subjects that score responses, without baselines."""

    benchmark: BenchmarkSet
    scores: list[MetricScore]
    comparisons: list[ModelComparison]


def score_subjects(
    benchmark: BenchmarkSet,
    subjects: Sequence[Subject],
    *,
    resamples: int,
    perturb: bool = False,
    track: Track = no_progress,
) -> BenchmarkResult:
    """Score subjects, and the baselines beside them, on the items of a benchmark.

    Args:
        benchmark: The items.
        subjects: Models and judges.
        resamples: Bootstrap resamples of the prompts for the intervals; 0: no intervals.
        perturb: Also ask about pairs made harder (`perturb.py`): every subject judges the items once more for each
            perturbation.
        track: Shows the progress.
    """
    verdicts: dict[str, list[ItemVerdict]] = {}
    scores: list[MetricScore] = []
    for subject in (*subjects, *BASELINES):
        before = verdicts[subject.name] = subject.judge_items(benchmark.items, track=track)
        scores += measure_subject(subject.name, benchmark, before, resamples=resamples)
        if perturb and benchmark.format != GUARD:
            for name in PERTURBATIONS:
                after = subject.judge_items(perturb_items(benchmark.items, name), track=track)
                scores += measure_robustness(
                    subject.name, name, benchmark.items, before, after, resamples=resamples
                )
    comparisons = (
        compare_scores(
            one.name,
            other.name,
            [verdict.scores for verdict in verdicts[one.name]],
            [verdict.scores for verdict in verdicts[other.name]],
            [item.cluster for item in benchmark.items],
            resamples=resamples,
        )
        for one, other in itertools.combinations(subjects, 2)
    )
    return BenchmarkResult(benchmark, scores, [pair for pair in comparisons if pair is not None])


def build_distance_scores(comparisons: Sequence[ModelComparison]) -> list[MetricScore]:
    """Build lines of the score table from comparisons: the subject is one model, the subset names the other."""
    return [
        MetricScore(one, metric, estimate, f"to {other}")
        for pair in comparisons
        for one, other in ((pair.one, pair.other), (pair.other, pair.one))
        for metric, estimate in (
            ("distance", pair.distance),
            ("kendall", pair.kendall),
            ("spearman", pair.spearman),
            ("agreement", pair.agreement),
        )
        if estimate is not None
    ]
