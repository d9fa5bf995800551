"""Models and judges side by side."""

from __future__ import annotations

from curate.report.comparison import compare_subjects
from curate.report.facts import BenchmarkScore
from curate.stats.accuracy import LENGTH, RANDOM


def score(
    subject: str, value: float, *, benchmark: str = "rb2", metric: str = "accuracy", subset: str = "all"
) -> BenchmarkScore:
    return BenchmarkScore(benchmark, subset, metric, subject, value, value - 0.1, value + 0.1, 9)


def test_the_headline_of_each_benchmark_and_who_is_best() -> None:
    found = compare_subjects(
        [
            score("one", 0.6),
            score("one", 0.4, metric="score"),
            score("two", 0.7),
            score("two", 0.3, metric="score"),
            score("one", 0.9, subset="Math"),
            score("one", 0.1, benchmark="guard", metric="false-positive-rate"),
            score("two", 0.2, benchmark="guard", metric="false-positive-rate"),
            score("two", 0.55, benchmark="gold"),
            score(LENGTH, 0.99, metric="score"),
            score("one", 0.2, metric="distance", subset="to two"),
            score("two", 0.2, metric="distance", subset="to one"),
        ]
    )
    assert found is not None
    assert found.columns == [("rb2", "score"), ("guard", "false-positive-rate"), ("gold", "accuracy")]
    one, two, length = found.rows
    assert [(cell.value, cell.best) if cell else None for cell in one.cells] == [
        (0.4, True),
        (0.1, True),
        None,
    ]
    assert [(cell.value, cell.best) if cell else None for cell in two.cells] == [
        (0.3, False),
        (0.2, False),
        (0.55, False),
    ]
    assert length.baseline
    assert not any(cell.best for cell in length.cells if cell)
    assert [(a, b) for a, b, _ in found.distances] == [("one", "two")]


def test_one_model_beside_baselines_is_no_comparison() -> None:
    assert compare_subjects([score("one", 0.6), score(LENGTH, 0.5), score(RANDOM, 0.5)]) is None
    assert compare_subjects([]) is None
