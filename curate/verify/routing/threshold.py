"""The strategy `threshold`: the pairs nearest to the confidence from which labels are accepted.

Their labels move the threshold. A pair far above it is accepted anyway, and a pair far below is not. Where there is
no threshold yet, this strategy chooses nothing.
"""

from __future__ import annotations

import numpy as np

from curate.verify.routing.base import RoutingStrategy
from curate.verify.routing.pairs import Int64, Pairs


class Threshold(RoutingStrategy):
    """Chooses pairs by the distance of their confidence to the threshold."""

    def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
        if not np.isfinite(pairs.threshold):
            return np.zeros(0, np.int64)
        return pairs.take_best(-np.abs(pairs.confidence - pairs.threshold), n)
