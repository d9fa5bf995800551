"""Distances between reward models: against naive formulas and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from curate.evaluate.distance import compare_scores


def sets(seed: int, models: int = 2, *, ties: bool = False) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 7, 6)
    return [
        [rng.integers(0, 4, n).astype(np.float64) if ties else rng.normal(size=n) for n in sizes]
        for _ in range(models)
    ]


CLUSTERS = list("abcdef")


@given(st.integers(0, 5000))
def test_epic_and_starc_by_their_definitions(seed: int) -> None:
    a, b = sets(seed)
    comparison = compare_scores("a", "b", a, b, CLUSTERS, resamples=0)
    assert comparison is not None
    one, other = (np.concatenate([row - row.mean() for row in scores]) for scores in (a, b))
    rho = np.corrcoef(one, other)[0, 1]  # each is centred already, so this is the Pearson correlation
    assert comparison.distance.value == pytest.approx(math.sqrt((1 - rho) / 2))
    standard = one / np.linalg.norm(one) - other / np.linalg.norm(other)
    assert comparison.distance.value == pytest.approx(np.linalg.norm(standard) / 2)


@given(st.integers(0, 5000))
def test_rank_correlations_as_scipy_has_them(seed: int) -> None:
    a, b = sets(seed, ties=True)
    comparison = compare_scores("a", "b", a, b, CLUSTERS, resamples=0)
    assert comparison is not None
    kept = [(x, y) for x, y in zip(a, b, strict=True) if len(set(x)) > 1 and len(set(y)) > 1]
    if kept:
        assert comparison.kendall is not None
        assert comparison.spearman is not None
        assert comparison.kendall.value == pytest.approx(
            np.mean([stats.kendalltau(x, y).statistic for x, y in kept])
        )
        assert comparison.spearman.value == pytest.approx(
            np.mean([stats.spearmanr(x, y).statistic for x, y in kept])
        )


@given(st.integers(0, 5000), st.floats(0.01, 50), st.floats(-9, 9))
def test_scale_and_what_is_added_to_a_prompt_make_no_difference(
    seed: int, scale: float, shift: float
) -> None:
    a, _ = sets(seed)
    moved = [scale * row + shift * place for place, row in enumerate(a)]
    same = compare_scores("a", "b", a, moved, CLUSTERS, resamples=0)
    opposite = compare_scores("a", "b", a, [-row for row in moved], CLUSTERS, resamples=0)
    assert same is not None
    assert opposite is not None
    assert same.distance.value == pytest.approx(0.0, abs=1e-6)
    assert (same.kendall.value, same.agreement.value) == pytest.approx((1.0, 1.0))  # type: ignore[union-attr]
    assert opposite.distance.value == pytest.approx(1.0)
    assert opposite.agreement.value == pytest.approx(0.0)


@given(st.integers(0, 2000))
def test_it_is_a_metric(seed: int) -> None:
    a, b, c = sets(seed, 3)

    def distance(x: list[np.ndarray], y: list[np.ndarray]) -> float:
        comparison = compare_scores("x", "y", x, y, CLUSTERS, resamples=0)
        assert comparison is not None
        return comparison.distance.value

    assert distance(a, b) == pytest.approx(distance(b, a))
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9


def test_what_one_of_them_does_not_score_is_left_out() -> None:
    a, b = sets(3)
    silent = [np.full_like(row, np.nan) if at else row for at, row in enumerate(b)]
    comparison = compare_scores("a", "b", a, silent, CLUSTERS, resamples=100)
    assert comparison is not None
    assert comparison.distance.n == 1
    assert comparison.distance.low is None
    assert compare_scores("a", "b", a, [row * np.nan for row in b], CLUSTERS, resamples=100) is None


def test_a_model_that_says_nothing_is_unrelated_to_all() -> None:
    a, b = sets(4)
    comparison = compare_scores("a", "b", a, [0 * row for row in b], CLUSTERS, resamples=100)
    assert comparison is not None
    assert comparison.distance.value == pytest.approx(math.sqrt(0.5))
    assert comparison.kendall is None
    assert comparison.agreement.value == 0.5


def test_intervals_hold_the_value() -> None:
    a, b = sets(5)
    comparison = compare_scores("a", "b", a, b, CLUSTERS, resamples=500)
    assert comparison is not None
    low, high = comparison.distance.low, comparison.distance.high
    assert low is not None
    assert high is not None
    assert low <= comparison.distance.value <= high
