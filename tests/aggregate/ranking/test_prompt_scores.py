"""Per-prompt strengths against plain gradient descent and the inverse of a dense Hessian."""

from __future__ import annotations

import numpy as np
import pytest

from curate.aggregate.graph.tally import PairTally
from curate.aggregate.ranking import prompt_scores as module
from curate.aggregate.ranking.prompt_scores import fit_prompt_scores
from curate.core.errors import CurateError


def random_tally(rng, sizes, *, density=0.8, heavy=6):
    responses = np.cumsum([0, *sizes])
    a, b, offsets = [], [], [0]
    for base, n in zip(responses[:-1], sizes, strict=True):
        i, j = np.triu_indices(n, 1)
        met = rng.random(len(i)) < density
        a += (base + i[met]).tolist()
        b += (base + j[met]).tolist()
        offsets.append(len(a))
    weight = rng.integers(0, heavy, (3, len(a))).astype(float)
    return PairTally(
        responses=responses,
        offsets=np.array(offsets),
        a=np.array(a, np.int32),
        b=np.array(b, np.int32),
        n=weight.sum(0).astype(np.int32),
        weight_a=weight[0],
        weight_b=weight[1],
        weight_tie=weight[2],
    )


def dense(pairs, p, prior_sd):
    """Score, standard deviation and whether judged, of prompt p, by damped Newton with numpy."""
    base, n = pairs.responses[p], pairs.responses[p + 1] - pairs.responses[p]
    inside = slice(pairs.offsets[p], pairs.offsets[p + 1])
    i, j = pairs.a[inside] - base, pairs.b[inside] - base
    for_a = pairs.weight_a[inside] + pairs.weight_tie[inside] / 2
    for_b = pairs.weight_b[inside] + pairs.weight_tie[inside] / 2
    sign = np.zeros((len(i), n))
    sign[np.arange(len(i)), i], sign[np.arange(len(i)), j] = 1.0, -1.0
    x = np.zeros(n)
    for _ in range(200):
        q = 1 / (1 + np.exp(-sign @ x))
        gradient = x / prior_sd**2 + sign.T @ ((for_a + for_b) * q - for_a)
        hessian = np.eye(n) / prior_sd**2 + sign.T @ (((for_a + for_b) * q * (1 - q))[:, None] * sign)
        x = x - 0.5 * np.linalg.solve(hessian, gradient)
    judged = np.isin(np.arange(n), np.concatenate((i, j)))
    centre = np.eye(n)[judged] - judged / judged.sum() if judged.any() else np.zeros((0, n))
    sd = np.sqrt(np.diag(centre @ np.linalg.inv(hessian) @ centre.T))
    return x, sd, judged


@pytest.mark.parametrize("seed", range(4))
def test_scores_and_deviations_are_those_of_the_dense_computation(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 9, 12).tolist()
    pairs = random_tally(rng, sizes, density=0.5)
    found = fit_prompt_scores(pairs, prior_sd=1.5)
    for p in range(len(sizes)):
        nodes = slice(pairs.responses[p], pairs.responses[p + 1])
        if pairs.offsets[p] == pairs.offsets[p + 1]:
            assert np.isnan(found.score[nodes]).all()
            continue
        score, sd, judged = dense(pairs, p, 1.5)
        np.testing.assert_allclose(found.score[nodes][judged], score[judged], atol=1e-7)
        np.testing.assert_allclose(found.sd[nodes][judged], sd, atol=1e-6)
        assert np.isnan(found.score[nodes][~judged]).all()
        assert np.isnan(found.sd[nodes][~judged]).all()


def test_one_by_one_reaches_the_joint_optimum(monkeypatch):
    pairs = random_tally(np.random.default_rng(5), [30, 4, 25])
    joint = fit_prompt_scores(pairs)
    monkeypatch.setattr(module, "MOST_JOINT", 10)
    single = fit_prompt_scores(pairs)
    np.testing.assert_allclose(single.score, joint.score, atol=1e-4)
    assert np.isnan(single.sd).sum() == 55
    assert not np.isnan(joint.sd).any()


def test_more_votes_make_a_score_surer_and_unanimity_stays_finite():
    def one_pair(weight):
        return PairTally(
            responses=np.array([0, 2]), offsets=np.array([0, 1]), a=np.zeros(1, np.int32), b=np.ones(1, np.int32),
            n=np.ones(1, np.int32), weight_a=np.array([weight]), weight_b=np.zeros(1), weight_tie=np.zeros(1),
        )  # fmt: skip

    few, many = fit_prompt_scores(one_pair(2.0)), fit_prompt_scores(one_pair(1e6))
    assert few.score[0] == pytest.approx(-few.score[1])
    assert 0 < few.score[0] < many.score[0] < 30
    assert many.sd[0] < few.sd[0] < 2.0
    with pytest.raises(CurateError, match="prior_sd is 0"):
        fit_prompt_scores(one_pair(1.0), prior_sd=0)
