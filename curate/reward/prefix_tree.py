"""Token sequences as a tree in one row: whatever several of them begin with stands there once.

A token sees itself and what stands before it in its own sequence, so its hidden state is that of the sequence alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

Tokens = Sequence[int]
Ranges = tuple[tuple[int, int], ...]
"""Indices in the row, (start, end) each, in the order of a sequence."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive tokens of the row that see each other causally, and all of `path` before them.

    Attributes:
        start: Index of the first token.
        length: Number of tokens.
        path: Where the tokens stand that come before these in their sequences.
    """

    start: int
    length: int
    path: Ranges = ()

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def depth(self) -> int:
        """Number of tokens on the path, which is the position of the first token."""
        return sum(end - start for start, end in self.path)


@dataclass(frozen=True, slots=True)
class PrefixTree:
    """A row of tokens: its segments cover it without gaps, and `sequences[i]` says where sequence i stands in it."""

    tokens: tuple[int, ...]
    segments: tuple[Segment, ...]
    sequences: tuple[Ranges, ...]

    def __len__(self) -> int:
        return len(self.tokens)

    def find_node(self, sequence: int, depth: int) -> int:
        """Return the index in the row of token number `depth` of a sequence."""
        for start, end in self.sequences[sequence]:
            if depth < end - start:
                return start + depth
            depth -= end - start
        raise IndexError(f"sequence {sequence} has no such token")


def build_prefix_tree(sequences: Sequence[Tokens], *, share: bool = True) -> PrefixTree:
    """Build the tree of some sequences; branches stand in the order in which they first come.

    Args:
        sequences: Each at least one token.
        share: Share beginnings; False: every sequence stands alone.
    """
    rows = [tuple(sequence) for sequence in sequences]
    tokens: list[int] = []
    segments: list[Segment] = []
    ranges: list[Ranges] = [()] * len(rows)
    whole = list(range(len(rows)))
    pending: list[tuple[list[int], int, Ranges]] = (
        [(whole, 0, ())] if share else [([member], 0, ()) for member in reversed(whole)]
    )
    while pending:
        members, depth, path = pending.pop()
        # Of sequences with a common beginning the least and the greatest have the shortest in common.
        least, greatest = (rows[pick(members, key=rows.__getitem__)] for pick in (min, max))
        shared = depth + count_common(least[depth:], greatest[depth:])
        if shared > depth:
            start, length = len(tokens), shared - depth
            tokens += rows[members[0]][depth:shared]
            segments.append(Segment(start, length, path))
            path = _append_range(path, start, start + length)
        branches: dict[int, list[int]] = {}
        for member in members:
            if len(rows[member]) == shared:
                ranges[member] = path
            else:
                branches.setdefault(rows[member][shared], []).append(member)
        pending += [(branch, shared, path) for branch in reversed(branches.values())]
    return PrefixTree(tuple(tokens), tuple(segments), tuple(ranges))


def count_tree_tokens(sequences: Sequence[Tokens]) -> int:
    """Count the tokens of the tree of some sequences."""
    return len(build_prefix_tree(sequences))


def count_common(one: Tokens, other: Tokens) -> int:
    """Return the length of the common beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _append_range(path: Ranges, start: int, end: int) -> Ranges:
    """Append a range; one that goes on where the last one ends makes it longer."""
    if path and path[-1][1] == start:
        return (*path[:-1], (path[-1][0], end))
    return (*path, (start, end))
