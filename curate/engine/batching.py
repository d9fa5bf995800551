"""Which tokens go through a causal model together, and which of its logits are wanted: plain arrays, no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.engine.token_tree import TokenTree, pack_trees

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Target:
    """Tokens (at least one each) whose probability is wanted, behind a context."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]

    @property
    def input_tokens(self) -> tuple[int, ...]:
        """What the model must read: nobody asks what follows the last token."""
        return self.context + self.continuation[:-1]


@dataclass(frozen=True, slots=True)
class Readout:
    """The wanted continuation of target `number`: token `tokens[i]` by the logits in flat row `rows[i]`."""

    number: int
    rows: Int64
    tokens: Int64


@dataclass(frozen=True, slots=True)
class ForwardPass:
    """One forward pass. The logits are those of the positions `keep` (of each sequence; an int: the last so many),
    flattened over sequences, and that is what the rows of `picks` count.

    `ids`, `positions`: int64[sequences, length]; `mask`: int64[sequences, length] where padding is 0, or
    bool[1, 1, length, length] saying which token sees which.
    """

    ids: Int64
    positions: Int64
    mask: NDArray[np.int64] | NDArray[np.bool_]
    keep: Int64 | int
    picks: tuple[Readout, ...]


def plan_tree_passes(
    targets: Sequence[Target], *, budget: int, attention_cost: float = 0.0
) -> Iterator[ForwardPass]:
    """Common beginnings once: trees of at most `budget` tokens (see `pack`)."""
    wanted = _group_by_input(targets)
    sequences = list(wanted)
    for tree in pack_trees(sequences, budget=budget, attention_cost=attention_cost):
        yield _build_tree_pass(
            tree, [(wanted[sequences[at]], path) for at, path in tree.paths.items()], targets
        )


def _build_tree_pass(
    tree: TokenTree, jobs: list[tuple[list[int], Int64]], targets: Sequence[Target]
) -> ForwardPass:
    ends = {number: path[len(targets[number].context) - 1 :] for numbers, path in jobs for number in numbers}
    keep = np.unique(np.concatenate(list(ends.values())))
    picks = tuple(
        Readout(number, np.searchsorted(keep, nodes), np.asarray(targets[number].continuation, np.int64))
        for number, nodes in ends.items()
    )
    return ForwardPass(tree.tokens[None], tree.depths[None], tree.build_mask()[None, None], keep, picks)


def plan_padded_passes(targets: Sequence[Target], *, budget: int) -> Iterator[ForwardPass]:
    """One row per sequence, those of like length together; at most `budget` tokens with padding.

    Padding is on the left, so that all last tokens stand in one column, and positions do not count it.
    """
    wanted = _group_by_input(targets)
    for lot in split_batches(list(wanted), budget=budget):
        numbers = [(row, number) for row, sequence in enumerate(lot) for number in wanted[sequence]]
        keep = max(len(targets[number].continuation) for _, number in numbers)
        ids, mask = pad_left(lot)
        picks = tuple(
            Readout(
                number,
                np.arange((row + 1) * keep - len(targets[number].continuation), (row + 1) * keep),
                np.asarray(targets[number].continuation, np.int64),
            )
            for row, number in numbers
        )
        yield ForwardPass(ids, (mask.cumsum(1) - 1).clip(0), mask, keep, picks)


def split_batches(sequences: Sequence[tuple[int, ...]], *, budget: int) -> Iterator[list[tuple[int, ...]]]:
    """Sequences in groups of like length, longest first, each of at most `budget` tokens when padded."""
    lot: list[tuple[int, ...]] = []
    for sequence in sorted(sequences, key=lambda each: (-len(each), each)):
        if lot and (len(lot) + 1) * len(lot[0]) > budget:
            yield lot
            lot = []
        lot.append(sequence)
    if lot:
        yield lot


def pad_left(rows: Sequence[Sequence[int]]) -> tuple[Int64, Int64]:
    """Token ids and mask, int64[rows, longest]; padding is token 0 and mask 0, on the left."""
    length = max(map(len, rows))
    ids, mask = np.zeros((len(rows), length), np.int64), np.zeros((len(rows), length), np.int64)
    for at, row in enumerate(rows):
        ids[at, length - len(row) :], mask[at, length - len(row) :] = row, 1
    return ids, mask


def _group_by_input(targets: Sequence[Target]) -> dict[tuple[int, ...], list[int]]:
    """Choices of one token each share all that the model must read."""
    found: dict[tuple[int, ...], list[int]] = {}
    for number, target in enumerate(targets):
        found.setdefault(target.input_tokens, []).append(number)
    return found
