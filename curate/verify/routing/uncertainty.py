"""The strategy `uncertainty`: the pairs whose label is likeliest to be wrong (Lewis & Gale 1994)."""

from __future__ import annotations

from curate.verify.routing.base import RoutingStrategy
from curate.verify.routing.pairs import Int64, Pairs


class Uncertainty(RoutingStrategy):
    """Chooses the pairs of the lowest confidence."""

    def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
        return pairs.take_best(-pairs.confidence, n)
