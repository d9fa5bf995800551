"""Majority: the share of the votes that each side of a pair has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.graph.tally import PairTally, tally_pairs
from curate.aggregate.votes import Float64, Votes
from curate.core.errors import CurateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Majority:
    """`p_a` float64[E] is the probability that a is better, for each pair of `tally`."""

    tally: PairTally
    p_a: Float64


def build_majority(
    votes: Votes,
    *,
    weight: Float64 | None = None,
    smoothing: float = 1.0,
    soft: bool = False,
    threads: int | None = None,
) -> Majority:
    """Weighted majority per pair, a tie counting half for each side.

    p_a = (w_a + w_tie / 2 + s) / (w_a + w_b + w_tie + 2 s), the posterior mean of the share under a Beta(s,
    s) prior. The default s = 1 (Laplace) turns a lone vote into 2/3, three of three into 4/5. With s = 0 it
    is the bare share, and 1/2 where all weights are zero. `weight` and `soft` are those of `tally`.
    """
    if not smoothing >= 0.0:
        raise CurateError(f"majority: smoothing is {smoothing}; give a number that is not negative.")
    counted = tally_pairs(votes, weight=weight, soft=soft, threads=threads)
    for_a = counted.weight_a + 0.5 * counted.weight_tie + smoothing
    total = counted.weight_a + counted.weight_b + counted.weight_tie + 2.0 * smoothing
    return Majority(
        tally=counted, p_a=np.divide(for_a, total, out=np.full(len(total), 0.5), where=total > 0.0)
    )
