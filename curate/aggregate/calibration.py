"""Probabilities that mean what they say: temperature and isotonic calibration, ECE, reliability.

A pair may be written (a, b) or (b, a), so every map here is odd in log-odds: it never moves ½ and treats p
and 1 - p alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from curate.aggregate.votes import Float64, Int64
from curate.core.errors import CurateError

_EDGE = 1e-6


class Calibration(Protocol):
    """A fitted map from P(a) to a calibrated P(a)."""

    def __call__(self, p_a: Float64) -> Float64: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """Log-odds divided by `temperature` (Guo et al. 2017); above 1 the probabilities were too sure."""

    temperature: float

    def __call__(self, p_a: Float64) -> Float64:
        result: Float64 = 1 / (1 + np.exp(-_log_odds(p_a) / self.temperature))
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Isotonic:
    """A non-decreasing step function, linear between the middles of its steps (Zadrozny & Elkan 2002)."""

    knots: Float64
    values: Float64

    def __call__(self, p_a: Float64) -> Float64:
        result: Float64 = np.interp(p_a, self.knots, self.values)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Bins of confidence, none empty: `confidence`, `accuracy` float64[B] are means over `count` int64[B]."""

    confidence: Float64
    accuracy: Float64
    count: Int64

    @property
    def ece(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy, weighted by count."""
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.count))


def fit_temperature(p_a: Float64, outcome: Float64, *, prior_sd: float = 1.0) -> Temperature:
    """Find the likeliest temperature for `outcome` float64[L] in {0, ½, 1} (b, tie, a better).

    Its prior is log T ~ N(0, prior_sd²), which keeps a handful of labels from moving T far. Newton on the inverse
    temperature's log, 50 steps at most.
    """
    _same_length(p_a, outcome)
    x, y = _log_odds(p_a), np.asarray(outcome, np.float64)
    log_slope = 0.0
    for _ in range(50):
        slope = float(np.exp(log_slope))
        p = 1 / (1 + np.exp(-slope * x))
        push = slope * float(np.sum(x * (y - p))) - log_slope / prior_sd**2
        curve = slope**2 * float(np.sum(x * x * p * (1 - p))) + 1 / prior_sd**2
        move = float(np.clip(push / curve, -0.5, 0.5))
        log_slope = float(np.clip(log_slope + move, -5, 5))
        if abs(move) < 1e-8:
            break
    return Temperature(temperature=float(np.exp(-log_slope)))


def fit_isotonic(p_a: Float64, outcome: Float64) -> Isotonic:
    """Isotonic regression of `outcome` in {0, ½, 1} on `p_a`, every pair taken both ways round.

    Wants a few hundred labels: with fewer, steps follow noise and a temperature is safer.
    """
    _same_length(p_a, outcome)
    if len(p_a) == 0:
        return Isotonic(knots=np.array([0.0, 1.0]), values=np.array([0.0, 1.0]))
    # Rounded, so that p and 1 - p are mirror images to the last bit and ties are seen as ties.
    p = np.round(np.asarray(p_a, np.float64), 12)
    x = np.concatenate([p, 1 - p])
    y = np.concatenate([outcome, 1 - outcome]).astype(np.float64)
    order = np.argsort(x, kind="stable")
    unique, start = np.unique(np.round(x[order], 12), return_index=True)
    weight = np.diff(np.append(start, len(x))).astype(np.float64)
    mean = np.add.reduceat(y[order], start) / weight
    # Blocks of equal level may split by rounding on one side of ½ only, which would bend the map: compared
    # loosely.
    level, size = _pool_adjacent_violators(mean, weight)
    # A block's value sits at its mean p, so that the map is continuous and stays odd.
    block = np.repeat(np.arange(len(level)), size)
    centre = np.bincount(block, unique * weight) / np.bincount(block, weight)
    return Isotonic(knots=centre, values=level)


def _pool_adjacent_violators(value: Float64, weight: Float64) -> tuple[Float64, Int64]:
    """Least-squares non-decreasing fit; levels and how many values each covers. O(n)."""
    level: list[float] = []
    mass: list[float] = []
    size: list[int] = []
    for v, w in zip(value.tolist(), weight.tolist(), strict=True):
        level.append(v)
        mass.append(w)
        size.append(1)
        while len(level) > 1 and level[-2] >= level[-1] - 1e-12:
            v2, w2, n2 = level.pop(), mass.pop(), size.pop()
            level[-1] = (level[-1] * mass[-1] + v2 * w2) / (mass[-1] + w2)
            mass[-1] += w2
            size[-1] += n2
    return np.array(level), np.array(size, np.int64)


def measure_reliability(p_a: Float64, outcome: Float64, *, bins: int = 10) -> Reliability:
    """Bins of equal width of confidence max(p, 1 - p) in ½ … 1; a tie counts as half right.

    `outcome` float64[L] in {0, ½, 1}. A p of exactly ½ is a coin's guess: half right.
    """
    _same_length(p_a, outcome)
    confidence = np.maximum(p_a, 1 - p_a)
    right = np.where(p_a > 0.5, outcome, np.where(p_a < 0.5, 1 - np.asarray(outcome), 0.5))
    at = np.minimum(((confidence - 0.5) * 2 * bins).astype(np.int64), bins - 1)
    count = np.bincount(at, minlength=bins)
    full = count > 0
    return Reliability(
        confidence=np.bincount(at, confidence, bins)[full] / count[full],
        accuracy=np.bincount(at, right, bins)[full] / count[full],
        count=count[full].astype(np.int64),
    )


def compute_calibration_error(p_a: Float64, outcome: Float64, *, bins: int = 10) -> float:
    """ECE over bins of equal width of confidence; 0 for no pairs."""
    return measure_reliability(p_a, outcome, bins=bins).ece if len(p_a) else 0.0


def _log_odds(p_a: Float64) -> Float64:
    p = np.clip(np.asarray(p_a, np.float64), _EDGE, 1 - _EDGE)
    result: Float64 = np.log(p) - np.log1p(-p)
    return result


def _same_length(p_a: Float64, outcome: Float64) -> None:
    if len(p_a) != len(outcome):
        raise CurateError(
            f"Calibration got {len(p_a)} probabilities and {len(outcome)} labels: "
            "give one label per probability."
        )
