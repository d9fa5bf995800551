"""Tournaments, Elo, PageRank and rank ensembles against references of a few lines."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.aggregate.ranking.ensemble import borda_scores, kemeny_order
from curate.aggregate.ranking.pagerank import compute_pagerank
from curate.aggregate.ranking.tournament import Tournament, rank_tournament


@st.composite
def ranked_prompts(draw):
    """Offsets, ranks (0: none) and models of up to six prompts over five models."""
    sizes = draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))
    rank, model = [], []
    for n in sizes:
        rank += draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
        model += draw(st.lists(st.integers(-1, 4), min_size=n, max_size=n))
    return np.cumsum([0, *sizes]), np.array(rank, np.int32), np.array(model, np.int32)


@given(ranked_prompts())
@settings(max_examples=80)
def test_rank_tournament_counts_prompts(case):
    offsets, rank, model = case
    cells = rank_tournament(offsets, rank, model, models=5)
    ahead = np.zeros((5, 5))
    level = np.zeros((5, 5))
    for first, last in pairwise(offsets):
        for i in range(first, last):
            for j in range(first, last):
                if rank[i] and rank[j] and model[i] >= 0 and model[j] >= 0 and model[i] != model[j]:
                    ahead[model[i], model[j]] += rank[i] < rank[j]
                    level[model[i], model[j]] += rank[i] == rank[j]
    np.testing.assert_array_equal(cells.wins_a, ahead[cells.a, cells.b])
    np.testing.assert_array_equal(cells.wins_b, ahead[cells.b, cells.a])
    np.testing.assert_array_equal(cells.ties, level[cells.a, cells.b])
    assert cells.votes == ahead.sum() + np.triu(level, 1).sum()


@given(ranked_prompts())
@settings(max_examples=80)
def test_borda_is_the_mean_share_beaten(case):
    offsets, rank, model = case
    found = borda_scores(offsets, rank, model, models=5)
    shares = [[] for _ in range(5)]
    for first, last in pairwise(offsets):
        ranked = [i for i in range(first, last) if rank[i] > 0]
        for i in ranked:
            others = [j for j in ranked if j != i]
            if others and model[i] >= 0:
                shares[model[i]].append(
                    np.mean([(rank[j] > rank[i]) + (rank[j] == rank[i]) / 2 for j in others])
                )
    np.testing.assert_allclose(found, [np.mean(s) if s else np.nan for s in shares])


def test_pagerank_is_the_eigenvector_of_the_dense_matrix():
    rng = np.random.default_rng(1)
    a, b = np.triu_indices(6, 1)
    wins_a, wins_b, ties = rng.integers(0, 5, (3, len(a))).astype(float)
    wins_b[b == 5] = ties[b == 5] = 0.0
    wins_a[a == 0] = ties[a == 0] = 0.0
    wins_b[a == 0] = 2.0
    cells = Tournament(models=6, a=a, b=b, wins_a=wins_a, wins_b=wins_b, ties=ties, votes=1.0)
    gave = np.zeros((6, 6))
    gave[a, b] += wins_a + ties / 2
    gave[b, a] += wins_b + ties / 2
    lost = gave.sum(0)
    step = np.where(lost > 0, gave / np.where(lost > 0, lost, 1.0), 1 / 6)
    values, vectors = np.linalg.eig(0.85 * step + 0.15 / 6)
    leading = np.real(vectors[:, np.argmax(np.real(values))])
    np.testing.assert_allclose(compute_pagerank(cells), leading / leading.sum(), atol=1e-8)


def test_kemeny_order_is_the_best_of_all():
    rng = np.random.default_rng(2)
    prompts, n = 15, 5
    rank = np.concatenate([rng.permutation(n) + 1 for _ in range(prompts)]).astype(np.int32)
    model = np.tile(np.arange(n, dtype=np.int32), prompts)
    offsets = np.arange(0, prompts * n + 1, n)
    cells = rank_tournament(offsets, rank, model)

    def distance(order):
        place = np.argsort(order)
        return sum(
            (place[i] < place[j]) != (ranks[i] < ranks[j])
            for ranks in rank.reshape(prompts, n)
            for i in range(n)
            for j in range(i)
        )

    best = min(distance(order) for order in permutations(range(n)))
    assert distance(kemeny_order(cells).order) == best
    assert kemeny_order(cells, weighted=False).net.tolist() == np.sign(kemeny_order(cells).net).tolist()
