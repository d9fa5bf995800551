"""Token sequences with common beginnings, packed into trees so that each beginning is computed once.

The twelve questions that a judge asks about four responses differ only after their first response. As a tree
they hold about half the tokens. A tree goes through a decoder as one sequence: each token sees its ancestors
only (attention mask), and its position is its depth (tree attention, as in Miao et al. 2024, "SpecInfer", §4.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenTree:
    """A tree of n tokens, parents before children.

    | field     | type     | meaning |
    | ---       | ---      | --- |
    | `tokens`  | int64[n] | token of each node |
    | `parents` | int64[n] | parent of each node; -1 at a root |
    | `depths`  | int64[n] | depth of each node |
    | `paths`   | dict     | index of a packed sequence → int64[length], the nodes on its path |
    """

    tokens: Int64
    parents: Int64
    depths: Int64
    paths: dict[int, Int64]

    def __len__(self) -> int:
        return len(self.tokens)

    def build_mask(self, window: int | None = None) -> NDArray[np.bool_]:
        """Return bool[n, n]: node i attends to node j, which is itself or an ancestor (at most `window` − 1 up)."""
        mask = np.zeros((len(self), len(self)), np.bool_)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                mask[node] = mask[parent]
            mask[node, node] = True
        if window is not None:
            mask &= self.depths[:, None] - self.depths[None, :] < window
        return mask


_OVERHEAD = (
    16.0  # what a pass costs beside its tokens, in tokens (measured on a CPU; a GPU packs to the budget)
)


def pack_trees(
    sequences: Sequence[tuple[int, ...]], *, budget: int, attention_cost: float = 0.0
) -> list[TokenTree]:
    """Pack sequences into trees of at most `budget` nodes each (more only where one sequence alone is longer).

    A pass over n tokens costs n + `attention_cost` · n² (attention looks at all pairs, and kernels compute masked ones
    too), so a sequence joins a tree only where what they share is worth more than the larger square. Sequences are
    taken in sorted order, where neighbours share the longest beginnings; the result depends on nothing but the set.

    Args:
        sequences: Tokens of each sequence.
        budget: Most nodes of a tree.
        attention_cost: Cost of attending to one token, in units of what a token costs otherwise.
    """
    order = sorted(range(len(sequences)), key=lambda index: sequences[index])
    trees: list[TokenTree] = []
    batch: list[int] = []
    size = 0
    previous: tuple[int, ...] = ()
    for index in order:
        tokens = sequences[index]
        fresh = len(tokens) - _count_common(previous, tokens)
        joined = fresh + attention_cost * fresh * (2 * size + fresh)
        alone = len(tokens) + attention_cost * len(tokens) ** 2 + _OVERHEAD
        if batch and (size + fresh > budget or joined > alone):
            trees.append(_build_tree(sequences, batch))
            batch, size, fresh = [], 0, len(tokens)
        batch.append(index)
        size, previous = size + fresh, tokens
    if batch:
        trees.append(_build_tree(sequences, batch))
    return trees


def _count_common(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    length = 0
    for first, second in zip(left, right, strict=False):
        if first != second:
            break
        length += 1
    return length


def _build_tree(sequences: Sequence[tuple[int, ...]], batch: Iterable[int]) -> TokenTree:
    tokens: list[int] = []
    parents: list[int] = []
    depths: list[int] = []
    paths: dict[int, Int64] = {}
    previous: tuple[int, ...] = ()
    path: list[int] = []
    for index in batch:
        sequence = sequences[index]
        path = path[: _count_common(previous, sequence)]
        for depth in range(len(path), len(sequence)):
            parents.append(path[-1] if path else -1)
            path.append(len(tokens))
            tokens.append(sequence[depth])
            depths.append(depth)
        paths[index] = np.asarray(path, np.int64)
        previous = sequence
    return TokenTree(
        np.asarray(tokens, np.int64), np.asarray(parents, np.int64), np.asarray(depths, np.int64), paths
    )
