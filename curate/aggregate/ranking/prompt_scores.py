"""Scores of the responses of each prompt: posterior means of Bradley–Terry strengths, with standard deviations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.graph.tally import PairTally
from curate.aggregate.votes import Float64, Int32, Int64
from curate.core.errors import CurateError
from curate.core.kernels import compile_kernel, over_slices

MOST_JOINT = 400
"""Above so many responses strengths are fitted one at a time, and no standard deviations are given."""
MOST_STEPS = 50
SUREST = 0.999
GAP = 1e-4
"""Logits between the scores of two ranks, at least: enough for equal scores to mean equal ranks in any file format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptScores:
    """`score` and `sd` float64[R], in logits, mean 0 over the judged responses of a prompt; NaN where never judged.

    `sd` is that of the score less the prompt's mean; NaN also where a prompt is too large (`MOST_JOINT`).
    """

    score: Float64
    sd: Float64


def fit_prompt_scores(pairs: PairTally, *, prior_sd: float = 2.0, threads: int | None = None) -> PromptScores:
    """Maximum a posteriori strengths of every prompt, and the curvature there (Laplace's approximation).

    P(a beats b) = 1 / (1 + exp(score b - score a)); a tie counts as half a win for each side. Strengths have a normal
    prior of `prior_sd` logits, which decides where votes are few or all one way. Each unit of weight counts as an
    independent vote: judges that err together make `sd` too small unless their weights say so.
    """
    if not prior_sd > 0.0:
        raise CurateError(f"prompt_scores: prior_sd is {prior_sd}; give a positive number of logits.")
    score, sd = np.zeros(pairs.responses[-1]), np.full(pairs.responses[-1], np.nan)
    size = np.diff(pairs.responses).astype(np.float64)
    task = (
        pairs.responses,
        pairs.offsets,
        pairs.a,
        pairs.b,
        pairs.weight_a,
        pairs.weight_b,
        pairs.weight_tie,
    )
    over_slices(
        lambda first, last: _fit_slice(first, last, *task, prior_sd, MOST_JOINT, MOST_STEPS, score, sd),
        np.minimum(size, MOST_JOINT) ** 3 + np.diff(pairs.offsets) + 1.0,
        threads=threads,
    )
    judged = np.zeros(len(score), np.bool_)
    judged[pairs.a] = judged[pairs.b] = True
    score[~judged] = sd[~judged] = np.nan
    return PromptScores(score=score, sd=sd)


def as_votes(p_a: Float64) -> tuple[Float64, Float64]:
    """Turn probabilities into votes for a and for b, float64[E] each.

    They are as many, all for the likelier side, as would make a majority as sure: it is (n + 1) / (n + 2) sure of n
    votes (Laplace), so n = (2p - 1) / (1 - p), with p at most .999.
    """
    likelier = np.minimum(np.maximum(p_a, 1.0 - p_a), SUREST)
    n = (2.0 * likelier - 1.0) / (1.0 - likelier)
    return np.where(p_a > 0.5, n, 0.0), np.where(p_a < 0.5, n, 0.0)


def order_scores(score: Float64, rank: Int32, responses: Int64, *, threads: int | None = None) -> Float64:
    """Move scores as little as possible (least squares) until they order each prompt's responses as the ranks do.

    `score` float64[R], `rank` int32[R] (1 is best, equal ones tie, 0 none), `responses` int64[P+1] as in a tally. Equal
    ranks share a score, and each next rank is at least `GAP` below; a prompt's mean stays. Pool adjacent violators.
    """
    ordered = score.copy()
    over_slices(
        lambda first, last: _order_slice(first, last, responses, rank, ordered),
        np.diff(responses) + 1.0,
        threads=threads,
    )
    return ordered


@compile_kernel
def _order_slice(first: int, last: int, responses: Int64, rank: Int32, score: Float64) -> None:
    for p in range(first, last):
        begin, end = responses[p], responses[p + 1]
        order = begin + np.argsort(rank[begin:end], kind="mergesort")
        level, size = (
            np.empty(end - begin),
            np.empty(end - begin),
        )  # blocks of equal scores, `GAP` a rank taken off
        ranks = np.empty(end - begin, np.int64)  # how many ranks each block holds
        blocks, place, k = 0, 0, 0
        while k < len(order) and rank[order[k]] <= 0:
            k += 1
        start = k
        while k < len(order):
            total, n, this = 0.0, 0, rank[order[k]]
            while k < len(order) and rank[order[k]] == this:
                total += score[order[k]]
                n += 1
                k += 1
            level[blocks], size[blocks], ranks[blocks] = total / n + place * GAP, n, 1
            blocks += 1
            place += 1
            while blocks > 1 and level[blocks - 2] < level[blocks - 1]:
                both = size[blocks - 2] + size[blocks - 1]
                level[blocks - 2] += (level[blocks - 1] - level[blocks - 2]) * size[blocks - 1] / both
                size[blocks - 2], ranks[blocks - 2] = both, ranks[blocks - 2] + ranks[blocks - 1]
                blocks -= 1
        k, place = start, 0
        for block in range(blocks):
            for _ in range(ranks[block]):
                this = rank[order[k]]
                while k < len(order) and rank[order[k]] == this:
                    score[order[k]] = level[block] - place * GAP
                    k += 1
                place += 1


