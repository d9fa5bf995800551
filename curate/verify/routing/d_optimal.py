"""The strategy `d-optimal`: the pairs that together tell most about a linear reward on embeddings.

It greedily maximises log det(I/τ² + Σ w x xᵀ) over the chosen pairs and those already answered, where x is the
difference of the two responses' embeddings and w = p (1 - p) the Fisher information of a Bradley–Terry comparison
(the Laplace posterior of a logistic model; Chaloner & Verdinelli 1995). Greedy is within 1 - 1/e of the best
(log det is submodular).
"""

from __future__ import annotations

import numpy as np

from curate.verify.routing.base import RoutingStrategy
from curate.verify.routing.pairs import Float64, Int64, Pairs

PRIOR_VARIANCE = 10.0
MOST_DIMENSIONS = 64


class DOptimal(RoutingStrategy):
    """Chooses pairs greedily by the determinant of their information matrix."""

    reads_embeddings = True

    def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
        candidates = np.flatnonzero(pairs.is_open)
        if pairs.embedding_difference.shape[1] == 0 or len(candidates) == 0:
            return np.zeros(0, np.int64)
        x = _project_differences(pairs.embedding_difference)
        information = np.clip(pairs.p_a * (1 - pairs.p_a), 0.01, 0.25)
        answered = x[~np.isnan(pairs.human_verdict)]
        precision = np.eye(x.shape[1]) / PRIOR_VARIANCE + 0.25 * answered.T @ answered
        order = candidates[
            np.argsort(pairs.draw[candidates], kind="stable")
        ]  # argmax takes the first of equals
        covariance = np.linalg.inv(precision)
        return order[_choose_greedily(x[order], information[order], covariance, min(n, len(order)))]


def _choose_greedily(x: Float64, information: Float64, covariance: Float64, n: int) -> Int64:
    """Return int64[n]: rows of `x` in the order chosen, by rank-one updates in O(n Q d).

    The gain of a row is log(1 + w xᵀ A⁻¹ x), so the row of the largest w xᵀ A⁻¹ x is taken.

    Args:
        x: float64[Q, d], differences of embeddings.
        information: float64[Q], Fisher information w of each comparison.
        covariance: float64[d, d], A⁻¹ before the first choice.
        n: Number of rows to choose, at most Q.
    """
    spread = np.einsum("qd,de,qe->q", x, covariance, x)
    taken = np.empty(n, np.int64)
    free = np.ones(len(x), np.bool_)
    for step in range(n):
        best = int(np.argmax(np.where(free, information * spread, -1.0)))
        taken[step], free[best] = best, False
        toward = covariance @ x[best]
        scale = information[best] / (1 + information[best] * float(x[best] @ toward))
        covariance = covariance - scale * np.outer(toward, toward)
        spread = spread - scale * (x @ toward) ** 2
    return taken


def _project_differences(x: Float64) -> Float64:
    """Project the differences on their strongest directions: the others hold little and cost much."""
    if x.shape[1] <= MOST_DIMENSIONS:
        return x
    values, vectors = np.linalg.eigh(x.T @ x)
    strongest = vectors[:, np.argsort(-values)[:MOST_DIMENSIONS]]
    result: Float64 = x @ strongest
    return result
