from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest

from curate.aggregate.annotators import fit_model
from curate.aggregate.annotators.pairs import PairLabels
from curate.aggregate.annotators.panel import PanelOptions, fit
from curate.aggregate.calibration import compute_calibration_error


def accuracy(found, truth):
    guess = np.where(np.abs(found.p_a - 0.5) < 1e-9, 0.5, np.sign(found.p_a - 0.5) == truth[found.prompt])
    return guess.mean()


def label(truth, chosen):
    chosen = np.asarray(chosen)
    return PairLabels(
        a=(2 * chosen).astype(np.int32),
        b=(2 * chosen + 1).astype(np.int32),
        outcome=truth[chosen].astype(np.int8),
    )


def test_abilities_positions_and_ties_are_recovered_and_probabilities_calibrated(draw_panel):
    ability, position = [-0.5, 0.3, 1.0, 1.5, 2.0, 3.0], [0.0, 1.0, -0.5, 0.0, 0.5, 0.0]
    votes, truth = draw_panel(ability, 3000, position=position, tie=0.1, missing=0.4)
    found = fit(votes)
    np.testing.assert_allclose(found.ability, ability, atol=0.25)
    np.testing.assert_allclose(found.position_bias, position, atol=0.25)
    np.testing.assert_allclose(found.tie_rate, 0.1, atol=0.02)
    assert compute_calibration_error(found.p_a, (1 + truth[found.prompt]) / 2) < 0.03
    assert accuracy(found, truth) > accuracy(fit_model("majority", votes), truth) + 0.02
    assert found.converged
    assert found.warnings == ()


def test_without_shared_errors_the_objective_never_falls(draw_panel):
    votes, _ = draw_panel([0.5, 1.0, 1.5, 2.0], 300, missing=0.2)
    assert np.all(np.diff(fit(votes).trace) > -0.05)


def test_swapping_a_and_b_swaps_the_answer(draw_panel, make_votes):
    votes, _ = draw_panel([0.5, 1.0, 1.5, 2.0], 200, position=[1, 0, 0, -1], tie=0.1)
    rows = np.stack([votes.a, votes.b, votes.annotator, -votes.shown, -votes.outcome], axis=1)
    mirrored = fit(make_votes(rows, sizes=[2] * 200))
    np.testing.assert_allclose(mirrored.p_a, 1 - fit(votes).p_a, atol=1e-3)


def test_a_judge_with_five_votes_does_not_dominate(draw_panel, make_votes):
    votes, _ = draw_panel([1.0, 1.0, 1.0], 200)
    rows = np.stack([votes.a, votes.b, votes.annotator, votes.shown, votes.outcome], axis=1)
    consensus = fit(votes)
    against = [(2 * q, 2 * q + 1, 3, 1, 1 if consensus.p_a[q] > 0.5 else -1) for q in range(5)]
    found = fit(make_votes(np.concatenate([rows, against]), sizes=[2] * 200))
    assert found.ability[3] < 3.0
    assert found.n[3] == 5


def copies_panel(make_votes, copies, pairs=2000, seed=1):
    """Four independent good judges and one poor opinion repeated by `copies` judges that never differ."""
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(pairs) < 0.5, -1, 1)
    q = np.arange(pairs)
    rows = []
    for j, skill in enumerate([1.2, 1.2, 1.2, 1.2]):
        vote = np.where(rng.random(pairs) < 1 / (1 + np.exp(-skill)), truth, -truth)
        rows.append(np.stack([2 * q, 2 * q + 1, 0 * q + j, 0 * q, vote], 1))
    opinion = np.where(rng.random(pairs) < 0.6, truth, -truth)
    for k in range(copies):
        vote = np.where(rng.random(pairs) < 0.97, opinion, -opinion)
        rows.append(np.stack([2 * q, 2 * q + 1, 0 * q + 4 + k, 0 * q, vote], 1))
    return make_votes(np.concatenate(rows), sizes=[2] * pairs), truth


def test_errors_made_together_do_not_count_as_independent(make_votes):
    votes, truth = copies_panel(make_votes, 4)
    found = fit(votes)
    assert len(set(found.cluster[4:].tolist())) == 1
    assert len(set(found.cluster[:5].tolist())) == 5
    assert accuracy(found, truth) > 0.82
    assert accuracy(fit_model("one_coin", votes), truth) < 0.7
    assert np.all(found.ability[:4] > found.ability[4:].max())


def superficial_panel(make_votes, pairs=160, seed=0):
    """Eight judges that share an opinion that is mostly wrong, three weak ones that see the truth."""
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(pairs) < 0.5, -1, 1)
    looks = np.where(rng.random(pairs) < 0.75, -truth, truth)
    q = np.arange(pairs)
    rows = []
    for j in range(11):
        seen = looks if j < 8 else truth
        for shown in (1, -1):
            vote = np.where(rng.random(pairs) < (0.85 if j < 8 else 0.75), seen, -seen)
            rows.append(np.stack([2 * q, 2 * q + 1, 0 * q + j, 0 * q + shown, vote], 1))
    return make_votes(np.concatenate(rows), sizes=[2] * pairs), truth


def test_a_panel_worse_than_chance_is_said_and_turned_by_labels(make_votes):
    votes, truth = superficial_panel(make_votes)
    chosen = np.random.default_rng(1).permutation(160)[:40]
    found = fit(votes, labels=label(truth, chosen))
    assert any("worse than chance" in doubt for doubt in found.warnings)
    rest = np.setdiff1d(np.arange(160), chosen)
    right = np.sign(found.p_a[rest] - 0.5) == truth[rest]
    assert right.mean() > 0.75
    assert found.ability[:8].max() < 0 < found.ability[8:].min()


