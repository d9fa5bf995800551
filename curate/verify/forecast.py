"""Forecast of the share of pairs that the guarantee accepts once planned questions are answered.

Future labels are drawn from the panel's own confidence, so the forecast is as good as that confidence is
calibrated. It leaves out what the annotator model would learn from the labels, so it is rather too low.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.stats.guarantee import certify_threshold
from curate.verify.routing.pairs import Bool, Float64, Int64

DRAWS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceForecast:
    """Shares of all pairs that are accepted at (alpha, delta).

    `now`: today; `expected`: mean after the plan; `low` … `high`: the middle 80 % of the draws.
    """

    alpha: float
    delta: float
    now: float
    expected: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"a guarantee of at most {self.alpha:.0%} wrong, with confidence {1 - self.delta:.0%}, would hold for "
            f"{self.now:.0%} of the pairs now, and for {self.expected:.0%} ({self.low:.0%} – {self.high:.0%}) when the "
            "random questions are answered, if the panel's confidence means what it says"
        )


def forecast_acceptance(
    confidence: Float64,
    known: Int64,
    agrees: Bool,
    coming: Int64,
    *,
    alpha: float,
    delta: float,
    seed: int = 0,
) -> AcceptanceForecast:
    """Forecast the share of accepted pairs.

    Args:
        confidence: float64[Q], confidence of all pairs.
        known: int64[L], random pairs that people have answered.
        agrees: bool[L], whether the panel's label agrees with theirs.
        coming: int64[M], random pairs still to be answered.
        alpha: Largest share of wrong labels.
        delta: Probability that the guarantee fails.
        seed: Seed of the draws.
    """

    def compute_share(labelled: Int64, right: Bool) -> float:
        return certify_threshold(confidence, labelled, right, alpha=alpha, delta=delta).accepted

    rng = np.random.default_rng(seed)
    both = np.concatenate([known, coming])
    drawn = [
        compute_share(both, np.concatenate([agrees, rng.random(len(coming)) < confidence[coming]]))
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, [0.1, 0.9])
    return AcceptanceForecast(
        alpha=alpha,
        delta=delta,
        now=compute_share(known, agrees),
        expected=float(np.mean(drawn)),
        low=float(low),
        high=float(high),
    )
