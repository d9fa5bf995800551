"""Agreement of people beyond chance: Krippendorff's alpha, Cohen's and Fleiss' kappa, with bootstrap intervals.

All work on counts int64[U, C]: how often each of C categories was given to each of U units (pairs). Chance makes 0,
perfect agreement 1; NaN where the figure is not defined (nothing said twice, or only one category ever used).

>>> round(krippendorff_alpha(np.array([[2, 0, 0], [0, 2, 0], [1, 1, 0]])), 3)
0.444
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class AgreementEstimate:
    """A figure with the 95 % interval of its bootstrap over units; `n` units repeated something of it."""

    value: float
    low: float
    high: float
    n: int


def krippendorff_alpha(counts: Int64, values: Float64 | None = None) -> float:
    """Compute Krippendorff's alpha = 1 - D_observed / D_expected; units with one verdict do not count.

    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability".
    `values` float64[C] places the categories on a line and makes differences squared (interval data); without it
    categories just differ or not (nominal data).
    """
    repeated = counts[counts.sum(axis=1) > 1].astype(np.float64)
    if len(repeated) == 0:
        return float("nan")
    size = counts.shape[1]
    delta = 1.0 - np.eye(size) if values is None else (values[:, None] - values[None, :]) ** 2
    within = np.einsum("uc,ck,uk->u", repeated, delta, repeated) / (repeated.sum(axis=1) - 1)
    total = repeated.sum(axis=0)
    expected = float(total @ delta @ total) / (float(total.sum()) - 1)
    return 1 - float(within.sum()) / expected if expected > 0 else float("nan")


def fleiss_kappa(counts: Int64) -> float:
    """Fleiss' kappa (Fleiss 1971) over the units that have as many verdicts as most units with more than one do."""
    size = counts.sum(axis=1)
    if not (size > 1).any():
        return float("nan")
    n = int(np.argmax(np.bincount(size[size > 1])))
    repeated = counts[size == n].astype(np.float64)
    observed = float(np.mean((np.sum(repeated**2, axis=1) - n) / (n * (n - 1))))
    chance = float(np.sum((repeated.sum(axis=0) / repeated.sum()) ** 2))
    return (observed - chance) / (1 - chance) if chance < 1 else float("nan")


def cohen_kappa(first: Int64, second: Int64, categories: int) -> float:
    """Cohen's kappa (Cohen 1960) of two people's categories int64[U] on the same units."""
    if len(first) == 0:
        return float("nan")
    table = np.bincount(first * categories + second, minlength=categories**2).reshape(categories, categories)
    share = table / table.sum()
    chance = float(share.sum(axis=1) @ share.sum(axis=0))
    return (float(np.trace(share)) - chance) / (1 - chance) if chance < 1 else float("nan")


def bootstrap_agreement(
    figure: Callable[[Int64], float], counts: Int64, *, seed: int = 0
) -> AgreementEstimate:
    """`figure` of counts with the percentiles of its value over resampled units."""
    repeated = counts[counts.sum(axis=1) > 1]
    value = figure(repeated)
    if len(repeated) < 2:
        return AgreementEstimate(value, float("nan"), float("nan"), len(repeated))
    rng = np.random.default_rng(seed)
    resampled = np.array(
        [figure(repeated[rng.integers(0, len(repeated), len(repeated))]) for _ in range(RESAMPLES)]
    )
    resampled = resampled[~np.isnan(resampled)]
    low, high = np.quantile(resampled, [0.025, 0.975]) if len(resampled) else (np.nan, np.nan)
    return AgreementEstimate(value, float(low), float(high), len(repeated))
