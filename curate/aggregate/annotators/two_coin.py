"""Two-coin Dawid-Skene (1979) in the frame of what was shown: one skill per side, so a position bias fits."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from curate.aggregate.annotators.base import AnnotatorModel
from curate.aggregate.annotators.one_coin import clamp_labels
from curate.aggregate.annotators.pairs import PairLabels, build_pair_table
from curate.aggregate.annotators.result import AnnotatorFit, build_fit
from curate.aggregate.votes import Float64, Votes
from curate.core.section import Section


class TwoCoinOptions(Section):
    """Options of `two_coin`."""

    max_iterations: int = Field(200, ge=1, description="Largest number of iterations.")
    tolerance: float = Field(
        1e-5, gt=0, description="It has converged once no posterior moves by more than this."
    )
    pseudo_votes: float = Field(
        1.0,
        gt=0,
        description="Right and as many wrong votes that are added to each of an annotator's two coins.",
    )


def fit(
    votes: Votes, *, labels: PairLabels | None = None, options: TwoCoinOptions | None = None
) -> AnnotatorFit:
    """EM from the majority vote over P(says first | first is better) and P(says second | second is better).

    Where the order is unknown the frame is (a, b). `ability` is the mean log-odds of the two coins,
    `position_bias` half their difference.
    """
    options = options or TwoCoinOptions()
    table = build_pair_table(votes, labels)
    decided = table.lean != 0
    frame = np.where(table.shown[decided] == 0, 1, table.shown[decided]).astype(np.float64)
    pair, outcome = table.pair[decided], table.lean[decided].astype(np.float64)
    annotator, size = table.annotator[decided], len(table.annotators)
    first = (1 + outcome * frame) / 2
    lean = clamp_labels(0.8 * np.sign(np.bincount(pair, weights=outcome, minlength=table.n_pairs)), table)
    trace: list[float] = []
    converged = False
    coins = np.zeros((2, size))

    def rates(truth: Float64) -> Float64:
        says = np.bincount(annotator, weights=truth * first, minlength=size) + options.pseudo_votes
        all_ = np.bincount(annotator, weights=truth, minlength=size) + 2 * options.pseudo_votes
        result: Float64 = says / all_
        return result

    for _ in range(options.max_iterations):
        is_first = (1 + lean[pair] * frame) / 2
        hit, false = rates(is_first), rates(1 - is_first)
        coins = np.stack([np.log(hit) - np.log1p(-hit), np.log1p(-false) - np.log(false)])
        given_first = first * np.log(hit)[annotator] + (1 - first) * np.log1p(-hit)[annotator]
        given_second = first * np.log(false)[annotator] + (1 - first) * np.log1p(-false)[annotator]
        for_a = np.bincount(pair, np.where(frame > 0, given_first, given_second), table.n_pairs)
        for_b = np.bincount(pair, np.where(frame > 0, given_second, given_first), table.n_pairs)
        penalty = options.pseudo_votes * np.sum(
            np.log(hit) + np.log1p(-hit) + np.log(false) + np.log1p(-false)
        )
        trace.append(float(np.sum(np.logaddexp(for_a, for_b) - np.log(2)) + penalty))
        new = clamp_labels(np.tanh((for_a - for_b) / 2), table)
        change = float(np.max(np.abs(new - lean), initial=0))
        lean = new
        if change < options.tolerance:
            converged = True
            break
    return build_fit(
        "two_coin",
        table,
        (1 + lean) / 2,
        ability=coins.mean(0),
        position_bias=(coins[0] - coins[1]) / 2,
        converged=converged,
        trace=np.array(trace),
    )


class TwoCoin(AnnotatorModel):
    """Two-coin Dawid-Skene: one skill per side shown, so that it fits a position bias."""

    Options = TwoCoinOptions

    def fit(self, votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
        """Fit the model; see the function `fit`."""
        return fit(votes, labels=labels, options=self.options)
