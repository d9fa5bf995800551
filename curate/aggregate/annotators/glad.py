"""GLAD (Whitehill et al. 2009): P(right) = σ(ability of the annotator × ease of the pair)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from curate.aggregate.annotators.base import AnnotatorModel
from curate.aggregate.annotators.one_coin import clamp_labels
from curate.aggregate.annotators.pairs import PairLabels, build_pair_table
from curate.aggregate.annotators.result import AnnotatorFit, build_fit
from curate.aggregate.votes import Float64, Votes
from curate.core.section import Section


class GladOptions(Section):
    """Options of `glad`."""

    max_iterations: int = Field(100, ge=1, description="Largest number of iterations.")
    tolerance: float = Field(
        1e-4, gt=0, description="It has converged once no posterior moves by more than this."
    )
    steps: int = Field(3, ge=1, description="Newton steps in an M-step.")
    ability_sd: float = Field(
        1.0, gt=0, description="Prior of an ability: normal around 1 with this deviation."
    )
    ease_sd: float = Field(
        0.5, gt=0, description="Prior of the log ease of a pair: normal around 0 with this deviation."
    )


def fit(
    votes: Votes, *, labels: PairLabels | None = None, options: GladOptions | None = None
) -> AnnotatorFit:
    """EM with Newton steps on each parameter alone. `ability` is the log-odds of being right at ease 1."""
    options = options or GladOptions()
    table = build_pair_table(votes, labels)
    decided = table.lean != 0
    pair, outcome = table.pair[decided], table.lean[decided].astype(np.float64)
    annotator, size = table.annotator[decided], len(table.annotators)
    lean = clamp_labels(0.8 * np.sign(np.bincount(pair, weights=outcome, minlength=table.n_pairs)), table)
    ability, log_ease = np.ones(size), np.zeros(table.n_pairs)
    trace: list[float] = []
    converged = False
    for _ in range(options.max_iterations):
        right = (1 + outcome * lean[pair]) / 2
        for _ in range(options.steps):
            ease = np.exp(log_ease)[pair]
            p = _sigmoid(ability[annotator] * ease)
            push = np.bincount(annotator, weights=ease * (right - p), minlength=size)
            curve = np.bincount(annotator, weights=ease**2 * p * (1 - p), minlength=size)
            prior = 1 / options.ability_sd**2
            ability = ability + np.clip((push - prior * (ability - 1)) / (curve + prior), -1, 1)
            skill = ability[annotator] * ease
            p = _sigmoid(skill)
            push = np.bincount(pair, weights=skill * (right - p), minlength=table.n_pairs)
            curve = np.bincount(pair, weights=skill**2 * p * (1 - p), minlength=table.n_pairs)
            prior = 1 / options.ease_sd**2
            log_ease = log_ease + np.clip((push - prior * log_ease) / (curve + prior), -0.5, 0.5)
        skill = ability[annotator] * np.exp(log_ease)[pair]
        log_odds = np.bincount(pair, weights=outcome * skill, minlength=table.n_pairs)
        shared = np.bincount(pair, weights=skill / 2 - np.logaddexp(0, skill), minlength=table.n_pairs)
        penalty = (
            np.sum((ability - 1) ** 2) / options.ability_sd**2 + np.sum(log_ease**2) / options.ease_sd**2
        )
        side = np.logaddexp(log_odds / 2, -log_odds / 2) - np.log(2)
        trace.append(float(np.sum(side + shared) - penalty / 2))
        new = clamp_labels(np.tanh(log_odds / 2), table)
        change = float(np.max(np.abs(new - lean), initial=0))
        lean = new
        if change < options.tolerance:
            converged = True
            break
    return build_fit(
        "glad", table, (1 + lean) / 2, ability=ability, converged=converged, trace=np.array(trace)
    )


def _sigmoid(x: Float64) -> Float64:
    result: Float64 = 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    return result


class Glad(AnnotatorModel):
    """GLAD: abilities of annotators times the ease of pairs."""

    Options = GladOptions

    def fit(self, votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
        """Fit the model; see the function `fit`."""
        return fit(votes, labels=labels, options=self.options)
