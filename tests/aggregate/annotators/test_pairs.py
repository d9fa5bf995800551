from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.aggregate.annotators.pairs import PairLabels, build_pair_table, take_pairs
from curate.aggregate.annotators.result import count_agreement
from curate.core.errors import CurateError


def labels(a, b, outcome):
    return PairLabels(a=np.array(a, np.int32), b=np.array(b, np.int32), outcome=np.array(outcome, np.int8))


def test_votes_are_grouped_by_pair_and_peoples_votes_become_gold(make_votes):
    votes = make_votes(
        [(0, 2, 1, 1, 1), (0, 1, 0, -1, -1), (0, 2, 0, 1, 0), (0, 2, 2, 0, 1), (3, 4, 2, 0, -1)],
        sizes=[3, 2],
        human=[2],
    )
    table = build_pair_table(votes)
    assert table.a.tolist() == [0, 0, 3]
    assert table.b.tolist() == [1, 2, 4]
    assert table.prompt.tolist() == [0, 0, 1]
    assert table.offsets.tolist() == [0, 1, 3, 3]
    assert table.annotator.tolist() == [0, 0, 1]
    assert table.outcome.tolist() == [-1, 0, 1]
    assert table.n_gold.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(table.gold, [np.nan, 1, -1])


def test_explicit_labels_join_peoples_votes(make_votes):
    votes = make_votes([(0, 1, 0, 1, 1), (0, 1, 1, 0, -1)], human=[1])
    table = build_pair_table(votes, labels([0, 0], [1, 1], [1, 1]))
    assert table.n_gold.tolist() == [3]
    assert table.gold[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("given_labels", "message"),
    [
        (labels([1], [0], [1]), "a ≥ b"),
        (labels([0], [9], [1]), "response 9"),
        (labels([0, 0], [1], [1]), "one length"),
    ],
)
def test_wrong_labels_are_refused_in_one_sentence(make_votes, given_labels, message):
    with pytest.raises(CurateError, match=message):
        build_pair_table(make_votes([(0, 1, 0, 1, 1)]), given_labels)


def test_confidence_is_relative_to_the_annotators_own(make_votes):
    votes = make_votes([(0, 1, 0, 1, 1), (2, 3, 0, 1, 1), (4, 5, 0, 1, 0)])
    votes.p_a[:] = [0.6, 0.7, 0.5]
    np.testing.assert_allclose(build_pair_table(votes).weight, [2 / 3, 4 / 3, 1], rtol=1e-5)


def test_no_votes_at_all(make_votes):
    table = build_pair_table(make_votes([], sizes=[2], annotators=1))
    assert table.n_pairs == 0
    assert len(table) == 0


rows = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(0, 1),
        st.integers(0, 3),
        st.sampled_from([-1, 0, 1]),
        st.sampled_from([-1, 0, 1]),
    ),
    min_size=1,
    max_size=40,
)


@given(rows, st.integers(0, 10))
def test_tallies_of_shards_add_up(make_votes, drawn, cut):
    votes = make_votes(
        [(3 * p, 3 * p + 1 + q, j, s, x) for p, q, j, s, x in drawn], sizes=[3] * 5, annotators=4
    )
    table = build_pair_table(votes)
    whole = count_agreement(table)
    middle = min(cut, table.n_pairs)
    parts = [take_pairs(table, np.arange(middle)), take_pairs(table, np.arange(middle, table.n_pairs))]
    added = count_agreement(parts[0]) + count_agreement(parts[1])
    for name in ("n", "ties", "first", "second", "labelled", "agree"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(added, name))
    assert whole.n.sum() == len(drawn)
