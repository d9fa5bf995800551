"""The two orders of ensembling and denoising, against plain Python on small panels."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from curate.aggregate.graph.by_annotator import annotator_graphs
from curate.aggregate.graph.denoise import denoise_graphs, sum_denoised_graphs
from curate.aggregate.graph.tally import tally_pairs
from curate.aggregate.votes import Votes

WEIGHT = np.array([1.0, 0.5, -0.25])


def panel(seed, *, sizes=(3, 5, 4, 40), per_prompt=14):
    rng = np.random.default_rng(seed)
    offsets = np.cumsum([0, *sizes])
    rows = []
    for p, n in enumerate(sizes):
        for _ in range(per_prompt):
            i, j = sorted(rng.choice(n, 2, replace=False).tolist())
            rows.append(
                (
                    p,
                    offsets[p] + i,
                    offsets[p] + j,
                    rng.integers(3),
                    rng.choice([-1, 0, 1], p=[0.45, 0.1, 0.45]),
                )
            )
    prompt, a, b, annotator, outcome = (np.array(column) for column in zip(*rows, strict=True))
    return Votes(
        offsets=offsets.astype(np.int64),
        prompt=prompt.astype(np.int32),
        a=a.astype(np.int32),
        b=b.astype(np.int32),
        annotator=annotator.astype(np.int32),
        shown=np.zeros(len(rows), np.int8),
        outcome=outcome.astype(np.int8),
        p_a=(0.5 + 0.5 * outcome).astype(np.float32),
        annotators=("x", "y", "z"),
        human=np.zeros(3, np.bool_),
    )


def naive_graphs(votes):
    """{(prompt, annotator): {(a, b): signed weight}}, ties as 0."""
    graphs = defaultdict(lambda: defaultdict(float))
    for v in range(len(votes)):
        key = int(votes.prompt[v]), int(votes.annotator[v])
        graphs[key][int(votes.a[v]), int(votes.b[v])] += float(WEIGHT[key[1]] * votes.outcome[v])
    return graphs


@pytest.mark.parametrize("seed", range(5))
def test_graphs_per_annotator_hold_each_ones_votes(seed):
    votes = panel(seed)
    found = annotator_graphs(votes, weight=WEIGHT)
    assert (np.diff(found.prompt) >= 0).all()
    result = {}
    for g in range(len(found.prompt)):
        pairs = slice(found.pairs.offsets[g], found.pairs.offsets[g + 1])
        a, b = found.response[found.pairs.a[pairs]], found.response[found.pairs.b[pairs]]
        net = found.pairs.weight_a[pairs] - found.pairs.weight_b[pairs]
        result[int(found.prompt[g]), int(found.annotator[g])] = {
            (int(x), int(y)): w for x, y, w in zip(a, b, net, strict=True)
        }
        inside = found.response[found.pairs.responses[g] : found.pairs.responses[g + 1]]
        assert (np.diff(inside) > 0).all()
        assert set(inside.tolist()) == {*a.tolist(), *b.tolist()}
    assert result == naive_graphs(votes)


def denoise_then_ensemble(votes, weight=None):
    pairs, net = sum_denoised_graphs(votes, weight=weight)
    return denoise_graphs(pairs, net=net)


@pytest.mark.parametrize("seed", range(6))
def test_denoise_then_ensemble_sums_what_every_optimal_order_of_an_annotator_keeps(seed, enumerated):
    votes = panel(seed, sizes=(3, 5, 4, 6))
    expected = defaultdict(float)
    for arcs in naive_graphs(votes).values():
        nodes = sorted({v for pair in arcs for v in pair})
        local = {(nodes.index(x), nodes.index(y)): w for (x, y), w in arcs.items()}
        least = enumerated(len(nodes), local).least
        for (i, j), w in local.items():
            reversal = least[j, i] - least[i, j]
            if abs(reversal) > 1e-9 and reversal * w > 0:
                expected[nodes[i], nodes[j]] += w
    found = denoise_then_ensemble(votes, weight=WEIGHT)
    pairs = zip(found.tally.a.tolist(), found.tally.b.tolist(), strict=True)
    assert found.net.tolist() == pytest.approx([expected.get(pair, 0.0) for pair in pairs])
    everything = denoise_graphs(tally_pairs(votes, weight=WEIGHT))
    np.testing.assert_array_equal(found.tally.a, everything.tally.a)
    np.testing.assert_array_equal(found.tally.weight_a, everything.tally.weight_a)


def test_the_two_orders_differ_where_a_lone_annotator_goes_in_circles():
    """x says 0 > 1 > 2 > 0, y says 2 > 0: the circle cancels y in the sum, but vanishes when denoised first."""
    votes = Votes(
        offsets=np.array([0, 3]),
        prompt=np.zeros(4, np.int32),
        a=np.array([0, 1, 0, 0], np.int32),
        b=np.array([1, 2, 2, 2], np.int32),
        annotator=np.array([0, 0, 0, 1], np.int32),
        shown=np.zeros(4, np.int8),
        outcome=np.array([1, 1, -1, -1], np.int8),
        p_a=np.array([1, 1, 0, 0], np.float32),
        annotators=("x", "y"),
        human=np.zeros(2, np.bool_),
    )
    summed, first = denoise_graphs(tally_pairs(votes)), denoise_then_ensemble(votes)
    assert summed.cyclic.all()
    assert summed.net.tolist() == [1.0, -2.0, 1.0]
    assert summed.direction.tolist() == [0, -1, 0]
    assert not first.cyclic.any()
    assert first.net.tolist() == [0.0, -1.0, 0.0]
    assert first.rank.tolist() == [3, 2, 1]


def test_support_and_dropped_weight_of_a_pair():
    votes = panel(3, sizes=(5,), per_prompt=60)
    found = denoise_graphs(tally_pairs(votes))
    forward = found.direction > 0
    np.testing.assert_array_equal(found.support[forward], found.tally.weight_a[forward])
    np.testing.assert_array_equal(found.against[forward], found.tally.weight_b[forward])
    np.testing.assert_allclose(found.total_weight, np.abs(found.net).sum())
    assert found.dropped.sum() == pytest.approx(found.dropped_weight.sum())
