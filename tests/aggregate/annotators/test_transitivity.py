from __future__ import annotations

import numpy as np
import pytest

from curate.aggregate.annotators.pairs import build_pair_table
from curate.aggregate.annotators.transitivity import (
    MAX_RESPONSES,
    PANEL_ERROR,
    TransitivityModel,
    apply_transitivity,
)

PAIRS = [(0, 1), (0, 2), (1, 2)]


def exact_cavity(evidence, spread, left_out, draws=400_000):
    """Prior log-odds of one pair given the evidence on the others, by importance sampling of the
    qualities."""
    rng = np.random.default_rng(0)
    theta = rng.normal(0, spread, (draws, 3))
    weight = np.ones(draws)
    for q, (a, b) in enumerate(PAIRS):
        if q != left_out:
            p = 1 / (1 + np.exp(theta[:, b] - theta[:, a]))
            for_a = 1 / (1 + np.exp(-evidence[q]))
            kept = (1 - PANEL_ERROR) * for_a + PANEL_ERROR * (1 - for_a)
            weight *= p * kept + (1 - p) * (1 - kept)
    a, b = PAIRS[left_out]
    side = np.average(1 / (1 + np.exp(theta[:, b] - theta[:, a])), weights=weight)
    return np.log(side / (1 - side))


def triangle(make_votes):
    return build_pair_table(make_votes([(a, b, 0, 1, 1) for a, b in PAIRS], sizes=[3]))


@pytest.mark.parametrize("evidence", [[2.0, -1.0, 0.5], [0.0, 3.0, 3.0], [4.0, -4.0, 4.0]])
def test_cavities_match_exact_integration(make_votes, evidence):
    state = TransitivityModel(triangle(make_votes), np.array([0, 3]), spread=1.5)
    for _ in range(30):
        cavity = state.sweep(np.array(evidence))
    exact = [exact_cavity(evidence, 1.5, q) for q in range(3)]
    np.testing.assert_allclose(cavity, exact, atol=0.15)


def test_a_pair_is_not_told_what_it_said(make_votes):
    table = triangle(make_votes)
    state = TransitivityModel(table, np.array([0, 3]))
    cavity = state.sweep(np.array([5.0, 0.0, 0.0]), passes=20)
    assert abs(cavity[0]) < 1e-6
    assert cavity[1] > 0.2 > -0.2 > cavity[2]


def test_a_lone_pair_and_a_crowded_prompt_keep_their_evidence(make_votes):
    big = MAX_RESPONSES + 1
    rows = [(0, 1, 0, 1, 1), (2, 3, 0, 1, 1), (3, 4, 0, 1, 1)]
    table = build_pair_table(make_votes(rows, sizes=[2, big]))
    evidence = np.array([1.0, 2.0, -1.0])
    np.testing.assert_array_equal(apply_transitivity(table, np.array([0, 2, 2 + big]), evidence), evidence)


def test_an_author_who_wins_elsewhere_is_favoured(make_votes):
    prompts = 30
    rows = [(3 * p + a, 3 * p + b, 0, 1, 1) for p in range(prompts) for a, b in PAIRS]
    table = build_pair_table(make_votes(rows, sizes=[3] * prompts))
    evidence = np.full(table.n_pairs, 3.0)
    evidence[:3] = 0.0
    author = np.tile(np.array([0, 1, 2], np.int32), prompts)
    offsets = 3 * np.arange(prompts + 1)
    known = apply_transitivity(table, offsets, evidence, author=author)
    assert np.all(known[:3] > 0.5)
    np.testing.assert_allclose(apply_transitivity(table, offsets, evidence)[:3], 0, atol=1e-6)


def test_the_spread_that_predicts_best_is_chosen(make_votes):
    rng = np.random.default_rng(0)
    pairs = [(4 * p + a, 4 * p + b) for p in range(300) for a in range(4) for b in range(a + 1, 4)]
    table = build_pair_table(make_votes([(a, b, 0, 1, 1) for a, b in pairs], sizes=[4] * 300))
    quality = rng.normal(0, 4, 1200)
    orderly = np.sign(quality[table.a] - quality[table.b])
    for truth, low, high in ((orderly, 2.0, 8.0), (rng.permutation(orderly), 0.0, 0.5)):
        heard = np.where(rng.random(len(truth)) < 0.8, truth, -truth) * np.log(4)
        state = TransitivityModel(table, 4 * np.arange(301))
        state.learn(heard)
        assert low <= state.spread <= high
