"""The kernels against scikit-learn, and selection on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from curate.rubric.selection import (
    PairMatrix,
    SelectionOptions,
    predict_held_out,
    select_criteria,
    split_folds,
)
from curate.rubric.sparse import expit, fit_dense, fit_path, fit_sparse

FAST = SelectionOptions(halvings=20, resamples=60)


def draw(n: int, weights: list[float], seed: int = 0) -> PairMatrix:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(weights)))
    is_better = rng.random(n) < expit(x @ np.array(weights))
    x[~is_better] *= -1.0  # the first of each pair is the better one
    return PairMatrix(x, np.ones(n), np.ones(n), np.arange(n))


def mirror(pairs: PairMatrix) -> tuple[np.ndarray, np.ndarray]:
    """Rows in both orders, as a classifier of two classes needs them."""
    return np.vstack([pairs.differences, -pairs.differences]), np.repeat([1, 0], len(pairs.differences))


@pytest.mark.parametrize("penalty", [0.01, 0.05, 0.2])
def test_sparse_weights_are_those_of_scikit_learn(penalty: float) -> None:
    pairs = draw(300, [1.0, -0.5, 0.0, 0.0, 0.2])
    x, y = mirror(pairs)
    reference = LogisticRegression(
        l1_ratio=1.0,
        C=1.0 / (penalty * len(y)),
        fit_intercept=False,
        solver="saga",
        tol=1e-8,
        max_iter=20_000,
    ).fit(x, y)
    weights = fit_sparse(pairs.differences, pairs.p_chosen, pairs.weight, penalty)
    assert weights == pytest.approx(reference.coef_[0], abs=2e-4)


def test_dense_weights_are_those_of_scikit_learn() -> None:
    pairs = draw(300, [1.0, -0.5, 0.0])
    x, y = mirror(pairs)
    reference = LogisticRegression(
        C=1.0 / (0.01 * len(y)), fit_intercept=False, tol=1e-10, max_iter=1000
    ).fit(x, y)
    weights = fit_dense(pairs.differences, pairs.p_chosen, pairs.weight, ridge=0.01)
    assert weights == pytest.approx(reference.coef_[0], abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6), st.floats(0.005, 0.3))
def test_no_neighbour_has_a_lower_loss(seed: int, size: int, penalty: float) -> None:
    rng = np.random.default_rng(seed)
    x, p = rng.normal(size=(40, size)), rng.random(40)
    weights = fit_sparse(x, p, np.ones(40), penalty)

    def compute_loss(w: np.ndarray) -> float:
        z = x @ w
        return float(
            np.mean(p * np.logaddexp(0, -z) + (1 - p) * np.logaddexp(0, z)) + penalty * np.abs(w).sum()
        )

    best = compute_loss(weights)
    for j in range(size):
        for step in (-0.01, 0.01):
            moved = weights.copy()
            moved[j] += step
            assert compute_loss(moved) >= best - 1e-9


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_exchanging_the_responses_of_pairs_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, p = rng.normal(size=(30, 4)), rng.random(30)
    turned = rng.random(30) < 0.5
    first = fit_sparse(x, p, np.ones(30), 0.05)
    second = fit_sparse(np.where(turned[:, None], -x, x), np.where(turned, 1 - p, p), np.ones(30), 0.05)
    assert first == pytest.approx(second, abs=1e-5)


def test_weights_of_pairs_count_as_repeats_would() -> None:
    pairs = draw(50, [1.0, -1.0])
    counts = np.arange(50) % 3 + 1
    repeated = np.repeat(np.arange(50), counts)
    weighted = fit_sparse(pairs.differences, pairs.p_chosen, counts.astype(float), 0.02)
    listed = fit_sparse(pairs.differences[repeated], pairs.p_chosen[repeated], np.ones(len(repeated)), 0.02)
    assert weighted == pytest.approx(listed, abs=1e-5)


def test_a_path_ends_before_it_has_too_many() -> None:
    path = fit_path(*(lambda m: (m.differences, m.p_chosen, m.weight))(draw(200, [1.0] * 8)), most=3)
    counts = (path.weights != 0).sum(axis=1)
    assert counts.max() <= 3
    assert (np.diff(path.penalty) < 0).all()


def test_selection_finds_what_decides_with_its_sign() -> None:
    weights = [1.5, 0.0, -1.2, *[0.0] * 17]
    selection = select_criteria(draw(600, weights), FAST)
    assert sorted(selection.chosen.tolist()) == [0, 2]
    signs = {
        int(column): np.sign(weight)
        for column, weight in zip(selection.chosen, selection.weights, strict=True)
    }
    assert signs == {0: 1.0, 2: -1.0}
    assert (selection.low * selection.high > 0).all()


def test_selection_of_noise_is_nearly_always_empty() -> None:
    counts = [len(select_criteria(draw(200, [0.0] * 20, seed), FAST).chosen) for seed in range(12)]
    assert sum(map(bool, counts)) <= 4  # one in ten on average; five of twelve in less than 1 % of cases
    margin = predict_held_out(draw(300, [0.0] * 20), FAST)
    assert abs(float((margin > 0).mean() + 0.5 * (margin == 0).mean()) - 0.5) < 0.1


def test_unknown_differences_count_as_none() -> None:
    pairs = draw(400, [1.5, 0.0, 0.0])
    holes = pairs.differences.copy()
    holes[::2, 1] = np.nan
    selection = select_criteria(PairMatrix(holes, pairs.p_chosen, pairs.weight, pairs.cluster), FAST)
    assert selection.chosen.tolist() == [0]
    assert np.isfinite(selection.score(holes)).all()


def test_held_out_prompts_are_whole() -> None:
    cluster = np.repeat(np.arange(13), 3)
    folds = split_folds(cluster, 5, 0)
    assert np.sum(folds, axis=0).tolist() == [1] * 39
    for held_out in folds:
        assert not set(cluster[held_out]) & set(cluster[~held_out])
