"""Sums per pair against a dictionary, and the majority."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.aggregate.graph.majority import build_majority
from curate.aggregate.graph.tally import tally_pairs
from curate.aggregate.votes import Votes
from curate.core.errors import CurateError


def make_votes(sizes, rows, annotators=3):
    """Rows of (prompt, i, j, annotator, outcome, p_a), i < j within the prompt."""
    offsets = np.cumsum([0, *sizes])
    rows = sorted(rows, key=lambda row: row[0])
    column = [np.array([row[k] for row in rows]) for k in range(6)] if rows else [np.empty(0)] * 6
    prompt = column[0].astype(np.int32)
    return Votes(
        offsets=offsets.astype(np.int64),
        prompt=prompt,
        a=(offsets[prompt] + column[1]).astype(np.int32),
        b=(offsets[prompt] + column[2]).astype(np.int32),
        annotator=column[3].astype(np.int32),
        shown=np.zeros(len(rows), np.int8),
        outcome=column[4].astype(np.int8),
        p_a=column[5].astype(np.float32),
        annotators=tuple(f"judge-{k}" for k in range(annotators)),
        human=np.zeros(annotators, np.bool_),
    )


@st.composite
def voted(draw):
    sizes = draw(
        st.lists(st.sampled_from([2, 3, 7, 60]), min_size=1, max_size=4)
    )  # 60: few votes, many pairs
    rows = []
    for _ in range(draw(st.integers(0, 30))):
        p = draw(st.integers(0, len(sizes) - 1))
        i, j = sorted(draw(st.lists(st.integers(0, sizes[p] - 1), min_size=2, max_size=2, unique=True)))
        p_a = draw(st.floats(0, 1, width=32))
        rows.append((p, i, j, draw(st.integers(0, 2)), draw(st.sampled_from([-1, 0, 1])), p_a))
    weight = np.array(draw(st.lists(st.floats(-2, 2), min_size=3, max_size=3)))
    return make_votes(sizes, rows), weight


def naive_tally(votes, weight, *, soft):
    sums = defaultdict(lambda: [0, 0.0, 0.0, 0.0])
    for v in range(len(votes)):
        w, outcome, p = weight[votes.annotator[v]], int(votes.outcome[v]), float(votes.p_a[v])
        if w < 0:
            w, outcome, p = -w, -outcome, 1 - p
        cell = sums[int(votes.a[v]), int(votes.b[v])]
        cell[0] += 1
        if soft:
            cell[1] += w * p
            cell[2] += w * (1 - p)
        else:
            cell[{1: 1, -1: 2, 0: 3}[outcome]] += w
    return [(a, b, *cell) for (a, b), cell in sorted(sums.items())]


@given(voted(), st.booleans())
@settings(max_examples=150)
def test_tally_is_the_sum_over_a_dictionary(case, soft):
    votes, weight = case
    found = tally_pairs(votes, weight=weight, soft=soft, threads=1)
    rows = zip(found.a, found.b, found.n, found.weight_a, found.weight_b, found.weight_tie, strict=True)
    expected = naive_tally(votes, weight, soft=soft)
    np.testing.assert_allclose(
        np.array(list(rows)).reshape(-1, 6), np.array(expected).reshape(-1, 6), atol=1e-12
    )
    for p in range(votes.n_prompts):
        inside = slice(found.offsets[p], found.offsets[p + 1])
        assert (found.a[inside] >= votes.offsets[p]).all()
        assert (found.b[inside] < votes.offsets[p + 1]).all()
    np.testing.assert_array_equal(found.prompt, np.searchsorted(votes.offsets, found.a, side="right") - 1)


def test_a_global_tournament_over_thousands_of_responses():
    rng = np.random.default_rng(0)
    a, b = np.sort(rng.integers(0, 3000, (5000, 2)), axis=1).T
    rows = [(0, i, j, 0, 1, 1.0) for i, j in zip(a, b, strict=True) if i != j]
    votes = make_votes([3000], rows)
    found = tally_pairs(votes)
    assert found.n.sum() == len(votes)
    key = found.a.astype(np.int64) * 3000 + found.b
    assert (np.diff(key) > 0).all()
    assert set(key.tolist()) == set((votes.a.astype(np.int64) * 3000 + votes.b).tolist())


def test_threads_do_not_change_the_sums():
    rng = np.random.default_rng(1)
    rows = [
        (int(p), 0, 1 + int(rng.integers(3)), int(rng.integers(3)), 1, 1.0)
        for p in rng.integers(0, 200, 4000)
    ]
    votes = make_votes([5] * 200, rows)
    weight = np.array([0.1, 0.7, 1.3])
    one, three = tally_pairs(votes, weight=weight, threads=1), tally_pairs(votes, weight=weight, threads=3)
    np.testing.assert_array_equal(one.weight_a, three.weight_a)
    np.testing.assert_array_equal(one.offsets, three.offsets)


def test_majority_counts_a_tie_as_half_and_smooths():
    votes = make_votes(
        [2, 2], [(0, 0, 1, 0, 1, 1), (0, 0, 1, 1, 1, 1), (0, 0, 1, 2, 0, 0.5), (1, 0, 1, 0, -1, 0)]
    )
    assert build_majority(votes, smoothing=0.0).p_a == pytest.approx([2.5 / 3, 0.0])
    assert build_majority(votes).p_a == pytest.approx([3.5 / 5, 1 / 3])
    assert build_majority(votes, weight=np.zeros(3), smoothing=0.0).p_a == pytest.approx([0.5, 0.5])


def test_weights_that_do_not_fit_are_named():
    votes = make_votes([2], [(0, 0, 1, 0, 1, 1)])
    with pytest.raises(CurateError, match="2 annotator weights for 3 annotators"):
        tally_pairs(votes, weight=np.ones(2))
    with pytest.raises(CurateError, match="smoothing is -1"):
        build_majority(votes, smoothing=-1)
