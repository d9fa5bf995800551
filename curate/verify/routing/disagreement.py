"""The pairs on which judges contradict each other most, whatever the model makes of it.

Vote entropy (Dagan & Engelson 1995) of the share of judges for a, times the share of judges that said
something: two judges against two are a louder disagreement than one against one.
"""

from __future__ import annotations

import numpy as np

from curate.verify.routing.pairs import Float64, Int64, Pairs


def choose(pairs: Pairs, n: int) -> Int64:
    score = compute_entropy(pairs)
    return pairs.take_best(score, n, among=score > 0)


def compute_entropy(pairs: Pairs) -> Float64:
    """float64[Q], 0 … log 2."""
    if pairs.votes.shape[1] == 0:
        return np.zeros(len(pairs))
    said = np.abs(pairs.votes)
    size = said.sum(axis=1)
    share = np.maximum(pairs.votes, 0).sum(axis=1) / np.maximum(size, 1e-12)
    p = np.clip(share, 1e-12, 1 - 1e-12)
    heard: Float64 = np.mean(said > 0, axis=1)
    return np.where(size > 0, -(p * np.log(p) + (1 - p) * np.log1p(-p)) * heard, 0.0).round(9)
