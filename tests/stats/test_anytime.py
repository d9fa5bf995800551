"""Tests by betting: an exact oracle over all orders, properties, and quick coverage with fixed seeds."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.core.errors import CurateError
from curate.stats.anytime import (
    RESERVE,
    certify_anytime,
    certify_strata_anytime,
    compute_gains,
    grow_wealth,
)
from curate.stats.guarantee import count_labels_needed

OUTCOMES = st.lists(st.sampled_from([1, -1, 0]), min_size=1, max_size=60)


@given(st.lists(st.sampled_from([1, -1, 0]), min_size=2, max_size=4), st.sampled_from([0.1, 0.3, 0.5]))
def test_the_wealth_shrinks_on_average_over_all_orders_wherever_the_promise_would_be_false(outcomes, alpha):
    gains = compute_gains(np.array(outcomes, np.int8), alpha)
    total = float(gains.sum())
    orders = [list(order) for order in permutations(range(len(gains)))]
    paths = np.array([grow_wealth(gains[order], len(gains), alpha, max(total, 0.0)) for order in orders])
    if total >= 0:  # the sum that the bets are against is the true one
        assert np.all(paths.mean(0) <= 1 + 1e-9)
    else:
        assert np.all(np.diff(paths.mean(0)) <= 1e-9)


@given(OUTCOMES, st.integers(0, 200), st.floats(0, 3), st.floats(0, 3))
def test_the_wealth_falls_with_the_sum_that_it_bets_against(outcomes, more, one, other):
    gains, size = compute_gains(np.array(outcomes, np.int8), 0.1), len(outcomes) + more
    low, high = sorted([one, other])
    assert np.all(grow_wealth(gains, size, 0.1, low) >= grow_wealth(gains, size, 0.1, high) - 1e-9)
    assert grow_wealth(gains, size, 0.1, high).min() >= RESERVE - 1e-9


@given(OUTCOMES)
def test_one_disagreement_more_never_helps(outcomes):
    agrees = np.array(outcomes, np.int8)
    worse = np.concatenate([agrees, [-1]]).astype(np.int8)
    better = np.concatenate([agrees, [1]]).astype(np.int8)
    sizes = len(agrees) + 1000
    wealth = [grow_wealth(compute_gains(labels, 0.1), sizes, 0.1)[-1] for labels in (worse, agrees, better)]
    assert wealth[0] < wealth[1] < wealth[2]


def test_a_set_without_an_error_needs_about_35_labels_and_a_finite_one_fewer():
    right = np.full(60, 0.1)
    large = int(np.argmax(grow_wealth(right, 10**6, 0.1) >= 10))
    small = int(np.argmax(grow_wealth(right, 80, 0.1) >= 10))
    assert 22 < large <= 38
    assert small < large


def test_false_promises_at_any_look_stay_below_delta():
    broken = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        gains = np.where(rng.random(600) < 0.11, -0.9, 0.1)
        broken += bool(grow_wealth(gains, 10**6, 0.1).max() >= 10)
    assert broken / 200 <= 0.1
    assert broken > 0  # the test is not idle


def test_false_promises_stay_below_delta_over_thresholds_and_new_revisions():
    broken = 0
    for seed in range(10):
        rng, wealth = np.random.default_rng(seed), 1.0
        for _ in range(3):  # the panel is changed three times, and never gets better
            confidence, wrong = rng.random(400), np.zeros(400, np.int8)
            wrong[rng.permutation(400)[:48]] = 1
            order = rng.permutation(400)[:150]
            for n in (50, 100, 150):
                agrees = np.where(wrong[order[:n]] == 1, -1, 1).astype(np.int8)
                test = certify_anytime(confidence, order[:n], agrees, alpha=0.1, delta=0.1, wealth=wealth)
                accepted = confidence >= test.guarantee.strata[0].threshold
                broken += bool(accepted.any()) and float(wrong[accepted].mean()) > 0.1
            wealth *= test.left
    assert wealth <= 1.0
    assert broken <= 1


def test_labels_needed_are_at_most_half_more_than_for_one_look():
    for error in (0.04, 0.06):
        needed = []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            gains = np.where(rng.random(1500) < error, -0.9, 0.1)
            needed.append(int(np.argmax(grow_wealth(gains, 10**6, 0.1) >= 10)))
        one_look = count_labels_needed(error, alpha=0.1, delta=0.1)
        assert one_look is not None
        assert np.mean(needed) <= 1.5 * one_look


@pytest.mark.parametrize("pairs", [180, 5000])
def test_a_number_of_labels_is_only_named_where_it_would_leave_pairs_to_promise_anything_about(pairs):
    """Of few pairs hardly any are without a label by the time that there are labels enough."""
    none = np.zeros(0, np.int64)
    confidence = np.full(pairs, 0.9)

    def certify(drawn, agrees):
        return certify_anytime(confidence, drawn, agrees, alpha=0.1, delta=0.1).guarantee.strata[0]

    needed = certify(none, none.astype(np.int8)).labels_needed
    promises = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        agrees = np.where(rng.permutation(pairs) < 0.05 * pairs, -1, 1).astype(np.int8)
        order = rng.permutation(pairs)
        looks = range(20, min(2 * needed, pairs - 10), 10)
        promises += any(certify(order[:n], agrees[order[:n]]).holds for n in looks)
    assert (needed <= pairs) == (promises > 15)


def test_thresholds_are_walked_from_strict_to_loose():
    rng = np.random.default_rng(0)
    confidence = rng.random(2000)
    wrong = rng.random(2000) < np.where(confidence > 0.5, 0.01, 0.4)
    order = rng.permutation(2000)[:300]
    agrees = np.where(wrong[order], -1, 1).astype(np.int8)
    test = certify_anytime(confidence, order, agrees, alpha=0.1, delta=0.1)
    found = test.guarantee.strata[0]
    assert 0.3 < found.threshold < 0.55
    assert found.upper <= 0.1
    assert found.n == int((confidence[order] >= found.threshold).sum())
    assert test.left < 1  # on loose thresholds the wealth is lost
    dropped = np.zeros(2000, np.bool_)
    dropped[np.flatnonzero(confidence > 0.6)[:500]] = True
    fewer = certify_anytime(confidence, order, agrees, alpha=0.1, delta=0.1, dropped=dropped)
    assert fewer.guarantee.strata[0].threshold >= found.threshold


def test_strata_share_delta_by_their_pairs():
    rng = np.random.default_rng(0)
    stratum = np.repeat([0, 1], [1500, 500])
    order = rng.permutation(2000)[:1000]
    test = certify_strata_anytime(
        rng.random(2000), stratum, order, np.ones(1000, np.int8), alpha=0.1, delta=0.1
    )
    assert {name: part.delta for name, part in test.guarantee.strata.items()} == pytest.approx(
        {0: 0.075, 1: 0.025}
    )
    assert test.guarantee.accepted == 1.0
    assert test.lead == np.inf


def test_more_labels_than_pairs_are_refused():
    with pytest.raises(CurateError, match="drawn once"):
        grow_wealth(np.full(5, 0.1), 4, 0.1)
