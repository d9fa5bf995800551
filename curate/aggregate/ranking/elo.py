"""Elo ratings: each vote in turn moves the two models by how surprising it was."""

from __future__ import annotations

import numpy as np

from curate.aggregate.kernels import compile_kernel
from curate.aggregate.votes import Float64, Int8, Int32


def compute_elo(
    a: Int32,
    b: Int32,
    outcome: Int8,
    models: int,
    *,
    k: float = 4.0,
    initial: float = 1000.0,
    scale: float = 400.0,
) -> Float64:
    """float64[M] after the votes in the order given (Elo 1978); `a`, `b` are models, `outcome` +1, -1 or 0 for a tie.

    Later votes count for more and another order gives other ratings: use it to follow models that change, and
    `bradley_terry`, which has the same scale, for models that do not.
    """
    rating = np.full(models, initial)
    _play_games(a, b, outcome, k, scale, rating)
    return rating


@compile_kernel
def _play_games(a: Int32, b: Int32, outcome: Int8, k: float, scale: float, rating: Float64) -> None:
    for v in range(len(a)):
        expected = 1.0 / (1.0 + 10.0 ** ((rating[b[v]] - rating[a[v]]) / scale))
        step = k * (0.5 + 0.5 * outcome[v] - expected)
        rating[a[v]] += step
        rating[b[v]] -= step
