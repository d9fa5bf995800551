"""The strategy `disagreement`: the pairs on which judges contradict each other most, whatever the model infers.

The score is the vote entropy (Dagan & Engelson 1995) of the share of judges for a, times the share of judges that
voted: two judges against two disagree more than one against one.
"""

from __future__ import annotations

import numpy as np

from curate.verify.routing.base import RoutingStrategy
from curate.verify.routing.pairs import Float64, Int64, Pairs


class Disagreement(RoutingStrategy):
    """Chooses the pairs of the highest vote entropy."""

    def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
        score = compute_entropy(pairs)
        return pairs.take_best(score, n, among=score > 0)


def compute_entropy(pairs: Pairs) -> Float64:
    """Return float64[Q], 0 … log 2: the vote entropy of each pair, times the share of judges that voted."""
    if pairs.votes.shape[1] == 0:
        return np.zeros(len(pairs))
    strength = np.abs(pairs.votes)
    total = strength.sum(axis=1)
    share = np.maximum(pairs.votes, 0).sum(axis=1) / np.maximum(total, 1e-12)
    p = np.clip(share, 1e-12, 1 - 1e-12)
    turnout: Float64 = np.mean(strength > 0, axis=1)
    return np.where(total > 0, -(p * np.log(p) + (1 - p) * np.log1p(-p)) * turnout, 0.0).round(9)
