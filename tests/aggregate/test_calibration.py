from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from curate.aggregate.calibration import (
    compute_calibration_error,
    fit_isotonic,
    fit_temperature,
    measure_reliability,
)
from curate.core.errors import CurateError


def overconfident(n, temperature, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 2, n)
    outcome = (rng.random(n) < 1 / (1 + np.exp(-x / temperature))).astype(float)
    return 1 / (1 + np.exp(-x)), outcome


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found(temperature):
    p, outcome = overconfident(20_000, temperature)
    assert fit_temperature(p, outcome).temperature == pytest.approx(temperature, rel=0.08)


def test_a_few_labels_hardly_move_it():
    assert 0.6 < fit_temperature(np.array([0.9, 0.2]), np.array([1.0, 0.0])).temperature < 1.4
    assert fit_temperature(np.zeros(0), np.zeros(0)).temperature == 1.0


@pytest.mark.parametrize("fit", [fit_temperature, fit_isotonic])
def test_calibration_mends_overconfidence(fit):
    p, outcome = overconfident(4000, 3.0)
    learn, rest = slice(0, 2000), slice(2000, None)
    before = compute_calibration_error(p[rest], outcome[rest])
    after = compute_calibration_error(fit(p[learn], outcome[learn])(p[rest]), outcome[rest])
    assert before > 0.1
    assert after < 0.04


labelled = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=25)


@settings(max_examples=50)
@given(labelled)
def test_maps_are_odd_and_monotone(rows):
    p, outcome = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    grid = np.linspace(0, 1, 21)
    for fit in (fit_temperature, fit_isotonic):
        there = fit(p, outcome)(grid)
        assert np.all(np.diff(there) >= -1e-12)
        np.testing.assert_allclose(there + there[::-1], 1, atol=1e-6)


@settings(max_examples=20)
@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=7))
def test_isotonic_is_the_least_squares_step_function(outcomes):
    outcome = np.array(outcomes)
    p = np.linspace(0.55, 0.95, len(outcome))
    found = fit_isotonic(p, outcome)
    x = np.concatenate([1 - p[::-1], p])
    y = np.concatenate([1 - outcome[::-1], outcome])
    order = [{"type": "ineq", "fun": lambda v, i=i: v[i + 1] - v[i]} for i in range(len(x) - 1)]
    best = minimize(lambda v: np.sum((v - y) ** 2), np.full(len(x), 0.5), constraints=order, method="SLSQP")
    level = found.values[np.argmin(np.abs(x[:, None] - found.knots), axis=1)]
    # Each x belongs to the block that covers it, not to the nearest middle, so compare block by block.
    assert len(found.values) <= len(x)
    assert np.all(np.diff(found.values) > 0)
    assert level.min() == pytest.approx(best.x.min(), abs=1e-3)
    assert level.max() == pytest.approx(best.x.max(), abs=1e-3)


def test_reliability_by_hand():
    found = measure_reliability(np.array([0.95, 0.05, 0.91, 0.6]), np.array([1.0, 1.0, 1.0, 0.5]), bins=5)
    np.testing.assert_array_equal(found.count, [0 + 1, 3])
    np.testing.assert_allclose(found.confidence, [0.6, (0.95 + 0.95 + 0.91) / 3])
    np.testing.assert_allclose(found.accuracy, [0.5, 2 / 3])
    assert found.ece == pytest.approx((0.1 + 3 * (0.9366667 - 0.6666667)) / 4, abs=1e-6)


def test_lengths_must_match():
    with pytest.raises(CurateError, match="one label per probability"):
        fit_temperature(np.array([0.5]), np.zeros(0))
