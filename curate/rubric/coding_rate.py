"""Choose criteria that say different things: greedy maximisation of their coding rate.

The coding rate of n criteria is R = ½ log det(I + K / (n ε²)), K their likeness (Ma et al. 2007, with the dimension in
ε²; Auto-Rubric chooses by it, arXiv 2510.17314): the nats that it takes to tell them apart. A criterion that repeats
another adds nothing; one that says something new adds most. No label is read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_PRECISION = 0.01  # ε², the share of a criterion's meaning that may be lost


def choose_by_coding_rate(likeness: Float64, *, most: int, gain: float) -> Int64:
    """Return int64[k]: the criteria in the order in which they were chosen.

    The first is the one that is most like all others, since one alone has the same rate as any other.

    Args:
        likeness: float64[d, d] symmetric and positive semidefinite, 1 on the diagonal.
        most: Criteria to choose at most.
        gain: Nats that a criterion must add.
    """
    size = len(likeness)
    chosen: list[int] = [int(np.argmax(likeness.sum(axis=1)))] if size and most > 0 else []
    while 0 < len(chosen) < min(most, size):
        rates = _add_each(likeness, chosen)
        rates[chosen] = -np.inf
        best = int(np.argmax(rates))
        if rates[best] - compute_coding_rate(likeness, chosen) < gain:
            break
        chosen.append(best)
    return np.array(chosen, np.int64)


def compute_coding_rate(likeness: Float64, chosen: list[int]) -> float:
    """Return the coding rate, in nats, of some of the criteria."""
    if not chosen:
        return 0.0
    scaled = likeness[np.ix_(chosen, chosen)] / (len(chosen) * _PRECISION)
    return float(0.5 * np.linalg.slogdet(np.eye(len(chosen)) + scaled)[1])


def _add_each(likeness: Float64, chosen: list[int]) -> Float64:
    """Return float64[d]: the coding rate of the chosen criteria and each other one, by Schur complements."""
    scaled = likeness / ((len(chosen) + 1) * _PRECISION)
    inner = np.eye(len(chosen)) + scaled[np.ix_(chosen, chosen)]
    across = scaled[chosen]
    rest = 1.0 + np.diag(scaled) - (across * np.linalg.solve(inner, across)).sum(axis=0)
    return np.asarray(0.5 * (np.linalg.slogdet(inner)[1] + np.log(np.maximum(rest, 1e-300))), np.float64)
