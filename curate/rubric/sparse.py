"""Sparse logistic regression on differences: which few criteria say which response is better.

A pair is a row x of differences (chosen less rejected), and P(chosen is better) = σ(w · x). There is no intercept: the
names of the two responses could be exchanged. The loss is the weighted mean of
−p log σ(w·x) − (1 − p) log σ(−w·x) plus λ Σ|w|; `numpy` holds the rows, numba the descent on the d × d bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.core.kernels import compile_kernel

Float64 = NDArray[np.float64]

_STEPS = 25  # penalties of a path
_LEAST_PENALTY = 0.01  # of the largest one, at which the first criterion enters
_MOST_BOUNDS = 200
_TOLERANCE = 1e-6  # of a gradient whose entries are at most about 1


@dataclass(frozen=True, slots=True)
class SparsePath:
    """Weights along falling penalties: `penalty` float64[k], `weights` float64[k, d]."""

    penalty: Float64
    weights: Float64


def expit(z: Float64) -> Float64:
    """Return 1 / (1 + e^−z), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)), np.float64)


def fit_path(x: Float64, p: Float64, weight: Float64, *, most: int | None = None) -> SparsePath:
    """Fit weights along falling penalties, until more than `most` criteria have one.

    Args:
        x: float64[n, d] differences, of about one size in every column.
        p: float64[n] probability that the chosen one is better.
        weight: float64[n] what each pair counts.
        most: Number of criteria at which the path ends; the last step has at most so many.
    """
    share = weight / weight.sum()
    weights: Float64 = np.zeros(x.shape[1])
    largest = float(np.abs(_find_gradient(x, p, share, weights)).max(initial=0.0))
    if largest <= 0.0:
        return SparsePath(np.zeros(1), weights[None, :])
    bound = _bound_curvature(x, share)
    penalties, steps = [], []
    for penalty in largest * _LEAST_PENALTY ** (np.arange(_STEPS) / (_STEPS - 1)):
        weights = _descend(x, p, share, weights, bound, float(penalty))
        if most is not None and np.count_nonzero(weights) > most:
            break
        penalties.append(float(penalty))
        steps.append(weights)
    return SparsePath(np.array(penalties), np.array(steps))


def fit_sparse(x: Float64, p: Float64, weight: Float64, penalty: float) -> Float64:
    """Fit weights float64[d] at one penalty λ; see `fit_path`."""
    share = weight / weight.sum()
    return _descend(x, p, share, np.zeros(x.shape[1]), _bound_curvature(x, share), penalty)


def fit_dense(x: Float64, p: Float64, weight: Float64, *, ridge: float = 1e-3) -> Float64:
    """Fit all weights float64[d] with a small ridge ½ `ridge` Σ w², by Newton's method."""
    share = weight / weight.sum()
    weights: Float64 = np.zeros(x.shape[1])
    if x.shape[1] == 0:
        return weights
    for _ in range(30):
        gradient = _find_gradient(x, p, share, weights) + ridge * weights
        likely = expit(x @ weights)
        curvature = (x.T * (share * likely * (1.0 - likely))) @ x
        curvature[np.diag_indices(len(weights))] += ridge
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step * min(1.0, 3.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _find_gradient(x: Float64, p: Float64, share: Float64, weights: Float64) -> Float64:
    return np.asarray((share * (expit(x @ weights) - p)) @ x, np.float64)


def _bound_curvature(x: Float64, share: Float64) -> Float64:
    """Return ¼ Σ s x xᵀ, which no Hessian of the loss exceeds (Böhning and Lindsay 1988)."""
    return np.asarray(0.25 * (x.T * share) @ x, np.float64)


def _descend(
    x: Float64, p: Float64, share: Float64, weights: Float64, bound: Float64, penalty: float
) -> Float64:
    """Minimise the loss by its quadratic bounds; each of them lowers it."""
    for _ in range(_MOST_BOUNDS):
        gradient = _find_gradient(x, p, share, weights)
        moved = _minimise_bound(bound, gradient, weights, penalty)
        if np.abs(moved - weights).max(initial=0.0) < _TOLERANCE:
            return moved
        weights = moved
    return weights


@compile_kernel
def _minimise_bound(bound: Float64, gradient: Float64, start: Float64, penalty: float) -> Float64:
    """Minimise g·(w − s) + ½ (w − s)ᵀ B (w − s) + λ Σ|w| by coordinates."""
    size = len(start)
    weights = start.copy()
    slope = gradient.copy()  # of the quadratic at `weights`
    for _ in range(500):
        largest = 0.0
        for j in range(size):
            curvature = bound[j, j]
            if curvature <= 1e-12:
                continue
            target = weights[j] - slope[j] / curvature
            limit = penalty / curvature
            moved = 0.0
            if target > limit:
                moved = target - limit
            elif target < -limit:
                moved = target + limit
            step = moved - weights[j]
            if step != 0.0:
                for k in range(size):
                    slope[k] += step * bound[k, j]
                weights[j] = moved
                largest = max(largest, abs(step))
        if largest < 1e-9:
            break
    return weights
