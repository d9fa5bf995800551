"""numba kernels of the panel model: one exact E-step over all pairs, one Newton M-step over all annotators.

Of a pair with truth t ∈ {b: -1, tie: 0, a: +1}, shown in order s ∈ {-1, 0, 1}, with length difference d,
annotator j says

    P(a) ∝ exp(+η/2),  P(b) ∝ exp(-η/2),  P(tie) ∝ exp(ν_j + δ_j·1[t = tie]),   η = κ_j·t + β_j·s + γ_j·d

which is Davidson's (1970) tie model with a position and a length effect. State and outcome index 0, 1, 2 is
b, tie, a.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.votes import Float32, Float64, Int8, Int32, Int64
from curate.core.kernels import compile_kernel, over_slices

KAPPA, BETA, NU, DELTA, GAMMA = range(5)
N_PARAMETERS = 5
_MANY = 64


@compile_kernel
def vote_log_probability(parameters: Float64, bin_centre: Float64) -> Float64:
    """Tabulate log P(x | t, s, d) for every annotator: float64[A, 3 (s), D, 3 (t), 3 (x)]."""
    table = np.empty((len(parameters), 3, len(bin_centre), 3, 3))
    for j in range(len(parameters)):
        kappa, beta, nu, delta, gamma = parameters[j]
        for s in range(3):
            for d in range(len(bin_centre)):
                for t in range(3):
                    eta = kappa * (t - 1) + beta * (s - 1) + gamma * bin_centre[d]
                    tie = nu + (delta if t == 1 else 0.0)
                    top = max(abs(eta) / 2, tie)
                    norm = top + np.log(np.exp(eta / 2 - top) + np.exp(-eta / 2 - top) + np.exp(tie - top))
                    table[j, s, d, t, 0] = -eta / 2 - norm
                    table[j, s, d, t, 1] = tie - norm
                    table[j, s, d, t, 2] = eta / 2 - norm
    return table


def code_statements(annotator: Int32, shown: Int8, outcome: Int8) -> NDArray[np.uint32]:
    """Number who says what in which order, uint32[V]: the first of three neighbours in the tables of the E-step."""
    code = 27 * annotator.astype(np.uint32)
    code += (9 * shown + 3 * outcome + 12).astype(np.uint32)
    return code


def update_posterior(
    posterior: Float64,
    offsets: Int64,
    statement: NDArray[np.uint32],
    weight: Float32,
    length_bin: Int8,
    log_prior: Callable[[slice], Float64],
    log_vote: Float64,
    discount: Float64,
    ties: int,
    shards: int,
) -> tuple[Float64, float, float]:
    """Update the posterior of every pair, float64[Q, 3], in place, and sum what the M-step needs; shards add up.

    `statement` uint32[V] is from `code_statements`. `log_prior` gives that of a slice of pairs, so that it is never
    there for all pairs at once; `log_vote` is from `vote_log_probability`; `discount` float64[A] multiplies the
    evidence of the annotator's votes on t. Returns counts[A, 3, D, 3, 3] = E[#(s, d, t, x)], the log-likelihood, and
    the largest change of a posterior.
    """
    tables = np.moveaxis(log_vote * discount[:, None, None, None, None], (2, 4), (0, 3))
    cells, n_pairs = tables.shape, len(offsets) - 1
    flat = np.ascontiguousarray(tables).reshape(cells[0], -1)
    counts = np.zeros((shards, *cells))
    tallies = counts.reshape(shards, cells[0], -1)
    evidence, change = np.zeros(shards), np.zeros(shards)

    def work(first: int, last: int) -> None:
        for shard in range(first, last):
            part = slice(shard * n_pairs // shards, (shard + 1) * n_pairs // shards)
            evidence[shard], change[shard] = _update_slice(
                posterior[part], offsets[part.start : part.stop + 1], statement, weight, length_bin[part],
                log_prior(part), flat, ties, tallies[shard],
            )  # fmt: skip

    over_slices(work, np.ones(shards))
    summed = np.moveaxis(counts.sum(0), (0, 3), (2, 4))
    return np.ascontiguousarray(summed), float(evidence.sum()), float(change.max(initial=0.0))


@compile_kernel
def _update_slice(
    posterior: Float64, offsets: Int64, statement: NDArray[np.uint32], weight: Float32, length_bin: Int8,
    log_prior: Float64, tables: Float64, ties: int, counts: Float64,
) -> tuple[float, float]:  # fmt: skip
    """`tables` and `counts` have the length bin first and the truth last: a vote reads and writes three neighbours."""
    total, most = 0.0, 0.0
    for q in range(len(posterior)):
        cell, tally = tables[length_bin[q]], counts[length_bin[q]]
        low, tie, high = log_prior[q, 0], log_prior[q, 1], log_prior[q, 2]
        for v in range(offsets[q], offsets[q + 1]):
            # Unsigned, or every access would first ask whether the index counts from the end.
            k, w = np.uint64(statement[v]), weight[v]
            low += w * cell[k]
            tie += w * cell[k + np.uint64(1)]
            high += w * cell[k + np.uint64(2)]
        top = max(low, high)
        if ties == 1:
            top = max(top, tie)
        p = 1.0 if low == top else np.exp(low - top)  # the likeliest needs no exponential
        r = 1.0 if high == top else np.exp(high - top)
        m = np.exp(tie - top) if ties == 1 else 0.0
        norm = p + m + r
        p, m, r = p / norm, m / norm, r / norm
        total += top + np.log(norm)
        most = max(most, abs(p - posterior[q, 0]), abs(m - posterior[q, 1]), abs(r - posterior[q, 2]))
        posterior[q, 0], posterior[q, 1], posterior[q, 2] = p, m, r
        for v in range(offsets[q], offsets[q + 1]):
            k, w = np.uint64(statement[v]), weight[v]
            tally[k] += w * p
            tally[k + np.uint64(1)] += w * m
            tally[k + np.uint64(2)] += w * r
    return total, most


@compile_kernel
def log_prior_of_length(length_difference: Float32, slope: float, tie_prior: float, into: Float64) -> None:
    """Write log P(b), P(tie), P(a) before any vote: a logistic in the length difference."""
    decided = np.log1p(-tie_prior)
    tie = np.log(tie_prior) if tie_prior > 0 else -np.inf
    for q in range(len(length_difference)):
        x = slope * length_difference[q]
        soft = np.log1p(np.exp(-abs(x))) if x != 0 else np.log(2.0)
        into[q, 0] = decided - soft - max(x, 0.0)
        into[q, 1] = tie
        into[q, 2] = decided - soft - max(-x, 0.0)


@compile_kernel
def add_labels(gold: Float32, n_gold: Int32, log_odds: float, into: Float64) -> None:
    """Add people's labels, each `log_odds` in favour of its side; where they cancel out, once for a tie."""
    for q in range(len(gold)):
        if n_gold[q] == 0:
            continue
        evidence_of_people = log_odds * gold[q] * n_gold[q]
        if evidence_of_people < 0:
            into[q, 0] -= evidence_of_people
        elif evidence_of_people > 0:
            into[q, 2] += evidence_of_people
        else:
            into[q, 1] += log_odds


