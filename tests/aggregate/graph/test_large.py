"""Prompts above the exact limit: against the exact result of the same graphs, and against naive references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.aggregate.graph.components import both_ways, build_adjacency, count_reachable, strong_components
from curate.aggregate.graph.denoise import denoise_graphs
from curate.aggregate.graph.heuristic import eades_lin_smyth, move_blocks


def random_arcs(rng, n, density, *, flip=0.3, ties=0.1):
    """A planted order 0 < 1 < … with flipped arcs, signed weights, i < j."""
    arcs = {}
    for i in range(n):
        for j in range(i + 1, n):
            if rng.random() < density:
                sign = 0.0 if rng.random() < ties else -1.0 if rng.random() < flip else 1.0
                arcs[i, j] = sign * rng.integers(1, 5)
    return arcs


def reachable(n, arcs):
    reach = np.zeros((n, n), bool)
    for u, v in arcs:
        reach[u, v] = True
    for k in range(n):
        reach |= np.outer(reach[:, k], reach[k])
    return reach


@pytest.mark.parametrize("seed", range(8))
def test_solving_by_components_agrees_with_solving_at_once(seed, make_tally):
    rng = np.random.default_rng(seed)
    cases = [(n, random_arcs(rng, n, rng.uniform(0.1, 0.6))) for n in rng.integers(3, 13, 40).tolist()]
    tally = make_tally([case for case in cases if case[1]])
    whole, parts = denoise_graphs(tally), denoise_graphs(tally, exact_limit=5)
    solved = parts.exact[tally.prompt]
    assert parts.exact.mean() > 0.3
    np.testing.assert_allclose(parts.dropped_weight[parts.exact], whole.dropped_weight[parts.exact])
    assert (parts.dropped_weight >= whole.dropped_weight - 1e-9).all()
    agree = parts.direction == whole.direction
    assert (agree | (parts.direction == 0))[solved].all()  # never surer than the truth
    arcs = solved & (parts.net != 0.0)
    np.testing.assert_array_equal(parts.direction[arcs], whole.direction[arcs])
    assert (parts.margin[arcs] <= whole.margin[arcs] + 1e-9).all()
    np.testing.assert_array_equal(parts.unique[parts.exact], whole.unique[parts.exact])
    ahead = np.where(parts.direction > 0, tally.a, tally.b)
    behind = np.where(parts.direction > 0, tally.b, tally.a)
    sure = parts.direction != 0
    assert (parts.rank[ahead[sure]] < parts.rank[behind[sure]]).all()
    np.testing.assert_allclose(
        [
            parts.dropped[parts.tally.offsets[p] : parts.tally.offsets[p + 1]].sum()
            for p in range(tally.n_prompts)
        ],
        parts.dropped_weight,
    )


def test_small_and_large_prompts_side_by_side(make_tally):
    rng = np.random.default_rng(0)
    cases = [(n, random_arcs(rng, n, 0.5)) for n in (3, 30, 5, 1, 24, 7, 40)]
    together = denoise_graphs(make_tally(cases), exact_limit=8)
    for p, case in enumerate(cases):
        alone = denoise_graphs(make_tally([case]), exact_limit=8)
        nodes = slice(together.tally.responses[p], together.tally.responses[p + 1])
        np.testing.assert_array_equal(together.rank[nodes], alone.rank)
        np.testing.assert_array_equal(together.order[nodes] - together.tally.responses[p], alone.order)
        assert together.dropped_weight[p] == alone.dropped_weight[0]
        assert together.exact[p] == alone.exact[0]


def test_an_inexact_prompt_says_so(make_tally):
    found = denoise_graphs(make_tally([(40, random_arcs(np.random.default_rng(1), 40, 0.6))]))
    assert not found.exact[0]
    assert not found.unique[0]
    assert np.isnan(found.prompt_margin[0])
    assert np.isnan(found.margin).any()
    again = denoise_graphs(found.tally, net=np.where(found.dropped > 0.0, 0.0, found.net))
    assert again.exact[0]
    assert not again.cyclic[0]


def test_a_sparse_acyclic_tournament_of_thousands_is_kept(make_tally):
    rng = np.random.default_rng(2)
    pairs = {tuple(sorted(rng.choice(3000, 2, replace=False).tolist())) for _ in range(9000)}
    found = denoise_graphs(make_tally([(3000, dict.fromkeys(pairs, 1.0))]))
    assert found.exact[0]
    assert not found.dropped.any()
    assert (found.direction == 1).all()
    assert (found.rank[found.tally.a] < found.rank[found.tally.b]).all()


def test_twenty_responses_exactly_when_asked(make_tally):
    tally = make_tally([(19, random_arcs(np.random.default_rng(3), 19, 0.9, flip=0.4))])
    solved, approximate = denoise_graphs(tally, exact_limit=19), denoise_graphs(tally)
    assert solved.exact[0]
    assert not approximate.exact[0]
    assert approximate.dropped_weight[0] >= solved.dropped_weight[0] - 1e-9
    assert approximate.dropped_weight[0] <= 1.1 * solved.dropped_weight[0]


@given(st.integers(1, 12), st.integers(0, 40), st.randoms(use_true_random=False))
@settings(max_examples=80)
def test_components_are_mutual_reachability_and_topological(n, m, random):
    arcs = [(random.randrange(n), random.randrange(n)) for _ in range(m)]
    source, target = (np.array([arc[k] for arc in arcs], np.int64) for k in range(2))
    graph = build_adjacency(n, source, target, np.ones(len(arcs)))
    component = strong_components(graph.start, graph.target)
    reach = reachable(n, arcs)
    for u in range(n):
        for v in range(n):
            assert (component[u] == component[v]) == (u == v or (reach[u, v] and reach[v, u]))
            assert not reach[u, v] or component[u] >= component[v]


@pytest.mark.parametrize("n", [1, 5, 64, 65, 200])
def test_reachable_nodes_are_counted_across_blocks_of_64(n):
    rng = np.random.default_rng(n)
    arcs = [(u, v) for u in range(n) for v in range(u + 1, n) if rng.random() < 1.5 / n]
    source, target = (np.array([arc[k] for arc in arcs], np.int64) for k in range(2))
    graph = build_adjacency(n, source, target, np.ones(len(arcs)))
    asked = [(u, v) for u in range(0, n, 3) for v in range(u + 1, n, 2)]
    query = build_adjacency(
        n, *(np.array([q[k] for q in asked], np.int64) for k in range(2)), np.ones(len(asked))
    )
    count, answer = np.zeros(n, np.int64), np.zeros(len(asked), np.int64)
    bounds = np.array([0, n])
    count_reachable(0, 1, bounds, graph.start, graph.target, query.start, query.target, count, answer)
    reach = reachable(n, arcs)
    np.testing.assert_array_equal(count, reach.sum(1))
    assert answer.tolist() == [int(reach[u, v]) for u, v in asked]


def naive_eades_cost(n, arcs):
    """The published greedy, one removal at a time, over a dictionary {(u, v): weight > 0}."""
    left, cost = set(range(n)), 0.0
    while left:
        into = {v: sum(w for (x, y), w in arcs.items() if y == v and x in left) for v in left}
        out = {v: sum(w for (x, y), w in arcs.items() if x == v and y in left) for v in left}
        sinks, sources = [v for v in left if not out[v]], [v for v in left if not into[v]]
        if not sinks and not sources:
            pick = max(left, key=lambda v: out[v] - into[v])
            cost += into[pick]
            left.remove(pick)
        else:
            left.remove((sinks or sources)[0])
    return cost


def positive(arcs):
    return {(i, j) if w > 0 else (j, i): abs(w) for (i, j), w in arcs.items() if w}


def as_graph(n, arcs):
    a, b, w = (np.array([row[k] for row in [(i, j, w) for (i, j), w in arcs.items()]]) for k in range(3))
    return both_ways(n, a, b, w.astype(float))


@pytest.mark.parametrize("seed", range(6))
def test_eades_lin_smyth_is_the_published_greedy_and_moves_only_improve_it(seed, cost_of):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(6, 40))
    arcs = {pair: w * rng.uniform(0.5, 1.5) for pair, w in random_arcs(rng, n, 0.5, flip=0.4).items()}
    bounds, graph = np.array([0, n]), as_graph(n, arcs)
    order = eades_lin_smyth(bounds, graph)
    assert sorted(order.tolist()) == list(range(n))
    greedy = cost_of(arcs, tuple(order))
    assert greedy == pytest.approx(naive_eades_cost(n, positive(arcs)))
    move_blocks(bounds, graph, order)
    assert sorted(order.tolist()) == list(range(n))
    moved = cost_of(arcs, tuple(order))
    assert moved <= greedy + 1e-9
    for begin in range(n):  # a local optimum: no block placed elsewhere is better
        for length in range(1, n // 2 + 1):
            block, rest = order[begin : begin + length], np.delete(order, np.s_[begin : begin + length])
            for to in range(0, len(rest) + 1, 3):
                other = np.concatenate((rest[:to], block, rest[to:]))
                assert cost_of(arcs, tuple(other)) >= moved - 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_denoise_is_never_worse_than_eades_lin_smyth(seed, make_tally):
    n = 120
    arcs = random_arcs(np.random.default_rng(seed), n, 0.15, flip=0.5)
    found = denoise_graphs(make_tally([(n, arcs)]))
    assert found.dropped_weight[0] < naive_eades_cost(n, positive(arcs))
