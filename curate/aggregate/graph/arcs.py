"""Net evidence per pair: the signed arc weights of a preference graph."""

from __future__ import annotations

import numpy as np

from curate.aggregate.graph.tally import PairTally
from curate.aggregate.votes import Float64

TIE_TOLERANCE = 1e-9
"""Weights this small, relative to the sum they are a difference of, are rounding and not evidence."""


def net_votes(tally: PairTally) -> Float64:
    """float64[E], weight for a minus weight for b; the arc of gain-minus-loss of PGED (arXiv 2410.12869, section 3).

    Positive: an arc from a to b. Exactly 0: no arc, a tie.
    """
    net = tally.weight_a - tally.weight_b
    net[np.abs(net) <= TIE_TOLERANCE * (tally.weight_a + tally.weight_b)] = 0.0
    return net


def log_odds(p: Float64, *, limit: float = 1e-6) -> Float64:
    """log(p / (1 - p)), p clipped to `limit … 1 - limit`; exactly 0 at one half.

    Of a pair's posterior it is the arc weight that makes the minimum feedback arc set the most probable order
    when pairs err independently (Young 1988); of an annotator's accuracy it is the weight of the optimal
    weighted majority (Nitzan and Paroush 1982), negative for an annotator that is wrong more often than
    right.
    """
    clipped = np.clip(np.asarray(p, np.float64), limit, 1.0 - limit)
    odds: Float64 = np.log(clipped) - np.log1p(-clipped)
    odds[np.abs(clipped - 0.5) <= TIE_TOLERANCE] = 0.0
    return odds
