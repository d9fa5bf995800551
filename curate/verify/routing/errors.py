"""The strategy `errors`: the neighbours of pairs that the reward model gets wrong.

Source: Skywork-Reward-V2 (arXiv 2507.01352).

Let p be the model's probability of the people's verdict on a pair. The pair calls for its k nearest neighbours in
embedding space: k = 8 if p ≤ ½, else ⌈8 (1 - p)⌉. The nearest neighbours of the worst errors come first. Where there
is no reward model, the panel is compared with people instead.
"""

from __future__ import annotations

import numpy as np

from curate.verify.routing.base import RoutingStrategy
from curate.verify.routing.pairs import Float64, Int64, Pairs

MOST_NEIGHBOURS = 8
_MOST_SIMILARITIES = 1 << 24  # held in memory at once


class Errors(RoutingStrategy):
    """Chooses the open neighbours of the model's errors."""

    reads_embeddings = True

    def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
        p_verdict = _estimate_verdict_probability(pairs)
        answered = np.flatnonzero(~np.isnan(p_verdict))
        candidates = np.flatnonzero(pairs.is_open)
        if pairs.pair_embedding.shape[1] == 0 or len(answered) == 0 or len(candidates) == 0:
            return np.zeros(0, np.int64)
        answered = answered[np.lexsort((pairs.draw[answered], p_verdict[answered]))]
        chosen: dict[int, None] = {}  # in the order of first mention
        size = max(_MOST_SIMILARITIES // len(candidates), 1)
        for start in range(0, len(answered), size):
            block = answered[start : start + size]
            similarity = pairs.pair_embedding[block] @ pairs.pair_embedding[candidates].T
            for row, pair in enumerate(block):
                order = np.lexsort((pairs.draw[candidates], -similarity[row]))
                nearest = order[: count_neighbours(p_verdict[pair])]
                chosen |= dict.fromkeys(candidates[nearest].tolist())
                if len(chosen) >= n:
                    return np.array(list(chosen)[:n], np.int64)
        return np.array(list(chosen), np.int64)


def count_neighbours(p: float) -> int:
    """Return how many neighbours a pair calls for when the model gives its verdict probability `p`."""
    return MOST_NEIGHBOURS if p <= 0.5 else int(np.ceil(MOST_NEIGHBOURS * (1 - p)))


def _estimate_verdict_probability(pairs: Pairs) -> Float64:
    """Return float64[Q]: the model's probability of people's verdict; NaN where there is none or it is a tie.

    Without a reward model the judges' mean vote is used. The panel's own probability cannot be: it already contains
    the people's verdicts.
    """
    verdict = np.where(pairs.human_verdict == 0, np.nan, pairs.human_verdict)
    mean_vote = pairs.votes.mean(axis=1) if pairs.votes.shape[1] else np.full(len(pairs), np.nan)
    p_a = np.where(np.isnan(pairs.reward_p_a), (1 + mean_vote) / 2, pairs.reward_p_a)
    p_verdict: Float64 = np.where(verdict > 0, p_a, 1 - p_a) + 0 * verdict
    return p_verdict
