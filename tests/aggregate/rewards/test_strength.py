"""Strength by models that never saw the pair, and what is done about it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.aggregate.rewards import (
    folds_by_prompt,
    preference_strength,
    treat_by_posterior,
    treat_by_quantile,
)
from curate.core.errors import CurateError

shapes = st.tuples(st.integers(1, 12), st.integers(1, 4))
margins = shapes.flatmap(
    lambda shape: st.tuples(arrays(np.float64, shape, elements=st.floats(-9, 9)), arrays(np.bool_, shape))
)


@given(margins)
def test_only_models_that_did_not_train_on_a_pair_speak(drawn):
    margin, trained = drawn
    found = preference_strength(margin, trained)
    for q in range(len(margin)):
        told = margin[q][~trained[q]]
        assert found.models[q] == len(told)
        if len(told):
            assert found.mean[q] == pytest.approx(told.mean(), abs=1e-9)
            assert found.sd[q] == pytest.approx(told.std(ddof=1) if len(told) > 1 else 0.0, abs=1e-9)
            assert found.p_right[q] == pytest.approx(np.mean(1 / (1 + np.exp(-told))))
        else:
            assert np.isnan([found.mean[q], found.sd[q], found.p_right[q]]).all()


@given(st.integers(0, 1000), st.integers(2, 5))
def test_folds_keep_prompts_whole_and_even(seed, folds):
    prompt = np.random.default_rng(seed).integers(0, 20, 100).astype(np.int32)
    fold = folds_by_prompt(prompt, folds, seed=seed)
    per_prompt = [np.unique(fold[prompt == p]) for p in np.unique(prompt)]
    assert all(len(of) == 1 for of in per_prompt)
    sizes = np.bincount(np.concatenate(per_prompt), minlength=folds)
    assert sizes.max() - sizes.min() <= 1


def test_cross_fitted_strength_finds_flipped_labels():
    """Linear Bradley–Terry models on cross-fitted folds: labels that were flipped get the lowest strength."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, 5))
    truth = features @ np.array([2.0, -1.0, 1.5, 0.5, -2.0])
    features *= np.sign(truth)[:, None]  # chosen less rejected
    wrong = rng.random(600) < 0.15
    features[wrong] *= -1
    fold = folds_by_prompt(np.arange(600, dtype=np.int32), 3)
    scored = np.empty((600, 3))
    for k in range(3):
        weight = np.zeros(5)
        train = features[fold != k]
        for _ in range(200):
            weight += 0.01 * train.T @ (1 / (1 + np.exp(train @ weight))) - 0.01 * weight
        scored[:, k] = features @ weight
    strength = preference_strength(scored, fold[:, None] != np.arange(3))
    assert np.all(strength.models == 1)
    treated = treat_by_quantile(strength, flip=0.1)
    assert treated.flip.sum() == 60
    assert wrong[treated.flip].mean() > 0.9


def test_quantiles_partition_the_pairs():
    strength = preference_strength(np.array([[-2.0], [-1.0], [0.1], [1.0], [5.0], [np.nan]]))
    treated = treat_by_quantile(strength, flip=0.2, drop=0.4, soften=0.2, smoothing=0.05)
    assert treated.flip.tolist() == [True, False, False, False, False, False]
    assert treated.keep.tolist() == [True, False, False, True, True, True]
    assert treated.smoothing.tolist() == [0, 0, 0, 0, 0.05, 0]
    assert treated.margin.tolist() == [2.0, 0, 0.1, 1.0, 5.0, 0]


def test_no_label_is_flipped_that_the_models_support():
    treated = treat_by_quantile(preference_strength(np.array([[0.5], [1.0]])), flip=0.5)
    assert not treated.flip.any()
    assert treated.keep.tolist() == [False, True]


@given(margins, st.floats(0, 0.5), st.floats(0, 0.5))
def test_posterior_bounds_are_obeyed(drawn, flip_below, more):
    strength = preference_strength(*drawn)
    treated = treat_by_posterior(
        strength, flip_below=flip_below, keep_above=flip_below + more, soften_above=1.0
    )
    p = np.where(strength.models > 0, strength.p_right, 1.0)
    np.testing.assert_array_equal(treated.flip, p < flip_below)
    np.testing.assert_array_equal(treated.keep, ~((p >= flip_below) & (p < flip_below + more)))
    assert np.all(treated.margin >= 0)


def test_wrong_arguments_are_refused():
    strength = preference_strength(np.zeros((2, 2)))
    with pytest.raises(CurateError, match="sum to at most 1"):
        treat_by_quantile(strength, flip=0.8, drop=0.4)
    with pytest.raises(CurateError, match="rising"):
        treat_by_posterior(strength, flip_below=0.6)
    with pytest.raises(CurateError, match="smoothing is 0"):
        treat_by_quantile(strength, smoothing=0.7)
    with pytest.raises(CurateError, match="give 2 or more"):
        folds_by_prompt(np.zeros(3, np.int32), 1)
    with pytest.raises(CurateError, match="1 prompts for 2 folds"):
        folds_by_prompt(np.zeros(3, np.int32), 2)
    with pytest.raises(CurateError, match="shape"):
        preference_strength(np.zeros((2, 2)), np.zeros((2, 1), np.bool_))
