"""The pairs whose label is likeliest to be wrong: the lowest confidence first (Lewis & Gale 1994)."""

from __future__ import annotations

from curate.verify.routing.pairs import Int64, Pairs


def choose(pairs: Pairs, n: int) -> Int64:
    return pairs.take_best(-pairs.confidence, n)
