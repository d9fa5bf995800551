"""Models and judges side by side: who stands where on which benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curate.report.facts import Score
from curate.stats.accuracy import LENGTH, RANDOM

# The first of these that a benchmark has is its headline; of the last, less is better.
_HEADLINES = ("score", "accuracy", "false-positive-rate")
_LESS = "false-positive-rate"
_SUBJECTS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Cell:
    """`best`: no other model or judge does better here (baselines do not compete)."""

    value: float
    low: float | None
    high: float | None
    n: int
    best: bool


@dataclass(frozen=True, slots=True)
class Row:
    subject: str
    baseline: bool
    cells: list[Cell | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`columns`: benchmark and headline metric. `distances`: model, other model, distance."""

    columns: list[tuple[str, str]]
    rows: list[Row]
    distances: list[tuple[str, str, Score]]
    left_out: int


def comparison(scores: Sequence[Score]) -> Comparison | None:
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
    best = {column: _best(column, people, found) for column in columns}
    rows = [
        Row(
            subject,
            subject not in people,
            [_cell(found.get((*column, subject)), subject in people, best[column]) for column in columns],
        )
        for subject in (*people[:_SUBJECTS_SHOWN], *(each for each in (LENGTH, RANDOM) if each in subjects))
    ]
    distances = [
        (s.subject, s.subset.removeprefix("to "), s)
        for s in scores
        if s.metric == "distance" and s.subject < s.subset.removeprefix("to ")
    ]
    return Comparison(columns, rows, distances, max(0, len(people) - _SUBJECTS_SHOWN))


def _best(
    column: tuple[str, str], subjects: Sequence[str], found: dict[tuple[str, str, str], Score]
) -> float | None:
    values = [found[(*column, subject)].value for subject in subjects if (*column, subject) in found]
    return (min if column[1] == _LESS else max)(values) if len(values) > 1 else None


def _cell(score: Score | None, competes: bool, best: float | None) -> Cell | None:
    if score is None:
        return None
    return Cell(score.value, score.low, score.high, score.n, competes and score.value == best)
