"""Kernels of the panel model against naive loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.aggregate.annotators import panel_kernels as kernels
from curate.aggregate.annotators.pairs import build_pair_table, take_pairs

CENTRE = np.array([-1.0, 0.0, 1.0])


def expectation(table, length_bin, log_prior, log_vote, discount, *, ties, shards):
    """Posterior, counts and log-likelihood of a table of pairs, from nothing."""
    posterior = np.zeros((table.n_pairs, 3))
    statement = kernels.code_statements(table.annotator, table.shown, table.outcome)
    counts, evidence, _ = kernels.update_posterior(
        posterior, table.offsets, statement, table.weight, length_bin,
        lambda part: log_prior[part], log_vote, discount, ties, shards,
    )  # fmt: skip
    return posterior, counts, evidence


def naive_probability(theta, s, d, t):
    kappa, beta, nu, delta, gamma = theta
    eta = kappa * t + beta * s + gamma * d
    weight = np.array([np.exp(-eta / 2), np.exp(nu + (delta if t == 0 else 0)), np.exp(eta / 2)])
    return weight / weight.sum()


def problem(make_votes, seed, ties):
    rng = np.random.default_rng(seed)
    outcomes = [-1, 0, 1] if ties else [-1, 1]
    asked = [(3 * p + i, 3 * p + k, j, s) for p in range(4) for i, k in ((0, 1), (0, 2), (1, 2))
             for j in range(3) for s in (-1, 0, 1)]  # fmt: skip
    rows = [(*row, rng.choice(outcomes)) for row in asked if rng.random() < 0.6]
    table = build_pair_table(make_votes(rows, sizes=[3] * 4, annotators=3))
    bins = rng.integers(0, 3, table.n_pairs).astype(np.int8)
    prior = np.log(rng.dirichlet([1, 1, 1], table.n_pairs))
    if not ties:
        prior[:, 1] = -np.inf
    return table, bins, prior, rng.normal(0, 1, (3, 5)), rng.uniform(0.2, 1.2, 3)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.booleans(), st.integers(1, 5))
def test_expectation_is_bayes_rule_pair_by_pair(make_votes, seed, ties, shards):
    table, bins, prior, theta, discount = problem(make_votes, seed, ties)
    log_vote = kernels.vote_log_probability(theta, CENTRE)
    posterior, counts, evidence = expectation(
        table, bins, prior, log_vote, discount, ties=int(ties), shards=shards
    )
    expected_counts, total = np.zeros_like(counts), 0.0
    for q in range(table.n_pairs):
        mine = range(table.offsets[q], table.offsets[q + 1])
        joint = np.exp(prior[q])
        for t in (-1, 0, 1):
            for v in mine:
                j = table.annotator[v]
                p = naive_probability(theta[j], table.shown[v], CENTRE[bins[q]], t)[table.outcome[v] + 1]
                joint[t + 1] *= p ** discount[j]
        np.testing.assert_allclose(posterior[q], joint / joint.sum(), atol=1e-12)
        total += np.log(joint.sum())
        for v in mine:
            cell = expected_counts[table.annotator[v], table.shown[v] + 1, bins[q]]
            cell[:, table.outcome[v] + 1] += joint / joint.sum()
    assert evidence == pytest.approx(total)
    np.testing.assert_allclose(counts, expected_counts, atol=1e-12)


def objective(counts, theta, mean, precision):
    value = -0.5 * np.sum(precision * (theta - mean) ** 2)
    for s in range(3):
        for d in range(3):
            for t in range(3):
                value += counts[s, d, t] @ np.log(naive_probability(theta, s - 1, CENTRE[d], t - 1))
    return value


def test_maximise_finds_the_top_of_the_penalised_likelihood():
    rng = np.random.default_rng(3)
    counts = rng.gamma(1.0, 3.0, (2, 3, 3, 3, 3))
    mean, precision = np.array([1.0, 0, -1, 1, 0]), np.array([1.0, 1, 0.5, 1, 4])
    free = np.ones(5, np.int8)
    found, variance = kernels.maximise_parameters(counts, CENTRE, np.zeros((2, 5)), mean, precision, free, 30)
    for j in range(2):
        best = objective(counts[j], found[j], mean, precision)
        for k in range(5):
            for step in (-1e-3, 1e-3):
                nearby = found[j].copy()
                nearby[k] += step
                assert objective(counts[j], nearby, mean, precision) < best
    assert np.all(variance > 0)


def test_a_parameter_that_is_not_free_stays():
    counts = np.random.default_rng(0).gamma(1.0, 3.0, (1, 3, 3, 3, 3))
    start = np.array([[1.0, 0.3, -1.0, 1.0, 0.2]])
    free = np.array([1, 0, 1, 1, 0], np.int8)
    found, _ = kernels.maximise_parameters(counts, CENTRE, start, np.zeros(5), np.ones(5), free, 10)
    assert found[0, 1] == 0.3
    assert found[0, 4] == 0.2
    assert found[0, 0] != 1.0


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(0, 12))
def test_sums_of_shards_fitted_apart_are_the_sums_of_all(make_votes, seed, cut):
    """So a fit over shards, merged, is the fit of all: the M-step reads nothing but these sums."""
    table, bins, prior, theta, discount = problem(make_votes, seed, True)
    log_vote = kernels.vote_log_probability(theta, CENTRE)
    middle = min(cut, table.n_pairs)
    parts = []
    for pairs in (np.arange(table.n_pairs), np.arange(middle), np.arange(middle, table.n_pairs)):
        shard = take_pairs(table, pairs)
        parts.append(expectation(shard, bins[pairs], prior[pairs], log_vote, discount, ties=1, shards=2))
    whole, first, second = parts
    np.testing.assert_allclose(whole[0], np.concatenate([first[0], second[0]]), atol=1e-12)
    np.testing.assert_allclose(whole[1], first[1] + second[1], atol=1e-10)
    assert whole[2] == pytest.approx(first[2] + second[2])
    found = [
        kernels.maximise_parameters(counts, CENTRE, theta, np.zeros(5), np.ones(5), np.ones(5, np.int8), 3)[0]
        for counts in (whole[1], first[1] + second[1])
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-8)
