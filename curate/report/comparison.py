"""Models and judges side by side, by benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curate.report.facts import BenchmarkScore
from curate.stats.accuracy import LENGTH, RANDOM

# The first of these that a benchmark has is its headline; of the last, less is better.
_HEADLINES = ("score", "accuracy", "false-positive-rate")
_LESS = "false-positive-rate"
_SUBJECTS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class ComparisonCell:
    """`best`: no other model or judge does better here (baselines do not compete)."""

    value: float
    low: float | None
    high: float | None
    n: int
    best: bool


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """The figures of one model or judge, one a column; None where it was not scored."""

    subject: str
    baseline: bool
    cells: list[ComparisonCell | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`columns`: benchmark and headline metric. `distances`: model, other model, distance."""

    columns: list[tuple[str, str]]
    rows: list[ComparisonRow]
    distances: list[tuple[str, str, BenchmarkScore]]
    left_out: int


def compare_subjects(scores: Sequence[BenchmarkScore]) -> Comparison | None:
    """Compare models and judges by their headline scores; None if there are fewer than two."""
    by_key = {(s.benchmark, s.metric, s.subject): s for s in scores if s.subset in ("", "all")}
    benchmarks = list(dict.fromkeys(benchmark for benchmark, _, _ in by_key))
    columns = [
        (benchmark, metric)
        for benchmark in benchmarks
        for metric in _HEADLINES
        if any(key[:2] == (benchmark, metric) for key in by_key)
    ]
    columns = list({benchmark: (benchmark, metric) for benchmark, metric in reversed(columns)}.values())[::-1]
    subjects = list(dict.fromkeys(subject for b, m, subject in by_key if (b, m) in columns))
    competitors = [subject for subject in subjects if subject not in (LENGTH, RANDOM)]
    if len(competitors) < 2:
        return None
    best = {column: _find_best(column, competitors, by_key) for column in columns}
    rows = [
        ComparisonRow(
            subject,
            subject not in competitors,
            [
                _build_cell(by_key.get((*column, subject)), subject in competitors, best[column])
                for column in columns
            ],
        )
        for subject in (
            *competitors[:_SUBJECTS_SHOWN],
            *(baseline for baseline in (LENGTH, RANDOM) if baseline in subjects),
        )
    ]
    distances = [
        (s.subject, s.subset.removeprefix("to "), s)
        for s in scores
        if s.metric == "distance" and s.subject < s.subset.removeprefix("to ")
    ]
    return Comparison(columns, rows, distances, max(0, len(competitors) - _SUBJECTS_SHOWN))


def _find_best(
    column: tuple[str, str], subjects: Sequence[str], by_key: dict[tuple[str, str, str], BenchmarkScore]
) -> float | None:
    values = [by_key[(*column, subject)].value for subject in subjects if (*column, subject) in by_key]
    return (min if column[1] == _LESS else max)(values) if len(values) > 1 else None


def _build_cell(score: BenchmarkScore | None, competes: bool, best: float | None) -> ComparisonCell | None:
    if score is None:
        return None
    return ComparisonCell(score.value, score.low, score.high, score.n, competes and score.value == best)
