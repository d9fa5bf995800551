"""Models that contradict each other, and runs of one model that do."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from curate.aggregate.rewards import measure_agreement, ranking_consistency, without_conflict
from curate.core.errors import CurateError


def test_agreement_is_the_share_of_the_majority():
    margins = np.array([[1.0, 2.0, -1.0], [1.0, 1.0, 1.0], [0.0, np.nan, -3.0], [0.0, 0.0, np.nan]])
    np.testing.assert_allclose(measure_agreement(margins), [2 / 3, 1, 1, np.nan])
    assert without_conflict(margins).tolist() == [False, True, True, False]
    assert without_conflict(margins, least=0.6).tolist() == [True, True, True, False]
    assert without_conflict(margins, outcome=np.array([1, 0, 0.5, 1])).tolist() == [False, False, True, False]
    with pytest.raises(CurateError, match="least is 0"):
        without_conflict(margins, least=0.2)


@given(st.integers(0, 10_000))
def test_consistency_is_kendalls_tau_prompt_by_prompt(seed):
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 7, 5)
    offsets = np.concatenate([[0], np.cumsum(size)])
    first, second = rng.normal(size=offsets[-1]), rng.normal(size=offsets[-1])
    found = ranking_consistency(offsets, first, second)
    expected = [kendalltau(first[i:j], second[i:j]).statistic for i, j in itertools.pairwise(offsets)]
    np.testing.assert_allclose(found.tau, expected, atol=1e-12)
    assert found.rate == pytest.approx((np.mean(expected) + 1) / 2)
    assert ranking_consistency(offsets, first, first).rate == 1.0
    assert ranking_consistency(offsets, first, -first).rate == 0.0


def test_ties_and_gaps_say_nothing():
    found = ranking_consistency(np.array([0, 2, 4, 5]), np.array([1, 1, 1, np.nan, 0.0]), np.arange(5.0))
    np.testing.assert_array_equal(found.tau, [0, np.nan, np.nan])
    assert found.weight.tolist() == [0.5, 0.5, 0.5]
    with pytest.raises(CurateError, match="5 responses"):
        ranking_consistency(np.array([0, 5]), np.zeros(4), np.zeros(5))
