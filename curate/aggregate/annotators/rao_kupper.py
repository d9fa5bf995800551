"""Rao and Kupper's (1967) tie model; see `ties`."""

from __future__ import annotations

import numpy as np

from curate.aggregate.annotators.base import AnnotatorModel
from curate.aggregate.annotators.pairs import PairLabels
from curate.aggregate.annotators.result import AnnotatorFit
from curate.aggregate.annotators.ties import Outcomes, TiesOptions, fit_ties
from curate.aggregate.votes import Float64, Votes


def fit(
    votes: Votes, *, labels: PairLabels | None = None, options: TiesOptions | None = None
) -> AnnotatorFit:
    """Scores and θ, shared by all pairs."""
    return fit_ties("rao_kupper", rao_kupper_probabilities, votes, labels, options or TiesOptions())


def rao_kupper_probabilities(d: Float64, log_theta: float) -> tuple[Outcomes, Outcomes, Outcomes]:
    """Log-probabilities of (a, tie, b) at score difference d and their derivatives by d and by log θ."""
    theta = float(np.exp(log_theta))
    up, down = d - theta, -d - theta
    log_a, log_b = -np.logaddexp(0, -up), -np.logaddexp(0, -down)
    # P(tie) = P(a) P(b) (e^{2θ} - 1), in which nothing cancels.
    log_tie = log_a + log_b + np.log(np.expm1(2 * theta))
    not_a, not_b = 1 - np.exp(log_a), 1 - np.exp(log_b)
    growth = 2 / -np.expm1(-2 * theta)
    by_theta = (-not_a, growth - not_a - not_b, -not_b)
    return (
        (log_a, log_tie, log_b),
        (not_a, not_a - not_b, -not_b),
        (by_theta[0] * theta, by_theta[1] * theta, by_theta[2] * theta),
    )


class RaoKupper(AnnotatorModel):
    """Rao and Kupper's model of scores with ties."""

    Options = TiesOptions

    def fit(self, votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
        """Fit the model; see the function `fit`."""
        return fit(votes, labels=labels, options=self.options)
