"""Blind: the pairs with the lowest permanent random numbers, whatever anybody says of them.

The only labels that calibration and the guarantee may stand on.
"""

from __future__ import annotations

from curate.verify.routing.pairs import Int64, Pairs


def choose(pairs: Pairs, n: int) -> Int64:
    return pairs.take_best(-pairs.draw, n)
