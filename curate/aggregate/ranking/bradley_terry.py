"""Bradley–Terry strengths of models, with ties, and their bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from curate.aggregate.ranking.tournament import Tournament
from curate.aggregate.votes import Float64, Int32, Int64
from curate.core.errors import CurateError
from curate.core.kernels import compile_kernel, over_slices

ELO_PER_LOGIT = 400.0 / np.log(10.0)
MOST_STEPS = 100
DRAWS_PER_STREAM = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BradleyTerry:
    """`strength` float64[M] in logits, mean 0: P(i beats j, no tie) / P(j beats i) = exp(strength i - strength j).

    `tie` is Davidson's ν (0 where ties count as half a win): equally strong models tie with probability ν / (2 + ν).
    """

    strength: Float64
    tie: float

    @property
    def elo(self) -> Float64:
        """The strengths on the Elo scale: 400 points are odds of 10 to 1, mean 1000."""
        points: Float64 = 1000.0 + ELO_PER_LOGIT * self.strength
        return points


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Bootstrap percentiles of each model's strength (logits) and rank (1 best), all [M]."""

    low: Float64
    high: Float64
    sd: Float64
    best_rank: Int32
    worst_rank: Int32


def bradley_terry(
    cells: Tournament, *, ties: Literal["half", "davidson"] = "half", prior_sd: float = 10.0
) -> BradleyTerry:
    """Fit by Newton's method.

    `half` counts a tie as half a win for each side; `davidson` models it (Davidson 1970): with p, q the models'
    exp(strength), win : loss : tie are p : q : ν sqrt(p q). Strengths have a normal prior of `prior_sd` logits, which
    is too wide to matter unless a model won or lost every time, or the tournament falls apart into groups that never
    met; the maximum likelihood is infinite or undetermined there.
    """
    start = np.zeros(cells.models + 1)
    counts = np.stack((cells.wins_a, cells.wins_b, cells.ties))[None]
    fitted = _fit_all(cells, counts, start, ties, prior_sd, threads=1)[0]
    return BradleyTerry(strength=fitted[:-1], tie=float(np.exp(fitted[-1])) if ties == "davidson" else 0.0)


def bootstrap_scores(
    cells: Tournament,
    *,
    ties: Literal["half", "davidson"] = "half",
    prior_sd: float = 10.0,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
) -> Interval:
    """Percentile intervals from `resamples` draws of all votes with replacement.

    A draw of votes changes only how many fall into each cell, so the cells are drawn (one multinomial) and each draw is
    refitted from the estimate on. Votes are taken to be independent given the models: where many annotators judged
    few prompts, the intervals say nothing about other prompts.
    """
    if not (resamples >= 2 and 0.0 < level < 1.0):
        raise CurateError(
            f"bootstrap: {resamples} resamples at level {level}; give 2 or more, and a level in 0 … 1."
        )
    weight = np.concatenate((cells.wins_a, cells.wins_b, cells.ties))
    total, votes = weight.sum(), round(cells.votes)
    if votes == 0 or total <= 0.0:
        raise CurateError(
            "bootstrap: the tournament has no votes; aggregate judgments of at least two models first."
        )
    estimate = bradley_terry(cells, ties=ties, prior_sd=prior_sd)
    drawn = _draw_counts(votes, weight / total, resamples, seed, threads) * (total / votes)
    start = np.append(estimate.strength, np.log(estimate.tie) if estimate.tie > 0.0 else 0.0)
    counts = drawn.reshape(resamples, 3, len(cells.a))
    strength = _fit_all(cells, counts, start, ties, prior_sd, threads=threads)[:, :-1]
    rank = 1 + np.argsort(np.argsort(-strength, axis=1), axis=1)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(strength, (tail, 1.0 - tail), axis=0)
    best, worst = np.quantile(rank, (tail, 1.0 - tail), axis=0, method="nearest")
    return Interval(
        low=low,
        high=high,
        sd=strength.std(axis=0, ddof=1),
        best_rank=best.astype(np.int32),
        worst_rank=worst.astype(np.int32),
    )


def _draw_counts(votes: int, share: Float64, draws: int, seed: int, threads: int | None) -> Int64:
    """int64[draws, len(share)], multinomial; every batch has a stream of its own, so threads change nothing."""
    drawn = np.empty((draws, len(share)), np.int64)
    batches = np.arange(0, draws, DRAWS_PER_STREAM)

    def fill(first: int, last: int) -> None:
        for k in batches[first:last]:
            batch = drawn[k : k + DRAWS_PER_STREAM]
            batch[:] = np.random.default_rng((seed, k)).multinomial(votes, share, len(batch))

    over_slices(fill, np.ones(len(batches)), threads=threads)
    return drawn


