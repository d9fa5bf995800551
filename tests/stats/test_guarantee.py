from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from curate.core.errors import CurateError
from curate.stats.guarantee import (
    certify_strata,
    certify_threshold,
    clopper_pearson,
    count_labels_needed,
    fewest_labels,
    prediction_powered_error,
)


@given(
    st.integers(0, 60)
    .flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
    .filter(lambda kn: kn[1] > 0)
)
def test_bounds_are_scipys_exact_ones(kn):
    k, n = kn
    lower, upper = clopper_pearson(k, n, 0.05)
    interval = binomtest(k, n).proportion_ci(confidence_level=0.9, method="exact")
    assert lower == pytest.approx(interval.low, abs=1e-9)
    assert upper == pytest.approx(interval.high, abs=1e-9)


def test_fewest_labels_is_the_smallest():
    for errors in (0, 1, 2, 5):
        n = fewest_labels(0.1, 0.1, errors=errors)
        assert binom.cdf(errors, n, 0.1) <= 0.1 < binom.cdf(errors, n - 1, 0.1)
    assert fewest_labels(0.1, 0.1) == 22


def population(rng, n=2000, worst=0.5):
    """Pairs whose error falls with confidence, but not as the confidence says."""
    confidence = rng.uniform(0.5, 1, n)
    return confidence, rng.random(n) > worst * (1 - confidence) * 2


def test_the_promise_is_kept_in_500_draws():
    rng = np.random.default_rng(0)
    broken, accepted = 0, []
    for _ in range(500):
        confidence, agrees = population(rng)
        chosen = np.sort(rng.permutation(2000)[:200])
        found = certify_threshold(confidence, chosen, agrees[chosen], alpha=0.1, delta=0.1)
        above = confidence >= found.threshold
        broken += bool(above.any()) and float(np.mean(~agrees[above])) > 0.1
        accepted.append(found.accepted)
    assert broken / 500 <= 0.1
    assert np.mean(accepted) > 0.1


def test_strata_keep_the_promise_together_in_200_draws():
    rng = np.random.default_rng(1)
    broken = 0
    for _ in range(200):
        confidence, agrees = population(rng)
        stratum = rng.integers(0, 3, 2000)
        agrees &= ~((stratum == 2) & (rng.random(2000) < 0.3))
        chosen = np.sort(rng.permutation(2000)[:400])
        found = certify_strata(confidence, stratum, chosen, agrees[chosen], alpha=0.1, delta=0.1)
        worst = 0.0
        for name, part in found.strata.items():
            above = (stratum == name) & (confidence >= part.threshold)
            worst = max(worst, float(np.mean(~agrees[above])) if above.any() else 0.0)
        broken += worst > 0.1
    assert broken / 200 <= 0.1


def test_too_few_labels_say_how_many_more():
    confidence = np.linspace(0.5, 1, 500)
    found = certify_threshold(confidence, np.arange(480, 490), np.ones(10, bool), alpha=0.1, delta=0.1)
    assert not found.holds
    assert found.accepted == 0
    assert found.labels_needed is not None
    assert found.labels_needed > 20


def test_no_number_of_labels_helps_where_the_best_is_too_wrong():
    confidence = np.linspace(0.5, 1, 500)
    agrees = np.arange(200) % 2 == 0
    found = certify_threshold(confidence, np.arange(300, 500), agrees, alpha=0.1, delta=0.1)
    assert not found.holds
    assert found.labels_needed is None


def test_perfect_labels_accept_all():
    confidence = np.linspace(0.5, 1, 500)
    found = certify_threshold(confidence, np.arange(0, 500, 5), np.ones(100, bool), alpha=0.1, delta=0.1)
    assert found.accepted == 1.0
    assert found.errors == 0
    assert found.upper < 0.1
    assert found.labels_needed == 0


def test_labels_needed_has_the_power_it_says():
    n = count_labels_needed(0.05, alpha=0.1, delta=0.1, power=0.8)
    assert n is not None
    rng = np.random.default_rng(0)
    passed = [clopper_pearson(int(k), n, 0.1)[1] <= 0.1 for k in rng.binomial(n, 0.05, 2000)]
    assert np.mean(passed) > 0.77
    assert count_labels_needed(0.1, alpha=0.1, delta=0.1) is None
    assert count_labels_needed(0.0999, alpha=0.1, delta=0.1) is None


def test_prediction_powered_intervals_cover_and_are_shorter():
    rng = np.random.default_rng(0)
    covered, width, exact = 0, [], []
    for _ in range(400):
        confidence, agrees = population(rng, 3000, worst=1.0)
        chosen = rng.permutation(3000)[:150]
        found = prediction_powered_error(confidence, chosen, agrees[chosen], delta=0.1)
        covered += found.lower <= np.mean(~agrees) <= found.upper
        width.append(found.upper - found.lower)
        k = int(np.sum(~agrees[chosen]))
        exact.append(clopper_pearson(k, 150, 0.05)[1] - clopper_pearson(k, 150, 0.05)[0])
    assert covered / 400 > 0.86
    assert np.mean(width) < 0.95 * np.mean(exact)


def test_without_errors_or_labels_the_interval_is_the_exact_one():
    confidence = np.full(100, 0.9)
    none = prediction_powered_error(confidence, np.zeros(0, np.int64), np.zeros(0, bool))
    assert (none.lower, none.upper) == (0.0, 1.0)
    clean = prediction_powered_error(confidence, np.arange(20), np.ones(20, bool))
    assert clean.estimate == 0
    assert clean.upper == pytest.approx(clopper_pearson(0, 20, 0.05)[1])


@pytest.mark.parametrize(("alpha", "delta"), [(0, 0.1), (0.1, 1), (-1, 0.5)])
def test_levels_outside_0_1_are_refused(alpha, delta):
    with pytest.raises(CurateError, match="between 0 and 1"):
        certify_threshold(np.ones(3), np.arange(3), np.ones(3, bool), alpha=alpha, delta=delta)
