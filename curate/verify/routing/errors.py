"""Error-driven retrieval: the neighbours of what the reward model gets wrong (Skywork-Reward-V2, arXiv 2507.01352).

With p the model's probability of the people's verdict on a pair, the pair calls for its k nearest neighbours in
embedding space: k = 8 if p ≤ ½, else ⌈8 (1 - p)⌉. The worst errors' nearest neighbours come first. Where there is no
reward model, the panel is held against people instead.
"""

from __future__ import annotations

import numpy as np

from curate.verify.routing.pairs import Float64, Int64, Pairs

MOST_NEIGHBOURS = 8
_AT_ONCE = 1 << 24  # similarities held in memory at once


def choose(pairs: Pairs, n: int) -> Int64:
    right = _estimate_verdict_probability(pairs)
    known = np.flatnonzero(~np.isnan(right))
    candidates = np.flatnonzero(pairs.is_open)
    if pairs.pair_embedding.shape[1] == 0 or len(known) == 0 or len(candidates) == 0:
        return np.zeros(0, np.int64)
    known = known[np.lexsort((pairs.draw[known], right[known]))]
    called: dict[int, None] = {}  # in the order of first mention
    size = max(_AT_ONCE // len(candidates), 1)
    for start in range(0, len(known), size):
        block = known[start : start + size]
        nearness = pairs.pair_embedding[block] @ pairs.pair_embedding[candidates].T
        for row, pair in enumerate(block):
            nearest = np.lexsort((pairs.draw[candidates], -nearness[row]))[: count_neighbours(right[pair])]
            called |= dict.fromkeys(candidates[nearest].tolist())
            if len(called) >= n:
                return np.array(list(called)[:n], np.int64)
    return np.array(list(called), np.int64)


def count_neighbours(p: float) -> int:
    """How many neighbours a pair calls for whose verdict the model gives probability `p`."""
    return MOST_NEIGHBOURS if p <= 0.5 else int(np.ceil(MOST_NEIGHBOURS * (1 - p)))


def _estimate_verdict_probability(pairs: Pairs) -> Float64:
    """float64[Q]; NaN where people have not answered or called a tie.

    The panel's own probability is of no use here once people's word has replaced it, so without a reward model the
    judges' mean vote stands for it.
    """
    said = np.where(pairs.human_verdict == 0, np.nan, pairs.human_verdict)
    opinion = pairs.votes.mean(axis=1) if pairs.votes.shape[1] else np.full(len(pairs), np.nan)
    p_a = np.where(np.isnan(pairs.reward_p_a), (1 + opinion) / 2, pairs.reward_p_a)
    right: Float64 = np.where(said > 0, p_a, 1 - p_a) + 0 * said
    return right
