"""The pairs whose votes the prompt's denoised order overrules, the heaviest evidence first."""

from __future__ import annotations

from curate.verify.routing.pairs import Int64, Pairs


def choose(pairs: Pairs, n: int) -> Int64:
    return pairs.take_best(pairs.dropped_weight, n, among=pairs.dropped_weight > 0)