def test_labels_are_kept_as_said(draw_panel):
    votes, truth = draw_panel([1.0, 1.0, 1.0], 60)
    found = fit(votes, labels=label(truth, range(10)))
    np.testing.assert_array_equal(found.p_a[:10], (1 + truth[:10]) / 2)


def test_peoples_votes_anchor_as_labels_do(draw_panel, make_votes):
    votes, truth = draw_panel([0.5, 1.0, 1.5], 60)
    rows = np.stack([votes.a, votes.b, votes.annotator, votes.shown, votes.outcome], axis=1)
    people = [(2 * q, 2 * q + 1, 3, 0, truth[q]) for q in range(20)]
    by_votes = fit(make_votes(np.concatenate([rows, people]), sizes=[2] * 60, human=[3]))
    by_labels = fit(votes, labels=label(truth, range(20)))
    np.testing.assert_allclose(by_votes.p_a, by_labels.p_a)
    assert np.isnan(by_votes.ability[3])


def test_labels_of_pairs_that_no_judge_saw_tell_nothing_about_the_judges(draw_panel):
    """They are kept, and move no other pair; nothing is said of how the panel agrees with them."""
    votes, truth = draw_panel([0.5, 1.0, 1.5, 2.0], 200)
    votes = replace(votes.select(votes.prompt < 150), author=np.tile([0, 1], 200).astype(np.int32))
    without = fit(votes)
    found = fit(votes, labels=label(truth, range(150, 200)))
    np.testing.assert_allclose(found.p_a[:150], without.p_a, atol=0.02)
    np.testing.assert_array_equal(np.sign(found.p_a[:150] - 0.5), np.sign(without.p_a - 0.5))
    np.testing.assert_array_equal(found.p_a[150:], (1 + truth[150:]) / 2)
    assert found.warnings == ()


def by_all_orders(outcome, right):
    """Exact posterior lean of 6 pairs of 4 responses: all 24 orders alike, judges right with probability
    `right`."""
    pairs = list(combinations(range(4), 2))
    lean = np.zeros((len(outcome), 6))
    for order in permutations(range(4)):
        side = np.array([1 if order.index(i) < order.index(k) else -1 for i, k in pairs])
        agree = (outcome * side[None, :, None] > 0).sum((1, 2))
        weight = (right / (1 - right)) ** (agree - outcome[0].size / 2)
        lean += weight[:, None] * side
    return lean.ravel()


def test_pairs_of_a_prompt_inform_each_other(make_votes):
    rng = np.random.default_rng(0)
    pairs = np.array(list(combinations(range(4), 2)))
    quality = rng.normal(0, 2, (1000, 4))
    truth = np.sign(quality[:, pairs[:, 0]] - quality[:, pairs[:, 1]]).astype(int)
    outcome = np.where(rng.random((1000, 6, 3)) < 0.7, 1, -1) * truth[:, :, None]
    rows = [
        (4 * p + pairs[q, 0], 4 * p + pairs[q, 1], j, 0, outcome[p, q, j])
        for p, q, j in np.ndindex(1000, 6, 3)
    ]
    votes = make_votes(rows, sizes=[4] * 1000)

    def accuracy_of(lean):
        return np.mean(np.sign(lean) == truth.ravel())

    alone = accuracy_of(fit(votes, options=PanelOptions(transitivity=False)).p_a - 0.5)
    together = accuracy_of(fit(votes).p_a - 0.5)
    best = accuracy_of(by_all_orders(outcome, 0.7))
    assert best > alone + 0.01
    assert together - alone > (best - alone) / 3


def test_length_bias_is_seen(make_votes):
    rng = np.random.default_rng(0)
    pairs = 1500
    length = np.exp(rng.normal(6, 0.5, 2 * pairs))
    longer = np.where(length[::2] > length[1::2], 1, -1)
    truth = np.where(rng.random(pairs) < 0.5, -1, 1)
    q, rows = np.arange(pairs), []
    for j, lean in enumerate([0.0, 0.0, 0.0, 2.0]):
        p = 1 / (1 + np.exp(-(1.5 * truth + lean * longer)))
        vote = np.where(rng.random(pairs) < p, 1, -1)
        rows.append(np.stack([2 * q, 2 * q + 1, 0 * q + j, 0 * q, vote], 1))
    found = fit(make_votes(np.concatenate(rows), sizes=[2] * pairs, length=length))
    assert found.length_bias[3] > 1.0
    assert np.all(np.abs(found.length_bias[:3]) < 0.4)


def test_without_votes_there_is_nothing(make_votes):
    assert len(fit(make_votes([], sizes=[2], annotators=2)).p_a) == 0


@pytest.mark.parametrize("rows", [[(0, 1, 0, 1, 1)], [(0, 1, 0, 1, 0), (0, 1, 1, -1, 0)]])
def test_tiny_inputs_give_finite_answers(make_votes, rows):
    found = fit(make_votes(rows, sizes=[2], annotators=2))
    assert np.all(np.isfinite(found.p_a))
    assert np.all((found.p_a >= 0) & (found.p_a <= 1))
    assert np.all((found.p_tie >= 0) & (found.p_tie <= 1))