@compile_kernel
def _invert_in_place(matrix: Float64, n: int) -> None:
    """Gauss–Jordan without exchanges, which a positive definite matrix does not need."""
    for k in range(n):
        pivot = 1.0 / matrix[k, k]
        matrix[k, k] = 1.0
        for j in range(n):
            matrix[k, j] *= pivot
        for i in range(n):
            if i != k:
                factor = matrix[i, k]
                matrix[i, k] = 0.0
                for j in range(n):
                    matrix[i, j] -= factor * matrix[k, j]


@compile_kernel
def _slope_and_curvature(difference: float, for_a: float, for_b: float) -> tuple[float, float]:
    """Differentiate minus the log likelihood of a pair twice, in the difference of its strengths."""
    p = 1.0 / (1.0 + np.exp(-difference))
    return (for_a + for_b) * p - for_a, (for_a + for_b) * p * (1.0 - p)


@compile_kernel
def _fit_jointly(
    base: int, n: int, begin: int, end: int, a: Int32, b: Int32, for_a: Float64, for_b: Float64,
    precision: float, most: int, score: Float64, gradient: Float64, covariance: Float64,
) -> None:  # fmt: skip
    """Newton's method on one prompt. Steps are cut to 2 logits, so that saturated pairs cannot throw it far off."""
    for _ in range(most):
        for i in range(n):
            gradient[i] = precision * score[base + i]
            for j in range(n):
                covariance[i, j] = 0.0
            covariance[i, i] = precision
        for e in range(begin, end):
            i, j = a[e] - base, b[e] - base
            slope, curve = _slope_and_curvature(score[a[e]] - score[b[e]], for_a[e], for_b[e])
            gradient[i] += slope
            gradient[j] -= slope
            covariance[i, i] += curve
            covariance[j, j] += curve
            covariance[i, j] -= curve
            covariance[j, i] -= curve
        _invert_in_place(covariance, n)
        furthest = 0.0
        for i in range(n):
            step = 0.0
            for j in range(n):
                step += covariance[i, j] * gradient[j]
            furthest = max(furthest, abs(step))
        cut = 1.0 if furthest <= 2.0 else 2.0 / furthest
        for i in range(n):
            for j in range(n):
                score[base + i] -= cut * covariance[i, j] * gradient[j]
        if furthest < 1e-9:
            break


@compile_kernel
def _fit_one_by_one(
    base: int, n: int, begin: int, end: int, a: Int32, b: Int32, for_a: Float64, for_b: Float64,
    precision: float, score: Float64,
) -> None:  # fmt: skip
    """Strengths in turn, each by one Newton step given the others, until none moves."""
    start, pair = np.zeros(n + 1, np.int64), np.empty(2 * (end - begin), np.int64)
    for e in range(begin, end):
        start[a[e] - base + 1] += 1
        start[b[e] - base + 1] += 1
    for i in range(n):
        start[i + 1] += start[i]
    place = start.copy()
    for e in range(begin, end):
        for v in (a[e] - base, b[e] - base):
            pair[place[v]] = e
            place[v] += 1
    for _ in range(2000):
        furthest = 0.0
        for i in range(n):
            slope, curve = precision * score[base + i], precision
            for k in range(start[i], start[i + 1]):
                e = pair[k]
                sign = 1.0 if a[e] == base + i else -1.0
                s, c = _slope_and_curvature(score[a[e]] - score[b[e]], for_a[e], for_b[e])
                slope, curve = slope + sign * s, curve + c
            step = min(max(slope / curve, -2.0), 2.0)
            score[base + i] -= step
            furthest = max(furthest, abs(step))
        if furthest < 1e-7:
            break


@compile_kernel
def _fit_slice(
    first: int, last: int, responses: Int64, offsets: Int64, a: Int32, b: Int32,
    weight_a: Float64, weight_b: Float64, weight_tie: Float64,
    prior_sd: float, joint: int, most: int, score: Float64, sd: Float64,
) -> None:  # fmt: skip
    widest = 1
    for p in range(first, last):
        if responses[p + 1] - responses[p] <= joint:
            widest = max(widest, responses[p + 1] - responses[p])
    gradient, covariance = np.empty(widest), np.empty((widest, widest))
    for_a, for_b = weight_a + 0.5 * weight_tie, weight_b + 0.5 * weight_tie
    precision = 1.0 / (prior_sd * prior_sd)
    for p in range(first, last):
        base, n, begin, end = responses[p], responses[p + 1] - responses[p], offsets[p], offsets[p + 1]
        if begin == end:
            continue
        if n > joint:
            _fit_one_by_one(base, n, begin, end, a, b, for_a, for_b, precision, score)
            continue
        _fit_jointly(base, n, begin, end, a, b, for_a, for_b, precision, most, score, gradient, covariance)
        judged = 0  # their mean has the prior's variance over their number, and nothing else
        for i in range(n):
            sd[base + i] = 0.0
        for e in range(begin, end):
            for v in (a[e], b[e]):
                judged += sd[v] == 0.0
                sd[v] = 1.0
        for i in range(n):
            sd[base + i] = np.sqrt(max(covariance[i, i] - prior_sd * prior_sd / judged, 0.0))
