"""Each vote counts the same."""

from __future__ import annotations

import numpy as np

from curate.aggregate.annotators.base import AnnotatorModel
from curate.aggregate.annotators.pairs import PairLabels, build_pair_table
from curate.aggregate.annotators.result import AnnotatorFit, build_fit
from curate.aggregate.votes import Votes


def fit(votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
    """Count the votes. `p_a` is the share of votes for a with ties as half a vote; ½ where nobody voted.

    `ability` is the log-odds of agreeing with the majority of the *other* votes' sum, one pseudo-vote either
    way.
    """
    table = build_pair_table(votes, labels)
    pair, outcome = table.pair, table.lean.astype(np.float64)
    count = np.diff(table.offsets)
    total = np.bincount(pair, weights=outcome, minlength=table.n_pairs)
    p_a = 0.5 + total / np.maximum(2 * count, 1)
    ties = np.bincount(pair, weights=(table.outcome == 0), minlength=table.n_pairs) / np.maximum(count, 1)
    others = np.sign(total[pair] - outcome) * outcome
    size = len(table.annotators)
    right = np.bincount(table.annotator, weights=others > 0, minlength=size) + 1
    wrong = np.bincount(table.annotator, weights=others < 0, minlength=size) + 1
    return build_fit("majority", table, p_a, p_tie=ties, ability=np.log(right / wrong))


class Majority(AnnotatorModel):
    """One vote each."""

    def fit(self, votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
        """Fit the model; see the function `fit`."""
        return fit(votes, labels=labels)
