"""The pairs nearest to the confidence from which labels are accepted.

Their labels move the threshold: what lies far above is accepted anyway, what lies far below is not. Without a
threshold yet, chooses nothing.
"""

from __future__ import annotations

import numpy as np

from curate.verify.routing.pairs import Int64, Pairs


def choose(pairs: Pairs, n: int) -> Int64:
    if not np.isfinite(pairs.threshold):
        return np.zeros(0, np.int64)
    return pairs.take_best(-np.abs(pairs.confidence - pairs.threshold), n)
