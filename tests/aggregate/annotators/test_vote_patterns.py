"""Opinions and the correlation of repeated votes against loops that say what they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.aggregate.annotators.pairs import build_pair_table
from curate.aggregate.annotators.panel_em import measure_repeat_correlation
from curate.aggregate.annotators.result import count_agreement
from curate.aggregate.annotators.vote_patterns import build_vote_patterns


def drawn(make_votes, seed):
    rng = np.random.default_rng(seed)
    rows = [
        (2 * p, 2 * p + 1, j, rng.choice([-1, 0, 1]), rng.choice([-1, 0, 1]))
        for p in range(12)
        for j in range(4)
        for _ in range(rng.integers(0, 4))
    ]
    return build_pair_table(make_votes(rows, sizes=[2] * 12, annotators=4))


@given(st.integers(0, 10_000))
def test_an_opinion_is_the_mean_vote_without_the_lean_to_the_first(make_votes, seed):
    table = drawn(make_votes, seed)
    counted, columns = count_agreement(table), np.array([0, 2, 3])
    opinion, count = build_vote_patterns(table, columns, counted)
    lean = (counted.first - counted.second) / np.maximum(counted.n, 1)
    for q in range(table.n_pairs):
        for c, j in enumerate(columns):
            mine = (table.pair == q) & (table.annotator == j)
            assert count[q, c] == mine.sum()
            said = table.outcome[mine] * table.weight[mine] - lean[j] * table.shown[mine]
            assert opinion[q, c] == pytest.approx(said.mean() if mine.any() else 0.0)


@given(st.integers(0, 10_000))
def test_repeats_correlate_as_their_residuals_do(make_votes, seed):
    table = drawn(make_votes, seed)
    posterior = np.random.default_rng(seed).dirichlet([1, 1, 1], table.n_pairs)
    lean = (posterior[:, 2] - posterior[:, 0])[table.pair]
    error = np.zeros(len(table))
    for j in range(4):
        mine = table.annotator == j
        vote, shown = table.outcome[mine].astype(float), table.shown[mine]
        loading = vote @ lean[mine] / max(lean[mine] @ lean[mine], 1e-9)
        error[mine] = vote - loading * lean[mine] - shown * (vote @ shown / max(mine.sum(), 1))
    again = np.flatnonzero((np.diff(table.pair) == 0) & (np.diff(table.annotator) == 0))
    both = error[again] @ error[again + 1]
    square = np.sum(error[again] ** 2 + error[again + 1] ** 2) / 2
    expected = np.clip(both / square, 0, 1) if len(again) >= 10 else 0.0
    assert measure_repeat_correlation(table, posterior) == pytest.approx(expected, abs=1e-9)
