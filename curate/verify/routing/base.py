"""The contract of a routing strategy: it chooses the pairs that people are asked about."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from curate.core.section import Section
from curate.verify.routing.pairs import Int64, Pairs


class RoutingStrategy(ABC):
    """A strategy of `verify.plan.mix`.

    It must be deterministic: `Pairs.draw` decides what would otherwise be left to chance, so that planning again
    chooses the same pairs.

    Attributes:
        Options: What curate.yaml can set beside the strategy's share.
        reads_embeddings: Whether the strategy reads `Pairs.embedding_difference` or `Pairs.pair_embedding`, which are
            computed only where a strategy of the mix needs them.
    """

    Options: ClassVar[type[Section]] = Section
    reads_embeddings: ClassVar[bool] = False

    def __init__(self, options: Any = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
        """Choose the open pairs whose labels by people are worth most.

        Args:
            pairs: The Q pairs of the pool; only those with `is_open` may be chosen.
            n: Number of questions to ask, at least 1.

        Returns:
            int64[≤ n]: row numbers of `pairs`, best first, each once. Fewer than n where the strategy has no reason
            to ask about more.
        """
