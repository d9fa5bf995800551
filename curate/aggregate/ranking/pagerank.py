"""PageRank of a tournament: a model is good if good models lose to it."""

from __future__ import annotations

import numpy as np

from curate.aggregate.ranking.tournament import Tournament
from curate.aggregate.votes import Float64
from curate.core.errors import CurateError


def compute_pagerank(
    cells: Tournament, *, damping: float = 0.85, tolerance: float = 1e-10, most_steps: int = 1000
) -> Float64:
    """float64[M], summing to 1 (Page et al. 1999).

    Each model hands its rank to those who beat it, in proportion to the weight of the wins; a tie is half a win each
    way, and a model that never lost hands its rank to all alike.
    """
    if not 0.0 <= damping < 1.0:
        raise CurateError(f"pagerank: damping is {damping}; give a number from 0 to below 1.")
    n = cells.models
    loser = np.concatenate((cells.b, cells.a))
    winner = np.concatenate((cells.a, cells.b))
    weight = np.concatenate((cells.wins_a, cells.wins_b)) + 0.5 * np.tile(cells.ties, 2)
    given = np.bincount(loser, weight, n)
    share = np.divide(weight, given[loser], out=np.zeros(len(weight)), where=given[loser] > 0.0)
    rank = np.full(n, 1.0 / n)
    for _ in range(most_steps):
        handed = np.bincount(winner, share * rank[loser], n) + rank[given == 0.0].sum() / n
        renewed = damping * handed + (1.0 - damping) / n
        moved = np.abs(renewed - rank).sum()
        rank = renewed
        if moved < tolerance:
            break
    return rank
