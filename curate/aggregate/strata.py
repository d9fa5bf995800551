"""Strata of pairs, fixed before anybody looks at people's verdicts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from curate.aggregate.by_pair import one_vote_a_pair
from curate.aggregate.graph.tally import PairTally, tally_pairs
from curate.aggregate.posterior import index_of_pairs, pair_ids
from curate.aggregate.votes import Int64, Votes

ALL = "all"
AGREEMENT = ("judges unanimous", "most judges agree", "judges divided")
NO_CATEGORY = "(none)"


def group_all(pairs: PairTally) -> tuple[Int64, tuple[str, ...]]:
    """Put all pairs into one stratum."""
    return np.zeros(len(pairs), np.int64), (ALL,)


def group_by_agreement(votes: Votes, pairs: PairTally) -> tuple[Int64, tuple[str, ...]]:
    """Group pairs by the judges' agreement, one vote each: all for one side, at least three in four, or fewer."""
    weight = np.where(votes.human, 0.0, one_vote_a_pair(votes))
    judges = tally_pairs(votes, weight=weight)
    total = judges.weight_a + judges.weight_b + judges.weight_tie
    lean = np.abs(judges.weight_a - judges.weight_b) / np.maximum(total, 1e-12)
    stratum = np.full(len(pairs), 2)
    stratum[index_of_pairs(pair_ids(judges), pairs)] = np.select(
        [lean > 1 - 1e-9, lean >= 0.5 - 1e-9], [0, 1], 2
    )
    return stratum, AGREEMENT


def group_by_category(
    category: Mapping[str, str], prompt_ids: pa.Array, pairs: PairTally
) -> tuple[Int64, tuple[str, ...]]:
    """Group pairs by the category of their prompt, by prompt id."""
    categories = [category.get(prompt, NO_CATEGORY) for prompt in prompt_ids.to_pylist()]
    names, stratum = np.unique(np.array(categories, dtype=object).astype(str), return_inverse=True)
    return stratum[pairs.prompt].astype(np.int64), tuple(names.tolist())