def _fit_all(
    cells: Tournament, counts: Float64, start: Float64, ties: str, prior_sd: float, *, threads: int | None
) -> Float64:
    """float64[draws, M+1]: centred strengths and log ν, for each of `counts` float64[draws, 3, C]."""
    if ties not in ("half", "davidson") or not prior_sd > 0.0:
        raise CurateError(
            f"bradley_terry: ties={ties!r}, prior_sd={prior_sd}; use half or davidson, and a positive prior_sd."
        )
    davidson = ties == "davidson"
    parameters = np.tile(start, (len(counts), 1))
    steps = np.zeros(len(counts), np.int64)
    over_slices(
        lambda first, last: _fit_slice(
            first, last, cells.a, cells.b, counts, davidson, 1.0 / prior_sd**2, MOST_STEPS, parameters, steps
        ),
        np.ones(len(counts)),
        threads=threads,
    )
    if (steps >= MOST_STEPS).any():
        raise CurateError(
            f"bradley_terry: no convergence in {MOST_STEPS} Newton steps; are the weights finite and not negative?"
        )
    parameters[:, :-1] -= parameters[:, :-1].mean(axis=1, keepdims=True)
    return parameters


@compile_kernel
def _compute_penalised_likelihood(
    a: Int64,
    b: Int64,
    count: Float64,
    davidson: bool,
    precision: float,
    x: Float64,
    gradient: Float64,
    hessian: Float64,
) -> float:
    """Minus the log posterior at x = (strengths, log ν), with its gradient and the lower half of its Hessian.

    With d the difference of the strengths, the log likelihood of a cell is
    (wins_a - wins_b) d / 2 + ties log ν - n log(e^(d/2) + e^(-d/2) + ν): concave, as log-sum-exp is convex.
    """
    m = len(x) - 1
    loss = 0.0
    for i in range(m + 1):
        gradient[i] = precision * x[i]
        loss += 0.5 * precision * x[i] * x[i]
        for j in range(i):
            hessian[i, j] = 0.0
        hessian[i, i] = precision
    for c in range(len(a)):
        i, j = a[c], b[c]
        wins, losses, ties = count[0, c], count[1, c], count[2, c]
        n = wins + losses + ties
        if n == 0.0:
            continue
        half = 0.5 * (x[i] - x[j])
        log_nu = x[m] if davidson else -np.inf
        top = max(abs(half), log_nu)
        p, q, t = np.exp(half - top), np.exp(-half - top), np.exp(log_nu - top)
        z = p + q + t
        p, q, t = p / z, q / z, t / z
        loss += n * (top + np.log(z)) - (wins - losses) * half
        slope = 0.5 * (n * (p - q) - (wins - losses))
        curve = 0.25 * n * (p + q - (p - q) * (p - q))
        gradient[i] += slope
        gradient[j] -= slope
        hessian[i, i] += curve
        hessian[j, j] += curve
        hessian[max(i, j), min(i, j)] -= curve
        if davidson:
            loss -= ties * x[m]
            gradient[m] += n * t - ties
            hessian[m, m] += n * t * (1.0 - t)
            hessian[m, i] -= 0.5 * n * t * (p - q)
            hessian[m, j] += 0.5 * n * t * (p - q)
    return loss


@compile_kernel
def _solve_in_place(matrix: Float64, right: Float64) -> None:
    """Set right := matrix^-1 right for a positive definite matrix given by its lower half (Cholesky)."""
    n = len(right)
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = np.sqrt(total) if i == j else total / matrix[j, j]
    for i in range(n):
        for k in range(i):
            right[i] -= matrix[i, k] * right[k]
        right[i] /= matrix[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            right[i] -= matrix[k, i] * right[k]
        right[i] /= matrix[i, i]


@compile_kernel
def _fit_slice(
    first: int,
    last: int,
    a: Int64,
    b: Int64,
    counts: Float64,
    davidson: bool,
    precision: float,
    most: int,
    parameters: Float64,
    steps: Int64,
) -> None:
    size = parameters.shape[1]
    gradient, hessian = np.empty(size), np.empty((size, size))
    spare, trial = np.empty(size), np.empty(size)
    spare_hessian = np.empty((size, size))
    for draw in range(first, last):
        x = parameters[draw]
        loss = _compute_penalised_likelihood(a, b, counts[draw], davidson, precision, x, gradient, hessian)
        for step in range(most):
            steps[draw] = step + 1
            for i in range(size):
                spare[i] = gradient[i]
            _solve_in_place(hessian, spare)
            decrement = 0.0
            for i in range(size):
                decrement += gradient[i] * spare[i]
            if decrement <= 1e-16 * (1.0 + abs(loss)):
                steps[draw] = step
                break
            scale = 1.0
            for _ in range(40):  # halve until the loss falls by a quarter of what the slope promises
                for i in range(size):
                    trial[i] = x[i] - scale * spare[i]
                reached = _compute_penalised_likelihood(
                    a, b, counts[draw], davidson, precision, trial, gradient, spare_hessian
                )
                if reached <= loss - 0.25 * scale * decrement + 1e-12 * (1.0 + abs(loss)):
                    break
                scale *= 0.5
            for i in range(size):
                x[i] = trial[i]
            loss = reached
            hessian, spare_hessian = spare_hessian, hessian
