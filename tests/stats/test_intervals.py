"""Intervals against their definitions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.stats.intervals import mean_interval, wilson_interval


@given(trials=st.integers(1, 10_000), data=st.data())
def test_wilson_bounds_solve_the_score_equation(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    share = successes / trials
    for bound in wilson_interval(successes, trials):
        if 1e-9 < bound < 1 - 1e-9:  # the bounds are where the score statistic is 1.96
            z = abs(share - bound) / math.sqrt(bound * (1 - bound) / trials)
            assert z == pytest.approx(1.959964, rel=1e-4)


@given(trials=st.integers(0, 1_000), data=st.data())
def test_wilson_holds_the_share_within_zero_and_one(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= high <= 1
    assert trials == 0 or low - 1e-12 <= successes / trials <= high + 1e-12


def test_known_value() -> None:
    assert wilson_interval(8, 10) == pytest.approx(
        (0.4902, 0.9433), abs=1e-4
    )  # as in Agresti and Coull's tables


def test_mean_interval() -> None:
    assert mean_interval(0.5, None, 1) is None
    assert mean_interval(0.5, 0.1, 100) == pytest.approx((0.5 - 0.0196, 0.5 + 0.0196), abs=1e-4)
    assert mean_interval(0.99, 1.0, 4) == pytest.approx((0.01, 1.0), abs=1e-3)
