from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.aggregate.rewards import COMBINATIONS, combine_rewards
from curate.core.errors import CurateError

scores = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-20, 20))


def naive(row, how, risk, models):
    row = [x for x in row if not np.isnan(x)]
    if not row:
        return np.nan
    mean = sum(row) / len(row)
    if how == "mean":
        return mean
    if how == "median":
        return float(np.median(row))
    if how == "minimum":
        return min(row)
    if how == "mean-sd":
        return mean - risk * (np.std(row, ddof=1) if len(row) > 1 else 0.0)
    return sum(np.log(1 / (1 + np.exp(-x))) for x in row) * models / len(row)


@pytest.mark.parametrize("how", COMBINATIONS)
@given(scores, st.data())
def test_each_combination_against_a_loop(how, drawn, data):
    holes = data.draw(arrays(np.bool_, drawn.shape))
    given_scores = np.where(holes, np.nan, drawn)
    expected = [naive(row, how, 0.7, drawn.shape[1]) for row in given_scores.tolist()]
    np.testing.assert_allclose(combine_rewards(given_scores, how, risk=0.7), expected, atol=1e-9)


@pytest.mark.parametrize("how", [how for how in COMBINATIONS if how != "mean-sd"])
@given(scores, st.floats(0, 5))
def test_a_higher_score_never_lowers_the_reward(how, drawn, more):
    raised = drawn.copy()
    raised[:, 0] += more
    assert np.all(combine_rewards(raised, how) >= combine_rewards(drawn, how) - 1e-9)


def test_log_sigmoid_is_a_logical_and():
    good_twice, brilliant_and_bad = combine_rewards(np.array([[2.0, 2.0], [20.0, -2.0]]), "log-sigmoid")
    assert good_twice > brilliant_and_bad
    assert good_twice == pytest.approx(2 * np.log(1 / (1 + np.exp(-2.0))))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((np.zeros(3), "mean"), "dimensions"), ((np.zeros((1, 1)), "best"), "no combination 'best'")],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(CurateError, match=message):
        combine_rewards(*arguments)


def test_a_negative_risk_is_refused():
    with pytest.raises(CurateError, match="risk is -1"):
        combine_rewards(np.zeros((1, 2)), "mean-sd", risk=-1)
