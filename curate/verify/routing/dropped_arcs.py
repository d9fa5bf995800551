"""The strategy `dropped-arcs`: the pairs whose votes the denoised order of their prompt overrules."""

from __future__ import annotations

from curate.verify.routing.base import RoutingStrategy
from curate.verify.routing.pairs import Int64, Pairs


class DroppedArcs(RoutingStrategy):
    """Chooses the pairs with the heaviest overruled evidence."""

    def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
        return pairs.take_best(pairs.dropped_weight, n, among=pairs.dropped_weight > 0)
