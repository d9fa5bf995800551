"""Distance of two reward models, from their scores of the same responses.

Only differences between responses to one prompt have a meaning, and their scale has none. So each prompt's scores are
centred, which removes what a model adds to all responses of a prompt, and all of a model's scores are divided by their
norm. Half the distance between the results is 0 for the same preferences of the same relative strength, √½ for
unrelated preferences and 1 for opposite ones.

For a single step (a prompt, then a response) centring is the canonicalisation of EPIC (Gleave et al. 2021, arXiv
2006.13900) with the set's own responses as its distribution, and ½‖a/‖a‖ − b/‖b‖‖₂ = √((1 − ρ)/2) its Pearson distance;
the same is a STARC metric (Skalse et al. 2024, arXiv 2309.15257), which divides by the norm after canonicalising.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.stats.accuracy import MeanEstimate, estimate_means

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Two models compared over the P prompts that both score whole.

    | field       | meaning |
    | ---         | --- |
    | `distance`  | in [0, 1] |
    | `kendall`   | mean over prompts of Kendall's τ_b, without prompts where a model scores all responses alike |
    | `spearman`  | mean over prompts of Spearman's ρ, likewise |
    | `agreement` | share of pairs that both order alike; a tie of one model counts one half |
    """

    one: str
    other: str
    distance: MeanEstimate
    kendall: MeanEstimate | None
    spearman: MeanEstimate | None
    agreement: MeanEstimate


def compare_scores(
    one: str,
    other: str,
    a: Sequence[Float64],
    b: Sequence[Float64],
    clusters: Sequence[str],
    *,
    resamples: int,
) -> ModelComparison | None:
    """Compare two models by their scores of the same responses.

    Args:
        one: Name of the first model.
        other: Name of the second model.
        a: float64[N_i] for each item i, the first model's scores; NaN where it has none.
        b: float64[N_i] for each item i, the second model's scores.
        clusters: Prompt of each item.
        resamples: Bootstrap resamples of the prompts; 0: no intervals.

    Returns:
        The comparison; None where no item is scored whole by both.
    """
    scored = [
        i for i, (x, y) in enumerate(zip(a, b, strict=True)) if len(x) > 1 and np.isfinite([x, y]).all()
    ]
    if not scored:
        return None
    names, cluster = np.unique([clusters[i] for i in scored], return_inverse=True)
    rows = np.array([_compute_moments(a[i], b[i]) for i in scored])
    sums, sizes = np.zeros((2, len(names), 3))
    for column, (value, weight) in enumerate(((3, None), (4, None), (5, 6))):
        known = np.isfinite(rows[:, value])
        number = np.ones(known.sum()) if weight is None else rows[known, weight]
        sums[:, column] = np.bincount(cluster[known], rows[known, value], len(names))
        sizes[:, column] = np.bincount(cluster[known], number, len(names))
    kendall, spearman, agreement = [
        estimate_means(sums[:, [k]], sizes[:, [k]], resamples=resamples)[0] if sizes[:, k].any() else None
        for k in range(3)
    ]
    assert agreement is not None  # there is a pair wherever there are two responses
    moments = np.zeros((len(names), 3))
    np.add.at(moments, cluster, rows[:, :3])
    distance = _estimate_distance(moments, len(scored), resamples)
    return ModelComparison(one, other, distance, kendall, spearman, agreement)


def _compute_moments(a: Float64, b: Float64) -> tuple[float, ...]:
    """Return Σaa, Σbb, Σab of the centred scores; τ_b; ρ; pairs that both order alike; all pairs."""
    x, y = a - a.mean(), b - b.mean()
    i, j = np.triu_indices(len(a), 1)
    p, q = np.sign((a[i] - a[j]).round(9)), np.sign((b[i] - b[j]).round(9))
    agree = float((0.5 + 0.5 * p * q).sum())
    untied = np.sqrt((p**2).sum() * (q**2).sum())
    kendall = float((p * q).sum() / untied) if untied else np.nan
    return (
        float(x @ x),
        float(y @ y),
        float(x @ y),
        kendall,
        _correlate(_rank_values(a), _rank_values(b)),
        agree,
        float(len(i)),
    )


def _rank_values(values: Float64) -> Float64:
    """Rank values; equal values share the mean of their ranks."""
    rounded = values.round(9)
    return np.array([(rounded < v).sum() + ((rounded == v).sum() - 1) / 2 for v in rounded], np.float64)


def _correlate(x: Float64, y: Float64) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale else float("nan")


def _estimate_distance(moments: Float64, n: int, resamples: int) -> MeanEstimate:
    """Estimate √((1 − ρ)/2) with a bootstrap over clusters.

    A model that scores everything alike has no direction: it is as far from all others as unrelated models are.

    Args:
        moments: float64[C, 3], Σaa, Σbb, Σab by cluster.
        n: Number of items.
        resamples: Bootstrap resamples; 0: no interval.
    """

    def compute_distance(sums: Float64) -> Float64:
        scale = np.sqrt(sums[..., 0] * sums[..., 1])
        with np.errstate(invalid="ignore", divide="ignore"):
            rho = np.where(scale > 0, sums[..., 2] / scale, 0.0)
        return np.asarray(np.sqrt((1.0 - np.clip(rho, -1.0, 1.0)) / 2.0))

    value = float(compute_distance(moments.sum(axis=0)))
    if resamples == 0 or len(moments) < 2:
        return MeanEstimate(value, None, None, n)
    counts = np.random.default_rng(0).multinomial(
        len(moments), np.full(len(moments), 1 / len(moments)), size=resamples
    )
    low, high = np.quantile(compute_distance(counts.astype(np.float64) @ moments), [0.025, 0.975])
    return MeanEstimate(value, float(low), float(high), n)
