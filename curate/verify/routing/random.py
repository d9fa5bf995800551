"""The strategy `random`: the pairs with the lowest permanent random numbers, whatever judges said about them.

Calibration and the guarantee may only use labels that were chosen this way.
"""

from __future__ import annotations

from curate.verify.routing.base import RoutingStrategy
from curate.verify.routing.pairs import Int64, Pairs


class Random(RoutingStrategy):
    """Chooses pairs in the order of their permanent draw."""

    def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
        return pairs.take_best(-pairs.draw, n)
