"""People who name the loser of the judges where other people name the winner: most likely a and b were swapped."""

from __future__ import annotations

import numpy as np

from curate.aggregate.votes import Votes
from curate.stats.coins import compute_tail

LEVEL = 0.01
"""Chance that somebody who guesses is named, over all people."""


def find_reversed_people(votes: Votes) -> list[tuple[str, int, int]]:
    """Find people who contradict the majority of the judges far more often than chance, while the other people agree.

    Overlap among people is not needed, and nobody's weight changes: whoever contradicts the judges may be right. Where
    people contradict them all alike, the judges are wrong, and nobody is named.

    Args:
        votes: The votes of judges and people.

    Returns:
        Name, pairs on which the person agrees with the majority, and pairs on which both took a side.
    """
    rows = votes.human_rows[votes.outcome[votes.human_rows] != 0]
    people = np.unique(votes.annotator[rows])
    if len(people) < 2:
        return []
    pairs, index = np.unique(votes.pair_keys(rows), return_inverse=True)
    keys = votes.pair_keys(~votes.human[votes.annotator])
    place = np.minimum(np.searchsorted(pairs, keys), len(pairs) - 1)
    is_known = pairs[place] == keys
    outcome = votes.outcome[~votes.human[votes.annotator]]
    net = np.bincount(place[is_known], outcome[is_known], minlength=len(pairs))[index]
    size = len(votes.annotators)
    both = np.bincount(votes.annotator[rows][net != 0], minlength=size)
    agree = np.bincount(votes.annotator[rows][net * votes.outcome[rows] > 0], minlength=size)
    named = []
    for person in people.tolist():
        n, right = int(both[person]), int(agree[person])
        others, theirs = int(both.sum()) - n, int(agree.sum()) - right
        if compute_tail(right, n) < LEVEL / len(people) and compute_tail(others - theirs, others) < LEVEL:
            named.append((votes.annotators[person], right, n))
    return named
