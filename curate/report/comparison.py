"""Models and judges side by side: who stands where on which benchmark."""

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
    """None where there are fewer than two models or judges to compare."""
    found = {(s.benchmark, s.metric, s.subject): s for s in scores if s.subset in ("", "all")}
    benchmarks = list(dict.fromkeys(benchmark for benchmark, _, _ in found))
    columns = [
        (benchmark, metric)
        for benchmark in benchmarks
        for metric in _HEADLINES
        if any(key[:2] == (benchmark, metric) for key in found)
    ]
    columns = list({benchmark: (benchmark, metric) for benchmark, metric in reversed(columns)}.values())[::-1]
    subjects = list(dict.fromkeys(subject for b, m, subject in found if (b, m) in columns))
    people = [subject for subject in subjects if subject not in (LENGTH, RANDOM)]
    if len(people) < 2:
        return None
    best = {column: _find_best(column, people, found) for column in columns}
    rows = [
        ComparisonRow(
            subject,
            subject not in people,
            [
                _build_cell(found.get((*column, subject)), subject in people, best[column])
                for column in columns
            ],
        )
        for subject in (*people[:_SUBJECTS_SHOWN], *(each for each in (LENGTH, RANDOM) if each in subjects))
    ]
    distances = [
        (s.subject, s.subset.removeprefix("to "), s)
        for s in scores
        if s.metric == "distance" and s.subject < s.subset.removeprefix("to ")
    ]
    return Comparison(columns, rows, distances, max(0, len(people) - _SUBJECTS_SHOWN))


def _find_best(
    column: tuple[str, str], subjects: Sequence[str], found: dict[tuple[str, str, str], BenchmarkScore]
) -> float | None:
    values = [found[(*column, subject)].value for subject in subjects if (*column, subject) in found]
    return (min if column[1] == _LESS else max)(values) if len(values) > 1 else None


def _build_cell(score: BenchmarkScore | None, competes: bool, best: float | None) -> ComparisonCell | None:
    if score is None:
        return None
    return ComparisonCell(score.value, score.low, score.high, score.n, competes and score.value == best)
