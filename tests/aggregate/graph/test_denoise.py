"""Exact denoising against the enumeration of all orders, and what must not depend on how a graph is written down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.aggregate.graph.arcs import log_odds
from curate.aggregate.graph.denoise import denoise_graphs
from curate.core.errors import CurateError

WEIGHTS = st.integers(-3, 3).map(float)


@st.composite
def graphs(draw, most=6, weights=WEIGHTS):
    n = draw(st.integers(2, most))
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    judged = draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    return n, {pair: draw(weights) for pair in judged}


@given(st.lists(graphs(), min_size=1, max_size=3))
@settings(max_examples=120)
def test_every_figure_is_that_of_the_enumeration(enumerated, make_tally, cost_of, cases):
    tally = make_tally(cases)
    found = denoise_graphs(tally, threads=1)
    for p, (n, arcs) in enumerate(cases):
        truth = enumerated(n, arcs)
        base, pairs = tally.responses[p], slice(tally.offsets[p], tally.offsets[p + 1])
        assert found.dropped_weight[p] == pytest.approx(truth.optimum)
        assert found.dropped[pairs].sum() == pytest.approx(truth.optimum)
        assert found.cyclic[p] == (truth.optimum > 0)
        order = tuple(found.order[base : base + n] - base)
        assert sorted(order) == list(range(n))
        assert cost_of(arcs, order) == pytest.approx(truth.optimum)
        reversal = [truth.least[j, i] - truth.least[i, j] for i, j in sorted(arcs)]
        np.testing.assert_allclose(found.margin[pairs] * found.direction[pairs], reversal, atol=1e-9)
        evidence = [abs(m) for m, (_, w) in zip(reversal, sorted(arcs.items()), strict=True) if w]
        assert found.unique[p] == (len(truth.feedback_sets) == 1)
        if evidence:
            assert found.prompt_margin[p] == pytest.approx(min(evidence))
        else:
            assert np.isnan(found.prompt_margin[p])


@given(graphs())
@settings(max_examples=60)
def test_ranks_keep_every_sure_direction_and_share_what_is_not_sure(enumerated, make_tally, case):
    n, arcs = case
    found = denoise_graphs(make_tally([case]), threads=1)
    truth = enumerated(n, arcs)
    judged = {v for pair in arcs for v in pair}
    ahead = truth.least < truth.least.T - 1e-9
    standing = ahead.sum(1) - ahead.sum(0)
    for v in range(n):
        better = sum(standing[u] > standing[v] for u in judged)
        assert found.rank[v] == (1 + better if v in judged else 0)
    for u in judged:
        for v in judged:
            assert not ahead[u, v] or found.rank[u] < found.rank[v]


@given(graphs(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_relabelling_responses_changes_nothing_but_labels(make_tally, case, random):
    n, arcs = case
    label = list(range(n))
    random.shuffle(label)
    renamed = {}
    for (i, j), w in arcs.items():
        x, y = label[i], label[j]
        renamed[min(x, y), max(x, y)] = w if x < y else -w
    one, two = denoise_graphs(make_tally([case])), denoise_graphs(make_tally([(n, renamed)]))
    assert one.dropped_weight == pytest.approx(two.dropped_weight)
    assert one.unique == two.unique
    np.testing.assert_array_equal(one.rank, two.rank[label])
    for k, (i, j) in enumerate(sorted(arcs)):
        x, y = label[i], label[j]
        place = sorted(renamed).index((min(x, y), max(x, y)))
        assert one.direction[k] == two.direction[place] * (1 if x < y else -1)
        assert one.margin[k] == pytest.approx(two.margin[place])


@given(graphs(weights=st.floats(-5, 5).filter(lambda w: abs(w) > 1e-3)), st.floats(1e-6, 1e6))
@settings(max_examples=60)
def test_scaling_the_weights_scales_the_weights(make_tally, case, factor):
    n, arcs = case
    one = denoise_graphs(make_tally([case]))
    two = denoise_graphs(make_tally([(n, {pair: w * factor for pair, w in arcs.items()})]))
    np.testing.assert_array_equal(one.rank, two.rank)
    np.testing.assert_array_equal(one.direction, two.direction)
    np.testing.assert_allclose(one.dropped_weight * factor, two.dropped_weight, rtol=1e-9)
    np.testing.assert_allclose(one.margin * factor, two.margin, rtol=1e-6)


@given(st.data())
@settings(max_examples=60)
def test_an_acyclic_graph_is_kept_as_it_is(make_tally, data):
    n, arcs = data.draw(graphs(most=10))
    order = data.draw(st.permutations(range(n)))
    arcs = {(i, j): abs(w) * (1 if order.index(i) < order.index(j) else -1) for (i, j), w in arcs.items()}
    found = denoise_graphs(make_tally([(n, arcs)]))
    assert not found.cyclic[0]
    assert not found.dropped.any()
    assert found.unique[0]
    judged = [w for _, w in sorted(arcs.items())]
    kept = np.array(judged) != 0
    np.testing.assert_array_equal(found.direction[kept], np.sign(judged)[kept])


def test_what_is_kept_never_has_a_cycle(make_tally):
    rng = np.random.default_rng(0)
    cases = [
        (n, {(i, j): float(rng.integers(-4, 5)) for i in range(n) for j in range(i + 1, n)})
        for n in rng.integers(2, 12, 200).tolist()
    ]
    tally = make_tally(cases)
    found = denoise_graphs(tally)
    again = denoise_graphs(tally, net=np.where(found.dropped > 0.0, 0.0, found.net))
    assert found.cyclic.mean() > 0.5
    assert not again.cyclic.any()
    sure = denoise_graphs(tally, net=found.direction.astype(float))
    assert not sure.cyclic.any()


def test_a_balanced_cycle_is_a_tie(make_tally):
    found = denoise_graphs(make_tally([(3, {(0, 1): 1.0, (1, 2): 1.0, (0, 2): -1.0})]))
    assert found.rank.tolist() == [1, 1, 1]
    assert found.direction.tolist() == [0, 0, 0]
    assert found.dropped_weight.tolist() == [1.0]
    assert found.cyclic.all()
    assert not found.unique.any()


def test_a_lone_response_and_an_empty_prompt_have_no_rank(make_tally):
    found = denoise_graphs(make_tally([(1, {}), (0, {}), (3, {(0, 2): -2.0}), (2, {})]))
    assert found.rank.tolist() == [0, 2, 0, 1, 0, 0]
    assert found.order.tolist() == [0, 3, 1, 2, 4, 5]
    assert np.isnan(found.prompt_margin).tolist() == [True, True, False, True]
    assert found.exact.all()


def test_sixteen_responses_with_a_planted_order(make_tally):
    rng = np.random.default_rng(1)
    planted = rng.permutation(16)
    place = np.argsort(planted)
    arcs = {(i, j): 3.0 * (1 if place[i] < place[j] else -1) for i in range(16) for j in range(i + 1, 16)}
    u, v = sorted((planted[0], planted[9]))
    arcs[int(u), int(v)] *= -1  # one wrong arc against eight detours
    found = denoise_graphs(make_tally([(16, arcs)]))
    assert found.order.tolist() == planted.tolist()
    assert found.dropped_weight[0] == 3.0
    assert found.margin.min() > 0.0


def test_results_do_not_depend_on_the_number_of_threads(make_tally):
    rng = np.random.default_rng(2)
    tally = make_tally(
        [(6, {(i, j): rng.normal() for i in range(6) for j in range(i + 1, 6)}) for _ in range(300)]
    )
    one, four = denoise_graphs(tally, threads=1), denoise_graphs(tally, threads=4)
    np.testing.assert_array_equal(one.margin, four.margin)
    np.testing.assert_array_equal(one.order, four.order)


def test_log_odds_of_sure_and_even_pairs():
    assert log_odds(np.array([0.5, 0.75, 0.25])) == pytest.approx([0.0, np.log(3), -np.log(3)])
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()


def test_weights_of_the_wrong_number_are_named(make_tally):
    tally = make_tally([(2, {(0, 1): 1.0})])
    with pytest.raises(CurateError, match="3 arc weights for 1 pairs"):
        denoise_graphs(tally, net=np.ones(3))
    with pytest.raises(CurateError, match="exact_limit is 40"):
        denoise_graphs(tally, exact_limit=40)