@compile_kernel
def residual_products(
    offsets: Int64, annotator: Int32, shown: Int8, outcome: Int8, posterior: Float64, size: int
) -> tuple[int, float, float]:
    """Count successive votes of one annotator on a pair, and sum the products and the mean squares of their residuals.

    A residual is the vote less the annotator's mean lean to the first and less its loading on P(a) - P(b).
    """
    n, square, product, first = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
    for q in range(len(offsets) - 1):
        lean = posterior[q, 2] - posterior[q, 0]
        for v in range(offsets[q], offsets[q + 1]):
            j = annotator[v]
            n[j] += 1
            square[j] += lean * lean
            product[j] += outcome[v] * lean
            first[j] += outcome[v] * shown[v]
    loading, bias = product / np.maximum(square, 1e-9), first / np.maximum(n, 1.0)
    pairs, both, own = 0, 0.0, 0.0
    for q in range(len(offsets) - 1):
        lean, last = posterior[q, 2] - posterior[q, 0], 0.0
        for v in range(offsets[q], offsets[q + 1]):
            j = annotator[v]
            error = outcome[v] - loading[j] * lean - bias[j] * shown[v]
            if v > offsets[q] and annotator[v - 1] == j:
                pairs += 1
                both += last * error
                own += (last * last + error * error) / 2
            last = error
    return pairs, both, own


@compile_kernel
def length_slope_sums(posterior: Float64, length_difference: Float32, slope: float) -> tuple[float, float]:
    """Gradient and curvature of the logistic regression of the truth on the length difference."""
    gradient, curvature = 0.0, 0.0
    for q in range(len(length_difference)):
        x = length_difference[q]
        decided = posterior[q, 0] + posterior[q, 2]
        p = 1.0 / (1.0 + np.exp(-slope * x))
        gradient += x * (posterior[q, 2] - decided * p)
        curvature += x * x * decided * p * (1.0 - p)
    return gradient, curvature


