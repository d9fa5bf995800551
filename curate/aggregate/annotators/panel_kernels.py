"""numba kernels of the panel model: one exact E-step over all pairs, one Newton M-step over all annotators.

The tree of a pair: truth t ∈ {b, tie, a} → what annotator j believes, z → each of its votes x, because what an
annotator gets wrong in one order it gets wrong in the other. An annotator that believes z and is shown order
s ∈ {-1, 0, 1} and length difference d says

    P(a) ∝ exp(+η/2),  P(b) ∝ exp(-η/2),  P(tie) ∝ exp(ν_j + δ_j·1[z = tie]),   η = κ_j·z + β_j·s + γ_j·d

which is Davidson's (1970) tie model with a position and a length effect. State and outcome index 0, 1, 2 is b, tie, a.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from curate.aggregate.votes import Float32, Float64, Int8, Int32, Int64

KAPPA, BETA, NU, DELTA, GAMMA = range(5)
N_PARAMETERS = 5


@nb.njit(cache=True)
def vote_log_probability(parameters: Float64, bin_centre: Float64) -> Float64:
    """log P(x | z, s, d) for every annotator: float64[A, 3 (s), D, 3 (z), 3 (x)]."""
    table = np.empty((len(parameters), 3, len(bin_centre), 3, 3))
    for j in range(len(parameters)):
        kappa, beta, nu, delta, gamma = parameters[j]
        for s in range(3):
            for d in range(len(bin_centre)):
                for z in range(3):
                    eta = kappa * (z - 1) + beta * (s - 1) + gamma * bin_centre[d]
                    tie = nu + (delta if z == 1 else 0.0)
                    top = max(abs(eta) / 2, tie)
                    norm = top + np.log(np.exp(eta / 2 - top) + np.exp(-eta / 2 - top) + np.exp(tie - top))
                    table[j, s, d, z, 0] = -eta / 2 - norm
                    table[j, s, d, z, 1] = tie - norm
                    table[j, s, d, z, 2] = eta / 2 - norm
    return table


@nb.njit(cache=True)
def _log_sum(x: Float64, low: int) -> float:
    top = max(x[0], x[2])
    if low == 1:
        top = max(top, x[1])
    total = np.exp(x[0] - top) + np.exp(x[2] - top)
    if low == 1:
        total += np.exp(x[1] - top)
    return float(top + np.log(total))


def expectation(
    offsets: Int64,
    annotator: Int32,
    shown: Int8,
    outcome: Int8,
    weight: Float32,
    length_bin: Int8,
    log_prior: Float64,
    log_vote: Float64,
    log_belief: Float64,
    direct: Int8,
    discount: Float64,
    ties: int,
    shards: int,
) -> tuple[Float64, Float64, Float64, float]:
    """Posterior of every pair and the sums that the M-step needs; the sums of shards of pairs add up.

    `log_prior` float64[Q, 3]; `log_belief` float64[A, 2] = log P(z = t), log P(z = another state);
    `direct` int8[A]: z = t; `discount` float64[A] multiplies what the annotator's votes tell about t. Votes of a
    pair are sorted by annotator.
    Returns posterior[Q, 3], counts[A, 3, D, 3, 3] = E[#(s, d, z, x)], belief[A, 2] = E[#z = t, #z ≠ t] and
    the log-likelihood.
    """
    posterior = np.zeros((len(offsets) - 1, 3))
    counts = np.zeros((shards, *log_vote.shape))
    belief = np.zeros((shards, len(direct), 2))
    evidence = np.zeros(shards)
    longest = int(np.max(np.diff(offsets), initial=0))
    _all_shards(
        offsets, annotator, shown, outcome, weight, length_bin, log_prior, log_vote, log_belief,
        direct, discount, ties, longest, posterior, counts, belief, evidence,
    )  # fmt: skip
    return posterior, counts.sum(0), belief.sum(0), float(evidence.sum())


@nb.njit(cache=True, parallel=True)
def _all_shards(
    offsets: Int64,
    annotator: Int32,
    shown: Int8,
    outcome: Int8,
    weight: Float32,
    length_bin: Int8,
    log_prior: Float64,
    log_vote: Float64,
    log_belief: Float64,
    direct: Int8,
    discount: Float64,
    ties: int,
    longest: int,
    posterior: Float64,
    counts: Float64,
    belief: Float64,
    evidence: Float64,
) -> None:
    n_pairs, shards = len(offsets) - 1, len(evidence)
    for shard in nb.prange(shards):
        evidence[shard] = _one_shard(
            shard * n_pairs // shards, (shard + 1) * n_pairs // shards, offsets, annotator, shown, outcome,
            weight, length_bin, log_prior, log_vote, log_belief, direct, discount, ties, longest, posterior,
            counts[shard], belief[shard],
        )  # fmt: skip


@nb.njit(cache=True)
def _one_shard(
    first: int,
    last: int,
    offsets: Int64,
    annotator: Int32,
    shown: Int8,
    outcome: Int8,
    weight: Float32,
    length_bin: Int8,
    log_prior: Float64,
    log_vote: Float64,
    log_belief: Float64,
    direct: Int8,
    discount: Float64,
    ties: int,
    longest: int,
    posterior: Float64,
    counts: Float64,
    belief: Float64,
) -> float:
    message, inner = np.zeros((longest, 3)), np.zeros((longest, 3))
    truth, cavity, state = np.zeros(3), np.zeros(3), np.zeros(3)
    evidence = 0.0
    for q in range(first, last):
        begin, end, d = offsets[q], offsets[q + 1], length_bin[q]
        for t in range(3):
            truth[t] = log_prior[q, t]
        run, v = 0, begin
        while v < end:
            j = annotator[v]
            inner[run] = 0
            while v < end and annotator[v] == j:
                for z in range(3):
                    inner[run, z] += weight[v] * log_vote[j, shown[v] + 1, d, z, outcome[v] + 1]
                v += 1
            _up(inner[run], log_belief[j], direct[j], ties, message[run])
            for t in range(3):
                message[run, t] *= discount[j]
                truth[t] += message[run, t]
            run += 1
        norm = _log_sum(truth, ties)
        evidence += norm
        for t in range(3):
            posterior[q, t] = np.exp(truth[t] - norm)
        run, v = 0, begin
        while v < end:
            j = annotator[v]
            if direct[j]:
                for z in range(3):
                    state[z] = posterior[q, z]
            else:
                for t in range(3):
                    cavity[t] = truth[t] - message[run, t]
                top = max(cavity[0], cavity[1], cavity[2])
                for t in range(3):
                    cavity[t] = np.exp(cavity[t] - top)
                _down(inner[run], log_belief[j], cavity, ties, state, belief[j])
            while v < end and annotator[v] == j:
                for z in range(3):
                    counts[j, shown[v] + 1, d, z, outcome[v] + 1] += weight[v] * state[z]
                v += 1
            run += 1
    return evidence


@nb.njit(cache=True)
def _up(inner: Float64, log_belief: Float64, direct: int, ties: int, message: Float64) -> None:
    """log P(votes of one annotator | t) from log P(votes | z)."""
    if direct:
        for t in range(3):
            message[t] = inner[t]
        return
    low = max(inner[0], inner[2])
    if ties == 1:
        low = max(low, inner[1])
    same, other = np.exp(log_belief[0]), np.exp(log_belief[1])
    e0, e1, e2 = np.exp(inner[0] - low), np.exp(inner[1] - low) if ties == 1 else 0.0, np.exp(inner[2] - low)
    total = e0 + e1 + e2
    message[0] = low + np.log(same * e0 + other * (total - e0))
    message[1] = low + np.log(same * e1 + other * (total - e1))
    message[2] = low + np.log(same * e2 + other * (total - e2))


@nb.njit(cache=True)
def _down(
    inner: Float64, log_belief: Float64, cavity: Float64, ties: int, state: Float64, belief: Float64
) -> None:
    """Posterior of z and the expected number of annotators that believe the truth."""
    low = max(inner[0], inner[2])
    if ties == 1:
        low = max(low, inner[1])
    same, other = np.exp(log_belief[0] + low), np.exp(log_belief[1] + low)
    for z in range(3):
        state[z] = 0
    agree = 0.0
    for z in range(3):
        if z == 1 and ties == 0:
            continue
        own = np.exp(inner[z] - low)
        for t in range(3):
            joint = cavity[t] * own * (same if t == z else other)
            state[z] += joint
            if t == z:
                agree += joint
    total = state[0] + state[1] + state[2]
    for z in range(3):
        state[z] /= total
    belief[0] += agree / total
    belief[1] += 1 - agree / total


@nb.njit(cache=True, parallel=True)
def maximise(
    counts: Float64,
    bin_centre: Float64,
    parameters: Float64,
    mean: Float64,
    precision: Float64,
    free: Int8,
    steps: int,
) -> tuple[Float64, Float64]:
    """Penalised Newton steps for every annotator from its counts; the objective is concave in the parameters.

    `mean`, `precision` float64[5]: the Gaussian priors shared by all annotators; `free` int8[5]: 0 keeps a
    parameter at the prior mean. Returns new parameters[A, 5] and their posterior variances[A, 5].
    """
    n = len(parameters)
    result, variance = parameters.copy(), np.zeros_like(parameters)
    for j in nb.prange(n):
        theta = result[j].copy()
        for step in range(steps + 1):
            gradient, hessian = _derivatives(counts[j], bin_centre, theta, mean, precision, free)
            inverse = np.linalg.inv(hessian)
            if step == steps:
                for k in range(N_PARAMETERS):
                    variance[j, k] = inverse[k, k]
                break
            move = inverse @ gradient
            largest = np.max(np.abs(move))
            theta += move if largest < 1.0 else move / largest
        result[j] = theta
    return result, variance


@nb.njit(cache=True)
def _derivatives(
    counts: Float64, bin_centre: Float64, theta: Float64, mean: Float64, precision: Float64, free: Int8
) -> tuple[Float64, Float64]:
    """Gradient and negative Hessian of the penalised expected log-likelihood of one annotator."""
    gradient = -precision * (theta - mean)
    hessian = np.diag(precision)
    prob, feature = np.empty(3), np.zeros((3, N_PARAMETERS))
    for s in range(3):
        for d in range(len(bin_centre)):
            for z in range(3):
                cell = counts[s, d, z]
                total = cell[0] + cell[1] + cell[2]
                if total <= 0:
                    continue
                eta = theta[KAPPA] * (z - 1) + theta[BETA] * (s - 1) + theta[GAMMA] * bin_centre[d]
                tie = theta[NU] + (theta[DELTA] if z == 1 else 0.0)
                top = max(abs(eta) / 2, tie)
                prob[0], prob[1], prob[2] = np.exp(-eta / 2 - top), np.exp(tie - top), np.exp(eta / 2 - top)
                prob /= prob.sum()
                for side in range(-1, 2, 2):
                    feature[side + 1, KAPPA] = side * (z - 1) / 2
                    feature[side + 1, BETA] = side * (s - 1) / 2
                    feature[side + 1, GAMMA] = side * bin_centre[d] / 2
                feature[1, NU] = 1
                feature[1, DELTA] = 1.0 if z == 1 else 0.0
                average = prob @ feature
                for x in range(3):
                    for k in range(N_PARAMETERS):
                        gradient[k] += (cell[x] - total * prob[x]) * feature[x, k]
                        for m in range(N_PARAMETERS):
                            hessian[k, m] += (
                                total * prob[x] * (feature[x, k] - average[k]) * (feature[x, m] - average[m])
                            )
    for k in range(N_PARAMETERS):
        if free[k] == 0:
            gradient[k] = 0
            hessian[k, :] = 0
            hessian[:, k] = 0
            hessian[k, k] = 1
    return gradient, hessian
