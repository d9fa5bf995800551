"""Linear heads: the least-squares solution, that flips only scale it, and that no label of a fold reaches its head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.reward.embedding_reward import build_features
from curate.train.bradley_terry import EmbeddedPairs, HeadFit
from curate.train.linear import (
    _PENALTIES,
    _SCALES,
    _solve_heads,
    _solve_penalties,
    _sum_by_fold,
    _weigh_solutions,
    fit_linear_heads,
)

FOLDS = 3


def silent(_: int, note: str = "") -> None:
    pass


def make_items(prompts: int = 90, *, flipped: float = 0.0, seed: int = 0) -> EmbeddedPairs:
    """Two responses a prompt; the better one lies further along a fixed direction; a share of the labels is wrong."""
    rng = np.random.default_rng(seed)

    def unit(*shape: int) -> np.ndarray:
        vectors = rng.standard_normal(shape)
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)

    responses, direction = unit(2 * prompts, 8), unit(8)
    better = (responses @ direction).reshape(-1, 2).argmax(axis=1)
    first, fold = 2 * np.arange(prompts), np.arange(prompts) % FOLDS
    return EmbeddedPairs(
        prompts=unit(prompts, 8),
        responses=responses,
        prompt_of=np.repeat(np.arange(prompts), 2),
        chosen=first + better,
        rejected=first + 1 - better,
        p_chosen=np.where(rng.random(prompts) < flipped, 0.0, 1.0),
        weight=rng.uniform(0.5, 2.0, prompts),
        fold=fold,
        response_fold=np.repeat(fold, 2),
    )


def margins(items: EmbeddedPairs, result: HeadFit, head: int) -> np.ndarray:
    inputs = build_features(items.prompts[items.prompt_of], items.responses)
    scores = result.heads.score(inputs, head)
    return scores[items.chosen] - scores[items.rejected]


def test_it_is_weighted_least_squares_with_a_penalty() -> None:
    items = make_items()
    products, targets = _sum_by_fold(items, FOLDS)
    unit = float(products.sum(dim=0).trace()) / products.shape[1]
    found = _solve_penalties(products.sum(dim=0), targets.sum(dim=0), unit)
    inputs = build_features(items.prompts[items.prompt_of], items.responses).astype(np.float64)
    x, y = inputs[items.chosen] - inputs[items.rejected], 2.0 * items.p_chosen - 1.0
    for weights, penalty in zip(found, _PENALTIES * unit, strict=True):
        gradient = x.T @ (items.weight * (x @ weights - y)) + penalty * weights
        assert gradient == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.0, 0.45), st.integers(0, 9))
def test_flips_at_one_rate_only_shrink_what_is_expected(rate: float, seed: int) -> None:
    """The labels' expectation under flips, 2p − 1 = (1 − 2η)(2p₀ − 1), turns no solution."""
    items = make_items(seed=seed)
    noisy = replace(items, p_chosen=(1.0 - rate) * items.p_chosen + rate * (1.0 - items.p_chosen))
    (product, aim), (_, weaker) = (
        [each.sum(dim=0) for each in _sum_by_fold(one, FOLDS)] for one in (items, noisy)
    )
    clean, shrunk = _solve_penalties(product, aim, 1.0), _solve_penalties(product, weaker, 1.0)
    assert shrunk == pytest.approx((1.0 - 2.0 * rate) * clean, abs=1e-9)


@pytest.mark.parametrize("flipped", [0.0, 0.3])
def test_every_head_learns_what_the_others_have_not_seen(flipped: float) -> None:
    items = make_items(900, flipped=flipped)
    result = fit_linear_heads(items, FOLDS, silent)
    for head in range(FOLDS):
        assert (margins(items, result, head)[items.fold == head] > 0).mean() > (0.9 if not flipped else 0.8)
    assert result.held_out_loss[0] < np.log(2)


def test_scores_are_log_odds() -> None:
    """Labels drawn from a Bradley–Terry model are predicted about as surely as they are right."""
    items = make_items(2400, flipped=0.25)
    found = margins(items, fit_linear_heads(items, FOLDS, silent), FOLDS)
    sure = 1.0 / (1.0 + np.exp(-np.abs(found)))
    right = np.where(found > 0, items.p_chosen, 1.0 - items.p_chosen)
    assert sure.mean() == pytest.approx(right.mean(), abs=0.05)


def test_labels_of_a_fold_do_not_reach_its_own_head() -> None:
    items = make_items()
    poisoned = replace(items, p_chosen=np.where(items.fold == 1, 0.0, 1.0))
    one, other = (_solve_heads(each, FOLDS, silent) for each in (items, poisoned))
    assert [np.array_equal(*each) for each in zip(one, other, strict=True)] == [False, True, False, False]


def test_a_label_of_one_half_says_nothing_and_a_weight_of_zero_is_no_pair() -> None:
    items = make_items()
    undecided = fit_linear_heads(replace(items, p_chosen=np.full(90, 0.5)), FOLDS, silent)
    assert margins(items, undecided, FOLDS) == pytest.approx(0.0)
    assert undecided.held_out_loss[0] == pytest.approx(np.log(2))
    ignored = np.arange(90) % 4 == 0
    weight = np.where(ignored, 0.0, 1.0)
    one = fit_linear_heads(replace(items, weight=weight), FOLDS, silent)
    other = fit_linear_heads(
        replace(items, weight=weight, p_chosen=np.where(ignored, 0.0, 1.0)), FOLDS, silent
    )
    assert np.array_equal(one.heads.w1, other.heads.w1)


def test_penalties_count_by_how_often_they_are_the_best() -> None:
    rng = np.random.default_rng(0)
    losses = np.full((3, len(_SCALES), 200), 1.0)
    losses[1, 4] = 0.5  # at the fifth scale
    assert _weigh_solutions(losses) == pytest.approx([0.0, _SCALES[4], 0.0])
    losses[2, 7] = 0.5 + 0.2 * rng.standard_normal(200)  # hardly another: on some samples the better one
    losses[2, 7] += 0.5 - losses[2, 7].mean()
    _, second, third = _weigh_solutions(losses) / _SCALES[[0, 4, 7]]
    assert second + third == pytest.approx(1.0)
    assert 0.3 < third < 0.7
