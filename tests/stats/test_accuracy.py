"""Accuracy and its clustered bootstrap, held against a naive resampler."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.data.conversation import text_answer
from curate.data.preference_pairs import PreferencePairs
from curate.stats.accuracy import accuracy_by_length, credit_pairs, estimate_mean, estimate_means


def naive_interval(values: np.ndarray, clusters: np.ndarray, resamples: int) -> tuple[float, float]:
    rng = np.random.default_rng(1)
    names = np.unique(clusters)
    means = []
    for _ in range(resamples):
        drawn = rng.choice(names, size=len(names))
        means.append(np.concatenate([values[clusters == name] for name in drawn]).mean())
    return tuple(np.quantile(means, [0.025, 0.975]))


def test_the_interval_is_that_of_drawing_whole_clusters() -> None:
    rng = np.random.default_rng(0)
    clusters = rng.integers(0, 40, 300)
    values = (rng.random(300) < 0.3 + 0.4 * (clusters % 2)).astype(float)
    found = estimate_mean(values, clusters, resamples=4000)
    low, high = naive_interval(values, clusters, 4000)
    assert found.value == values.mean()
    assert found.n == 300
    assert found.low == pytest.approx(low, abs=0.008)
    assert found.high == pytest.approx(high, abs=0.008)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 5)), min_size=1, max_size=40))
def test_the_interval_holds_the_extremes_and_is_reproducible(rows: list[tuple[float, int]]) -> None:
    values, clusters = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = estimate_mean(values, clusters, resamples=50)
    assert found == estimate_mean(values, clusters, resamples=50)
    assert found.value == pytest.approx(values.mean())
    if len(set(clusters.tolist())) < 2:
        assert found.low is found.high is None
    else:
        assert found.low is not None
        assert found.high is not None
        assert values.min() <= found.low <= found.high <= values.max()


def test_subjects_share_draws_and_may_miss_clusters() -> None:
    sums = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0], [1.0, 1.0, 0.0]])
    sizes = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
    one, same, single = estimate_means(sums, sizes, resamples=200)
    assert one == same
    assert (single.value, single.low, single.high, single.n) == (1.0, None, None, 2)
    with pytest.raises(ValueError, match="mean of nothing"):
        estimate_means(np.zeros((2, 1)), np.zeros((2, 1)), resamples=5)


def test_length_is_right_where_the_longer_one_is_chosen_and_wrong_where_the_shorter_is() -> None:
    pairs = PreferencePairs(
        prompt_ids=("p", "q", "r"),
        contexts=((), (), ()),
        tools=(None, None, None),
        responses=tuple(map(text_answer, ("long one", "short", "tiny", "much longer", "four", "five"))),
        prompt_of=np.array([0, 0, 1, 1, 2, 2]),
        chosen=np.array([0, 2, 4]),
        rejected=np.array([1, 3, 5]),
        p_chosen=np.ones(3),
        weight=np.ones(3),
        strength=np.full(3, np.nan),
        rank=np.zeros(6, np.int64),
        aspects={},
        dropped={},
    )
    found = accuracy_by_length(pairs, pairs.lengths.astype(float), resamples=10)
    assert {name: (each.value, each.n) for name, each in found.items()} == {
        "all": (0.5, 3),
        "longer chosen": (1.0, 1),
        "shorter chosen": (0.0, 1),
    }


def test_a_predicted_tie_is_worth_a_half() -> None:
    assert credit_pairs(np.array([2.0, 0.0, -1e-9])).tolist() == [1.0, 0.5, 0.0]
