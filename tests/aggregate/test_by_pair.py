"""Grouping kernels against sorts of whole keys."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curate.aggregate.by_pair import count_judged_pairs, group_by_pair, one_vote_a_pair
from curate.aggregate.votes import Votes


def votes_of(rows, sizes, annotators, human=()):
    """`rows` (prompt, i, j, annotator, shown, outcome), i and j counted within the prompt."""
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    table = np.array([(p, offsets[p] + i, offsets[p] + j, *rest) for p, i, j, *rest in rows], np.int64)
    table = table.reshape(-1, 6)
    table = table[np.argsort(table[:, 0], kind="stable")]
    is_human = np.zeros(annotators, np.bool_)
    is_human[list(human)] = True
    return Votes(
        offsets=offsets,
        prompt=table[:, 0].astype(np.int32),
        a=table[:, 1].astype(np.int32),
        b=table[:, 2].astype(np.int32),
        annotator=table[:, 3].astype(np.int32),
        shown=table[:, 4].astype(np.int8),
        outcome=table[:, 5].astype(np.int8),
        p_a=np.arange(len(table), dtype=np.float32),
        annotators=tuple(f"j{k}" for k in range(annotators)),
        human=is_human,
    )


@st.composite
def panels(draw):
    sizes = draw(st.lists(st.sampled_from([2, 3, 5, 60]), min_size=1, max_size=4))
    annotators = draw(st.integers(1, 5))
    seed, count = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 200))
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        p = int(rng.integers(len(sizes)))
        i, j = np.sort(rng.choice(sizes[p], 2, replace=False))
        rows.append((p, i, j, rng.integers(annotators), rng.integers(-1, 2), rng.integers(-1, 2)))
    return votes_of(rows, sizes, annotators)


@given(panels(), st.booleans())
def test_grouping_is_a_stable_sort_by_pair_and_annotator(votes, skip_first):
    skip = np.zeros(len(votes.annotators), np.bool_)
    skip[0] = skip_first
    grouped = group_by_pair(votes, skip=skip)
    order = np.lexsort((votes.annotator, votes.b, votes.a))
    order = order[~skip[votes.annotator[order]]]
    for name in ("annotator", "shown", "outcome", "p_a"):
        np.testing.assert_array_equal(getattr(grouped, name), getattr(votes, name)[order])
    np.testing.assert_array_equal(np.repeat(grouped.a, grouped.count), votes.a[order])
    np.testing.assert_array_equal(np.repeat(grouped.b, grouped.count), votes.b[order])
    np.testing.assert_array_equal(np.repeat(grouped.prompt, grouped.count), votes.prompt[order])
    assert len({*zip(grouped.a.tolist(), grouped.b.tolist(), strict=True)}) == len(grouped.a)


@given(panels(), st.integers(1, 3))
def test_pairs_judged_counts_distinct_pairs(votes, threads):
    seen = {(int(j), int(a), int(b)) for j, a, b in zip(votes.annotator, votes.a, votes.b, strict=True)}
    expected = [sum(j == k for j, _, _ in seen) for k in range(len(votes.annotators))]
    assert count_judged_pairs(votes, threads=threads).tolist() == expected


def test_a_judge_asked_in_both_orders_has_half_a_vote_each():
    votes = votes_of([(0, 0, 1, 0, 1, 1), (0, 0, 1, 0, -1, 1), (0, 0, 1, 1, 0, -1)], [2], 3)
    assert one_vote_a_pair(votes).tolist() == [0.5, 1.0, 0.0]


def test_no_votes_at_all():
    votes = votes_of([], [2, 3], 2)
    assert len(group_by_pair(votes).a) == 0
    assert count_judged_pairs(votes).tolist() == [0, 0]
