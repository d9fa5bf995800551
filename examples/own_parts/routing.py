"""A routing strategy of one's own: ask first about pairs on which the judges are evenly split.

Named in curate.yaml, beside this file:

    verify:
      plan:
        mix:
          uncertainty: 0.5                                  # a strategy of the package, with its share
          ./routing.py:SplitVotes: {share: 0.5, judges: 3}  # this one, with an option
"""

import numpy as np
from pydantic import Field

from curate.core.section import Section
from curate.verify.routing.base import RoutingStrategy
from curate.verify.routing.pairs import Int64, Pairs


class SplitVotesOptions(Section):
    judges: int = Field(2, ge=1, description="Only pairs on which at least so many judges voted.")


class SplitVotes(RoutingStrategy):
    Options = SplitVotesOptions

    def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
        voters = np.count_nonzero(pairs.votes, axis=1)
        balance = -np.abs(pairs.votes.sum(axis=1)) / np.maximum(voters, 1)  # 0: as many for a as for b
        return pairs.take_best(balance, n, among=voters >= self.options.judges)
