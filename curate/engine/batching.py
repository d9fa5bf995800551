"""Plans of forward passes of a causal model: the tokens of a pass, and the logits that are wanted. No model here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from curate.engine.token_tree import TokenTree, pack_trees

Int64 = NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """A continuation whose probability is wanted, and its context: at least one token each."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]

    @property
    def input_tokens(self) -> tuple[int, ...]:
        """The tokens that the model must read: all but the last one, whose successor nobody asks for."""
        return self.context + self.continuation[:-1]


@dataclass(frozen=True, slots=True)
class Readout:
    """The logits of one target: token `tokens[i]` of its continuation is read in flat row `rows[i]`."""

    number: int
    rows: Int64
    tokens: Int64


@dataclass(frozen=True, slots=True)
class ForwardPass:
    """One forward pass over S sequences of length L.

    | field              | type      | meaning |
    | ---                | ---       | --- |
    | `ids`, `positions` | int64[S, L] | tokens and their positions |
    | `mask`             | int64[S, L] | 0 at padding; or bool[1, 1, L, L]: which token sees which |
    | `keep`             | int64 or int | positions whose logits are computed; int: the last so many of each row |
    | `readouts`         | tuple     | rows of those logits, flattened over sequences, that the targets need |
    """

    ids: Int64
    positions: Int64
    mask: NDArray[np.int64] | NDArray[np.bool_]
    keep: Int64 | int
    readouts: tuple[Readout, ...]


def plan_tree_passes(
    targets: Sequence[Target], *, budget: int, attention_cost: float = 0.0
) -> Iterator[ForwardPass]:
    """Yield passes over trees of at most `budget` tokens, which hold common beginnings once.

    Args:
        targets: Continuations with their contexts.
        budget: Tokens of a pass.
        attention_cost: See `pack_trees`.
    """
    by_input = _group_by_input(targets)
    sequences = list(by_input)
    for tree in pack_trees(sequences, budget=budget, attention_cost=attention_cost):
        yield _build_tree_pass(
            tree, [(by_input[sequences[index]], path) for index, path in tree.paths.items()], targets
        )


def _build_tree_pass(
    tree: TokenTree, paths: list[tuple[list[int], Int64]], targets: Sequence[Target]
) -> ForwardPass:
    ends = {number: path[len(targets[number].context) - 1 :] for numbers, path in paths for number in numbers}
    keep = np.unique(np.concatenate(list(ends.values())))
    readouts = tuple(
        Readout(number, np.searchsorted(keep, nodes), np.asarray(targets[number].continuation, np.int64))
        for number, nodes in ends.items()
    )
    return ForwardPass(tree.tokens[None], tree.depths[None], tree.build_mask()[None, None], keep, readouts)


def plan_padded_passes(targets: Sequence[Target], *, budget: int) -> Iterator[ForwardPass]:
    """Yield passes of at most `budget` tokens, padding included, with one row per sequence of tokens.

    Sequences of like length go together. Padding is on the left, so that all last tokens stand in one column;
    positions do not count it.
    """
    by_input = _group_by_input(targets)
    for batch in split_batches(list(by_input), budget=budget):
        numbers = [(row, number) for row, sequence in enumerate(batch) for number in by_input[sequence]]
        keep = max(len(targets[number].continuation) for _, number in numbers)
        ids, mask = pad_rows_left(batch)
        readouts = tuple(
            Readout(
                number,
                np.arange((row + 1) * keep - len(targets[number].continuation), (row + 1) * keep),
                np.asarray(targets[number].continuation, np.int64),
            )
            for row, number in numbers
        )
        yield ForwardPass(ids, (mask.cumsum(1) - 1).clip(0), mask, keep, readouts)


def split_batches(sequences: Sequence[tuple[int, ...]], *, budget: int) -> Iterator[list[tuple[int, ...]]]:
    """Yield sequences in batches of like length, longest first, of at most `budget` tokens when padded."""
    batch: list[tuple[int, ...]] = []
    for sequence in sorted(sequences, key=lambda tokens: (-len(tokens), tokens)):
        if batch and (len(batch) + 1) * len(batch[0]) > budget:
            yield batch
            batch = []
        batch.append(sequence)
    if batch:
        yield batch


def cut_batches(items: Iterable[tuple[int, T]], *, budget: int, overhead: int = 0) -> Iterator[list[T]]:
    """Yield neighbouring items in batches of at most `budget` tokens, or of one item.

    Args:
        items: Items, each after its number of tokens.
        budget: Tokens of a batch.
        overhead: Tokens that each batch has beside those of its items.
    """
    batch: list[T] = []
    size = overhead
    for tokens, item in items:
        if batch and size + tokens > budget:
            yield batch
            batch, size = [], overhead
        batch.append(item)
        size += tokens
    if batch:
        yield batch


def pad_rows_left(rows: Sequence[Sequence[int]]) -> tuple[Int64, Int64]:
    """Return token ids and mask, int64[rows, longest] each; padding is token 0 with mask 0, on the left."""
    length = max(map(len, rows))
    ids, mask = np.zeros((len(rows), length), np.int64), np.zeros((len(rows), length), np.int64)
    for number, row in enumerate(rows):
        ids[number, length - len(row) :], mask[number, length - len(row) :] = row, 1
    return ids, mask


def _group_by_input(targets: Sequence[Target]) -> dict[tuple[int, ...], list[int]]:
    """Return the targets (by number) of each input. Choices of one token each share all that the model must read."""
    numbers: dict[tuple[int, ...], list[int]] = {}
    for number, target in enumerate(targets):
        numbers.setdefault(target.input_tokens, []).append(number)
    return numbers
