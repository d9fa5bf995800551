"""Crowd-BT (Chen et al. 2013): responses have scores, annotator j passes a comparison on rightly with η_j."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from curate.aggregate.annotators.base import AnnotatorModel
from curate.aggregate.annotators.pairs import PairLabels, PairTable, build_pair_table
from curate.aggregate.annotators.result import AnnotatorFit, build_fit
from curate.aggregate.votes import Float64, Votes
from curate.core.section import Section


class CrowdBTOptions(Section):
    """Options of `crowd_bt`."""

    max_iterations: int = Field(300, ge=1, description="Largest number of iterations.")
    tolerance: float = Field(
        1e-4, gt=0, description="It has converged once no score moves by more than this."
    )
    score_sd: float = Field(2.0, gt=0, description="Prior of a score: normal around 0 with this deviation.")
    prior_right: float = Field(
        8.0, gt=1, description="Beta prior of an annotator's faithfulness: votes passed on rightly."
    )
    prior_wrong: float = Field(
        2.0, gt=1, description="Beta prior of an annotator's faithfulness: votes turned round."
    )
    label_weight: float = Field(10.0, gt=0, description="Number of votes that one person's label counts.")


def fit(
    votes: Votes, *, labels: PairLabels | None = None, options: CrowdBTOptions | None = None
) -> AnnotatorFit:
    """Fit by EM over which votes were passed on rightly; ties are left out.

    P(a) = η σ(s_a - s_b) + (1 - η) σ(s_b - s_a).
    `ability` is log η/(1 - η): how faithfully comparisons are passed on, not how often they are right.
    """
    options = options or CrowdBTOptions()
    table = build_pair_table(votes, labels)
    decided = table.lean != 0
    pair, for_a = table.pair[decided], (1 + table.lean[decided].astype(np.float64)) / 2
    annotator, size = table.annotator[decided], len(table.annotators)
    number = np.bincount(annotator, minlength=size)
    score: Float64 = np.zeros(votes.n_responses)
    eta = np.full(size, 0.8)
    games = np.bincount(pair, minlength=table.n_pairs).astype(np.float64)
    trace: list[float] = []
    converged = False
    for _ in range(options.max_iterations):
        p = _win_probability(score, table)[pair]
        right = eta[annotator] * np.stack([p, 1 - p])  # of a vote for a, and of one for b
        either = right + (1 - eta[annotator]) * np.stack([1 - p, p])
        share = np.stack([for_a, 1 - for_a])
        log_likelihood = float(np.sum(share * np.log(either)))
        trace.append(_compute_penalised_likelihood(log_likelihood, score, eta, options))
        faithful_a, faithful_b = share * right / either
        faithful = faithful_a + faithful_b
        eta = (np.bincount(annotator, weights=faithful, minlength=size) + options.prior_right - 1) / (
            number + options.prior_right + options.prior_wrong - 2
        )
        wins = np.bincount(pair, faithful_a + share[1] - faithful_b, table.n_pairs).astype(np.float64)
        new = _ascend_scores(score, wins, games, table, options)
        change = float(np.max(np.abs(new - score), initial=0))
        score = new
        if change < options.tolerance:
            converged = True
            break
    return build_fit(
        "crowd_bt",
        table,
        _win_probability(score, table),
        ability=np.log(eta) - np.log1p(-eta),
        converged=converged,
        trace=np.array(trace),
    )


def _win_probability(score: Float64, table: PairTable) -> Float64:
    result: Float64 = 1 / (1 + np.exp(score[table.b] - score[table.a]))
    return result


def _ascend_scores(
    score: Float64, wins: Float64, games: Float64, table: PairTable, options: CrowdBTOptions
) -> Float64:
    """Step on all scores at once; twice the curvature bounds the Hessian of a sum of differences."""
    gold = np.nan_to_num(table.gold).astype(np.float64)
    labelled = options.label_weight * (table.n_gold > 0)
    wins, games = wins + labelled * (1 + gold) / 2, games + labelled
    p = _win_probability(score, table)
    push, curve = wins - games * p, 2 * games * np.maximum(p * (1 - p), 0.05)
    n = len(score)
    gradient = np.bincount(table.a, push, n) - np.bincount(table.b, push, n) - score / options.score_sd**2
    result: Float64 = score + gradient / (
        np.bincount(table.a, curve, n) + np.bincount(table.b, curve, n) + 1 / options.score_sd**2
    )
    return result


def _compute_penalised_likelihood(
    log_likelihood: float, score: Float64, eta: Float64, options: CrowdBTOptions
) -> float:
    prior = (options.prior_right - 1) * np.log(eta) + (options.prior_wrong - 1) * np.log1p(-eta)
    return float(log_likelihood + prior.sum() - np.sum(score**2) / (2 * options.score_sd**2))


class CrowdBT(AnnotatorModel):
    """Crowd-BT: scores of responses, and how faithfully each annotator reports them."""

    Options = CrowdBTOptions

    def fit(self, votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
        """Fit the model; see the function `fit`."""
        return fit(votes, labels=labels, options=self.options)
