from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from curate.aggregate.annotators import fusion
from curate.aggregate.annotators.fusion import fuse_opinions


def opinions(pairs=200, seed=0):
    """Two judges of the truth, eight of the looks, which contradict the truth."""
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(pairs) < 0.5, -1.0, 1.0)
    looks = np.where(rng.random(pairs) < 0.7, -truth, truth)
    columns = [np.where(rng.random(pairs) < 0.85, side, -side) for side in [truth] * 2 + [looks] * 8]
    return np.stack(columns, axis=1), truth


def test_one_thread_of_blas_does_the_many_small_matrices(monkeypatch):
    """On a busy machine several wait for each other, which took twenty times as long as the work."""
    threads = []

    def note_threads(*arguments):
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")

    monkeypatch.setattr(fusion, "_laplace_evidence", note_threads)
    opinion, truth = opinions()
    with pytest.raises(TypeError):  # the stand-in computes nothing
        fuse_opinions(opinion, opinion.sum(1), np.arange(40), (1 + truth[:40]) / 2)
    assert set(threads) == {1}


def test_labels_tell_whom_to_believe():
    opinion, truth = opinions()
    labelled = np.arange(40)
    found = fuse_opinions(opinion, opinion.sum(1), labelled, (1 + truth[:40]) / 2)
    assert np.mean(np.sign(found.p_a[40:] - 0.5) == truth[40:]) > 0.8
    assert np.mean(np.sign(opinion[40:].sum(1)) == truth[40:]) < 0.45
    assert found.trust < 0.3


def good_panel(seed=1):
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(300) < 0.5, -1.0, 1.0)
    opinion = np.where(rng.random((300, 12)) < 0.75, truth[:, None], -truth[:, None])
    return opinion, opinion.sum(1) * np.log(3), truth


def test_a_good_consensus_is_trusted():
    opinion, consensus, truth = good_panel()
    found = fuse_opinions(opinion, consensus, np.arange(20), (1 + truth[:20]) / 2)
    assert found.trust > 0.3


@pytest.mark.parametrize("labels", [5, 20, 40])
@pytest.mark.parametrize("seed", range(5))
def test_labels_that_say_nothing_new_turn_nothing_round(labels, seed):
    opinion, consensus, truth = good_panel(seed)
    found = fuse_opinions(opinion, consensus, np.arange(labels), (1 + truth[:labels]) / 2)
    decided = consensus != 0
    np.testing.assert_array_equal(np.sign(found.p_a - 0.5)[decided], np.sign(consensus)[decided])


def test_negating_opinions_negates_the_answer():
    opinion, truth = opinions(80)
    consensus = opinion.sum(1)
    target = (1 + truth[:30]) / 2
    straight = fuse_opinions(opinion, consensus, np.arange(30), target)
    mirrored = fuse_opinions(-opinion, -consensus, np.arange(30), 1 - target)
    np.testing.assert_allclose(mirrored.p_a, 1 - straight.p_a, atol=1e-8)


def test_ties_pull_to_the_middle():
    opinion = np.repeat(np.array([[1.0, 1.0, 1.0]]), 40, axis=0)
    sure = fuse_opinions(opinion, np.zeros(40), np.arange(20), np.ones(20)).p_a[30]
    torn = fuse_opinions(opinion, np.zeros(40), np.arange(20), np.full(20, 0.5)).p_a[30]
    assert sure > 0.8
    assert abs(torn - 0.5) < 1e-6


def test_laplace_matches_its_fixed_point_and_small_integral():
    gram, target, mean = np.array([[2.0]]), np.array([1.0]), np.array([0.3])
    alpha, _, evidence = fusion._laplace_evidence(gram, target, mean)
    f = mean + gram @ alpha
    np.testing.assert_allclose(alpha, target - 1 / (1 + np.exp(-f)), atol=1e-6)
    grid = np.linspace(-12, 12, 20001)
    density = np.exp(-((grid - 0.3) ** 2) / 4) / np.sqrt(4 * np.pi) / (1 + np.exp(-grid))
    assert abs(evidence - np.log(np.trapezoid(density, grid))) < 0.05
