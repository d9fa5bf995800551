"""Davidson's (1970) tie model; see `ties`."""

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
    """Scores and ν, shared by all pairs."""
    return fit_ties("davidson", davidson_probabilities, votes, labels, options or TiesOptions())


def davidson_probabilities(d: Float64, log_nu: float) -> tuple[Outcomes, Outcomes, Outcomes]:
    """Log-probabilities of (a, tie, b) at score difference d and their derivatives by d and by log ν."""
    norm = np.logaddexp(np.logaddexp(d / 2, -d / 2), log_nu)
    log_p = (d / 2 - norm, log_nu - norm, -d / 2 - norm)
    mean = (np.exp(log_p[0]) - np.exp(log_p[2])) / 2
    tie = np.exp(log_p[1])
    return log_p, (0.5 - mean, -mean, -0.5 - mean), (-tie, 1 - tie, -tie)


class Davidson(AnnotatorModel):
    """Davidson's model of scores with ties."""

    Options = TiesOptions

    def fit(self, votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
        """Fit the model; see the function `fit`."""
        return fit(votes, labels=labels, options=self.options)
