"""Intervals for shares and means, from counts."""

from __future__ import annotations

import math

_Z = 1.959963984540054  # of the standard normal distribution at 97.5 %


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927), which behaves at 0, at 1 and for few trials."""
    if trials == 0:
        return 0.0, 1.0
    share, square = successes / trials, _Z * _Z
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    half = _Z / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(mean: float, deviation: float | None, n: int) -> tuple[float, float] | None:
    """The 95 % normal interval of a mean of `n` independent values within [0, 1]; None for fewer than two."""
    if deviation is None or n < 2:
        return None
    half = _Z * deviation / math.sqrt(n)
    return max(0.0, mean - half), min(1.0, mean + half)
