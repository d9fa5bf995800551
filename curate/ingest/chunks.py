"""Chunks of a stream of rows, whose boundaries depend on the rows alone.

A chunk is the unit of commit, so a run that was killed finds by number which chunks it need not repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from curate.core.errors import CurateError
from curate.ingest.line_blocks import LineBlock
from curate.ingest.rejection import Rejection

CHUNK_BYTES = 64 << 20  # a chunk of huge rows is closed early, so that memory stays bounded

ReadRow = bytes | dict[str, Any] | Rejection
"""A line, a row of a table, or a row that was rejected while it was read."""


@dataclass(frozen=True, slots=True)
class RowList:
    """Rows in file order, each with its 1-based number."""

    numbers: list[int] = field(default_factory=list)
    rows: list[ReadRow] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(slots=True)
class Chunk:
    """Pieces of rows in file order, all with a number of `start` or more; `last`: nothing follows."""

    index: int
    start: int
    pieces: list[RowList | LineBlock] = field(default_factory=list)
    last: bool = False

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    @property
    def end(self) -> int:
        """The number of the last row."""
        return int(self.pieces[-1].numbers[-1]) if self.pieces else self.start


def cut_chunks(rows: Iterable[tuple[int, ReadRow]], *, size: int) -> Iterator[Chunk]:
    """Cut rows into at least one chunk and mark the last. A stream that fails first gives the rows that it had."""
    return _cut_pieces((RowList([number], [row]) for number, row in rows), size=size)


def cut_line_chunks(lines: Iterable[LineBlock | Rejection], *, size: int) -> Iterator[Chunk]:
    """Cut lines into chunks with the same boundaries as those of `cut_chunks`."""
    return _cut_pieces(
        (RowList([item.line], [item]) if isinstance(item, Rejection) else item for item in lines), size=size
    )


def _cut_pieces(pieces: Iterable[RowList | LineBlock], *, size: int) -> Iterator[Chunk]:
    """Cut pieces into chunks; a list of rows is one row."""
    chunk, count, weight = Chunk(0, 1), 0, 0
    try:
        for piece in pieces:
            while len(piece):
                if count >= size or weight >= CHUNK_BYTES:
                    yield chunk
                    chunk, count, weight = Chunk(chunk.index + 1, int(piece.numbers[0])), 0, 0
                taken: RowList | LineBlock
                if isinstance(piece, RowList):
                    taken, piece = piece, RowList()
                    weight += _weigh_row(taken.rows[0])
                else:
                    weights = weight + np.cumsum(piece.ends - piece.starts)
                    fitting = int(np.searchsorted(weights, CHUNK_BYTES)) + 1
                    cut = min(len(piece), size - count, fitting)
                    taken, piece = piece.cut(0, cut), piece.cut(cut, len(piece))
                    weight = int(weights[cut - 1])
                count += len(taken)
                _add_piece(chunk, taken)
    except CurateError:
        if count:
            yield chunk
        raise
    chunk.last = True
    yield chunk


def _add_piece(chunk: Chunk, piece: RowList | LineBlock) -> None:
    """Add rows to a chunk: those of a list join the list before them."""
    last = chunk.pieces[-1] if chunk.pieces else None
    if isinstance(piece, RowList) and isinstance(last, RowList):
        last.numbers.extend(piece.numbers)
        last.rows.extend(piece.rows)
    else:
        chunk.pieces.append(piece)


def list_rows(pieces: Iterable[RowList | LineBlock]) -> Iterator[tuple[int, ReadRow]]:
    """Yield the rows of pieces with their numbers."""
    for piece in pieces:
        numbers = piece.numbers if isinstance(piece.numbers, list) else piece.numbers.tolist()
        yield from zip(numbers, piece.rows, strict=True)


def _weigh_row(row: ReadRow) -> int:
    return len(row) if isinstance(row, bytes) else _count_characters(row)


def _count_characters(value: object) -> int:
    """Count the characters of a row of a table: about the memory that it takes."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_count_characters, value.values()))
    return sum(map(_count_characters, value)) if isinstance(value, list) else 8