def maximise_parameters(
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
    result, variance = parameters.copy(), np.zeros_like(parameters)
    over_slices(
        lambda first, last: _maximise_slice(
            first, last, counts, bin_centre, mean, precision, free, steps, result, variance
        ),
        np.ones(len(parameters)),
        threads=None if len(parameters) > _MANY else 1,
    )
    return result, variance


@compile_kernel
def _maximise_slice(
    first: int, last: int, counts: Float64, bin_centre: Float64, mean: Float64, precision: Float64, free: Int8,
    steps: int, result: Float64, variance: Float64,
) -> None:  # fmt: skip
    gradient, matrix, move = (
        np.empty(N_PARAMETERS),
        np.empty((N_PARAMETERS, N_PARAMETERS)),
        np.empty(N_PARAMETERS),
    )
    for j in range(first, last):
        theta = result[j]
        for step in range(steps + 1):
            _compute_derivatives(counts[j], bin_centre, theta, mean, precision, free, gradient, matrix)
            _invert_in_place(matrix)
            if step == steps:
                for k in range(N_PARAMETERS):
                    variance[j, k] = matrix[k, k]
                break
            largest = 1.0
            for k in range(N_PARAMETERS):
                move[k] = 0.0
                for m in range(N_PARAMETERS):
                    move[k] += matrix[k, m] * gradient[m]
                largest = max(largest, abs(move[k]))
            for k in range(N_PARAMETERS):
                theta[k] += move[k] / largest


@compile_kernel
def _invert_in_place(matrix: Float64) -> None:
    """Invert in place by Gauss–Jordan without exchanges, which a positive definite matrix does not need.

    LAPACK's takes ten seconds to compile. `ranking.prompt_scores` has its like, since a kernel calls those of its own
    module alone.
    """
    for k in range(N_PARAMETERS):
        pivot = 1.0 / matrix[k, k]
        matrix[k, k] = 1.0
        for j in range(N_PARAMETERS):
            matrix[k, j] *= pivot
        for i in range(N_PARAMETERS):
            if i != k:
                factor = matrix[i, k]
                matrix[i, k] = 0.0
                for j in range(N_PARAMETERS):
                    matrix[i, j] -= factor * matrix[k, j]


@compile_kernel
def _compute_derivatives(
    counts: Float64, bin_centre: Float64, theta: Float64, mean: Float64, precision: Float64, free: Int8,
    gradient: Float64, hessian: Float64,
) -> None:  # fmt: skip
    """Gradient and negative Hessian of the penalised expected log-likelihood of one annotator."""
    for k in range(N_PARAMETERS):
        gradient[k] = -precision[k] * (theta[k] - mean[k])
        for m in range(N_PARAMETERS):
            hessian[k, m] = precision[k] if k == m else 0.0
    prob, feature, average = np.empty(3), np.zeros((3, N_PARAMETERS)), np.empty(N_PARAMETERS)
    for s in range(3):
        for d in range(len(bin_centre)):
            for t in range(3):
                cell = counts[s, d, t]
                total = cell[0] + cell[1] + cell[2]
                if total <= 0:
                    continue
                eta = theta[KAPPA] * (t - 1) + theta[BETA] * (s - 1) + theta[GAMMA] * bin_centre[d]
                tie = theta[NU] + (theta[DELTA] if t == 1 else 0.0)
                top = max(abs(eta) / 2, tie)
                prob[0], prob[1], prob[2] = np.exp(-eta / 2 - top), np.exp(tie - top), np.exp(eta / 2 - top)
                norm = prob[0] + prob[1] + prob[2]
                for x in range(3):
                    prob[x] /= norm
                for side in range(-1, 2, 2):
                    feature[side + 1, KAPPA] = side * (t - 1) / 2
                    feature[side + 1, BETA] = side * (s - 1) / 2
                    feature[side + 1, GAMMA] = side * bin_centre[d] / 2
                feature[1, NU] = 1
                feature[1, DELTA] = 1.0 if t == 1 else 0.0
                for k in range(N_PARAMETERS):
                    average[k] = prob[0] * feature[0, k] + prob[1] * feature[1, k] + prob[2] * feature[2, k]
                for x in range(3):
                    for k in range(N_PARAMETERS):
                        gradient[k] += (cell[x] - total * prob[x]) * feature[x, k]
                        for m in range(N_PARAMETERS):
                            hessian[k, m] += (
                                total * prob[x] * (feature[x, k] - average[k]) * (feature[x, m] - average[m])
                            )
    for k in range(N_PARAMETERS):
        if free[k] == 0:
            gradient[k] = 0.0
            for m in range(N_PARAMETERS):
                hessian[k, m] = hessian[m, k] = 0.0
            hessian[k, k] = 1.0
