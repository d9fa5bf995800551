"""One-coin Dawid-Skene (1979): every annotator is right with a probability of its own, whatever the pair."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from curate.aggregate.annotators.base import AnnotatorModel
from curate.aggregate.annotators.pairs import PairLabels, PairTable, build_pair_table
from curate.aggregate.annotators.result import AnnotatorFit, build_fit
from curate.aggregate.votes import Float64, Votes
from curate.core.section import Section


class OneCoinOptions(Section):
    """Options of `one_coin`."""

    max_iterations: int = Field(200, ge=1, description="Largest number of iterations.")
    tolerance: float = Field(
        1e-5, gt=0, description="It has converged once no posterior moves by more than this."
    )
    pseudo_votes: float = Field(
        1.0, gt=0, description="Right and as many wrong votes that are added to every annotator's own."
    )


def fit(
    votes: Votes, *, labels: PairLabels | None = None, options: OneCoinOptions | None = None
) -> AnnotatorFit:
    """EM from the majority vote. A tie says nothing about which side is better; labels are clamped."""
    options = options or OneCoinOptions()
    table = build_pair_table(votes, labels)
    decided = table.lean != 0
    pair, outcome = table.pair[decided], table.lean[decided].astype(np.float64)
    annotator, size = table.annotator[decided], len(table.annotators)
    number = np.bincount(annotator, minlength=size).astype(np.float64)
    total = np.bincount(pair, weights=outcome, minlength=table.n_pairs)
    lean = clamp_labels(0.8 * np.sign(total), table)
    trace: list[float] = []
    converged = False
    weight = np.zeros(size)
    for _ in range(options.max_iterations):
        right = np.bincount(annotator, weights=(1 + outcome * lean[pair]) / 2, minlength=size)
        skill = (right + options.pseudo_votes) / (number + 2 * options.pseudo_votes)
        weight = np.log(skill) - np.log1p(-skill)
        log_odds = np.bincount(pair, outcome * weight[annotator], table.n_pairs).astype(np.float64)
        trace.append(_log_likelihood(log_odds, skill, number, options.pseudo_votes))
        new = clamp_labels(np.tanh(log_odds / 2), table)
        change = float(np.max(np.abs(new - lean), initial=0))
        lean = new
        if change < options.tolerance:
            converged = True
            break
    return build_fit(
        "one_coin", table, (1 + lean) / 2, ability=weight, converged=converged, trace=np.array(trace)
    )


def clamp_labels(lean: Float64, table: PairTable) -> Float64:
    """P(a) - P(b) with people's mean outcome where they spoke, float64[Q]."""
    return np.where(table.n_gold > 0, np.nan_to_num(table.gold), lean)


def _log_likelihood(log_odds: Float64, skill: Float64, number: Float64, pseudo: float) -> float:
    """Penalised log-likelihood: log Σ_t ½ Π_v P(x_v | t) with the factor Π √(skill (1 - skill)) taken out."""
    side = np.logaddexp(log_odds / 2, -log_odds / 2) - np.log(2)
    return float(side.sum() + np.sum((number / 2 + pseudo) * (np.log(skill) + np.log1p(-skill))))


class OneCoin(AnnotatorModel):
    """One-coin Dawid-Skene: one skill per annotator."""

    Options = OneCoinOptions

    def fit(self, votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
        """Fit the model; see the function `fit`."""
        return fit(votes, labels=labels, options=self.options)
