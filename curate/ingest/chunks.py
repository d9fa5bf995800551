"""Chunks of a stream of rows, whose boundaries depend on the rows alone.

A chunk is the unit of commit, so a run that was killed finds by number which chunks it need not repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from curate.core.errors import CurateError
from curate.ingest.rejection import Rejection

CHUNK_BYTES = 64 << 20  # a chunk of huge rows is closed early, so that memory stays bounded

ReadRow = bytes | dict[str, Any] | Rejection
"""A line, a row of a table, or a row that was rejected while it was read."""


@dataclass(slots=True)
class Chunk:
    """Rows in file order, each with its 1-based number, all at `start` or later; `last`: nothing follows."""

    index: int
    start: int
    numbers: list[int] = field(default_factory=list)
    rows: list[ReadRow] = field(default_factory=list)
    last: bool = False


def cut_chunks(rows: Iterable[tuple[int, ReadRow]], *, size: int) -> Iterator[Chunk]:
    """Cut rows into at least one chunk and mark the last. A stream that fails first gives the rows that it had."""
    chunk, weight = Chunk(0, 1), 0
    try:
        for number, row in rows:
            if len(chunk.rows) >= size or weight >= CHUNK_BYTES:
                yield chunk
                chunk, weight = Chunk(chunk.index + 1, number), 0
            chunk.numbers.append(number)
            chunk.rows.append(row)
            weight += len(row) if isinstance(row, bytes) else _count_characters(row)
    except CurateError:
        if chunk.rows:
            yield chunk
        raise
    chunk.last = True
    yield chunk


def _count_characters(value: object) -> int:
    """Count the characters of a row of a table: about the memory that it takes."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_count_characters, value.values()))
    return sum(map(_count_characters, value)) if isinstance(value, list) else 8
