"""Pairwise accuracy with confidence intervals: the pairs of a prompt are not independent, so prompts are resampled.

A prediction that the two are equal counts one half, so that silence neither helps nor hurts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.data.preference_pairs import PreferencePairs

Float64 = NDArray[np.float64]

LENGTH, RANDOM = "length baseline", "random baseline"  # subjects; a judge may well be called "length"
_CELLS = 1 << 24  # multinomial counts held at once (128 MB)


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean of `n` rows with the bounds of its 95 % interval (`None` where there is nothing to resample)."""

    value: float
    low: float | None
    high: float | None
    n: int


def estimate_mean(values: Float64, clusters: NDArray[np.int64], *, resamples: int) -> MeanEstimate:
    """The mean of `values` float64[n], n ≥ 1, with its interval over `clusters` int64[n]."""
    _, index = np.unique(clusters, return_inverse=True)
    sums, sizes = np.bincount(index, values)[:, None], np.bincount(index)[:, None].astype(np.float64)
    return estimate_means(sums.astype(np.float64), sizes, resamples=resamples)[0]


def estimate_means(sums: Float64, sizes: Float64, *, resamples: int, seed: int = 0) -> list[MeanEstimate]:
    """Means and 95 % percentile bootstrap intervals over clusters, for S subjects on the same draws.

    `sums`, `sizes` float64[C, S]: sum and number of each subject's rows in each cluster; every subject has some.
    Whole clusters are drawn with replacement (Efron and Tibshirani 1993, chapter 8). A draw of C clusters is a
    multinomial count per cluster, so that all resamples of all subjects are two matrix products.
    """
    clusters, subjects = sums.shape
    totals = sizes.sum(axis=0)
    if not (totals > 0).all():
        raise ValueError("the mean of nothing")
    means = sums.sum(axis=0) / totals
    bounds = np.full((2, subjects), np.nan)
    if resamples > 0 and clusters > 1:
        drawn = np.concatenate(list(_resample(sums, sizes, resamples, np.random.default_rng(seed))))
        bounds = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    single = (sizes > 0).sum(axis=0) < 2  # one cluster says nothing about how clusters differ
    low, high = np.where(single, np.nan, bounds)
    return [
        MeanEstimate(float(means[i]), _drop_nan(low[i]), _drop_nan(high[i]), round(totals[i]))
        for i in range(subjects)
    ]


def _drop_nan(bound: float) -> float | None:
    return None if np.isnan(bound) else float(bound)


def _resample(
    sums: Float64, sizes: Float64, resamples: int, generator: np.random.Generator
) -> Iterator[Float64]:
    """float64[resamples, S] in blocks; not a number where a draw holds none of a subject's rows."""
    chances = np.full(len(sums), 1.0 / len(sums))
    step = max(1, _CELLS // len(sums))
    for start in range(0, resamples, step):
        counts = generator.multinomial(len(sums), chances, size=min(step, resamples - start)).astype(
            np.float64
        )
        with np.errstate(invalid="ignore"):
            yield (counts @ sums) / (counts @ sizes)


def credit_pairs(margin: Float64) -> Float64:
    """1 where the better one got the higher score, 0 where the lower, ½ where both got the same."""
    return 0.5 + 0.5 * np.sign(margin)


def accuracy_by_length(pairs: PreferencePairs, scores: Float64, *, resamples: int) -> dict[str, MeanEstimate]:
    """Subset → accuracy of `scores` float64[R] on all pairs, and apart where the chosen one is longer or shorter.

    A model that has learnt nothing but length is right on nearly all of the second and wrong on all of the third.
    """
    margin = scores[pairs.chosen] - scores[pairs.rejected]
    longer = pairs.lengths[pairs.chosen] - pairs.lengths[pairs.rejected]
    subsets = {"all": np.full(len(pairs), True), "longer chosen": longer > 0, "shorter chosen": longer < 0}
    return {
        name: estimate_mean(credit_pairs(margin[rows]), pairs.prompt[rows], resamples=resamples)
        for name, rows in subsets.items()
        if rows.any()
    }


def combine_means(
    sums: Float64, sizes: Float64, weights: Float64, *, resamples: int, seed: int = 0
) -> MeanEstimate:
    """Σ wₖ · meanₖ with its 95 % interval; the K means are of the same draws of clusters.

    `sums`, `sizes` float64[C, K]: sum and number of each mean's rows in each cluster; `weights` float64[K].
    """
    totals = sizes.sum(axis=0)
    if not (totals > 0).all():
        raise ValueError("the mean of nothing")
    low = high = None
    if resamples > 0 and (sizes > 0).any(axis=1).sum() > 1:
        drawn = np.concatenate(list(_resample(sums, sizes, resamples, np.random.default_rng(seed)))) @ weights
        drawn = drawn[np.isfinite(drawn)]  # some draws hold no row of one of the means
        if 2 * len(drawn) > resamples:
            low, high = (float(bound) for bound in np.quantile(drawn, [0.025, 0.975]))
    return MeanEstimate(float((sums.sum(axis=0) / totals) @ weights), low, high, round(totals.sum()))
