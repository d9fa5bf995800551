"""The first rows of an input, as objects, without a look at what its format needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from curate.config.ingest import Source
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.ingest.chunks import ReadRow
from curate.ingest.decoders import decode_object
from curate.ingest.inputs import Input, locate_inputs
from curate.ingest.rejection import Rejection, RowError

SAMPLE_ROWS = 200
_SAMPLE_BYTES = 16 << 20
_COUNTED_BYTES = 128 << 20  # of a file whose rows are counted to say how many there are


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of an input from its beginning.

    Attributes:
        item: The input.
        read: The rows as they were read, with their numbers: what decoders take.
        rows: The objects among them.
        broken: Reasons of those that are no objects → how many.
        complete: The input has no further rows.
    """

    item: Input
    read: tuple[tuple[int, ReadRow], ...]
    rows: tuple[Mapping[str, Any], ...]
    broken: Mapping[str, int]
    complete: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, in the order in which they come."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row))

    def limit_input(self) -> Input:
        """Return the input as if it ended with the sample."""
        return replace(self.item, read=lambda: iter(self.read), blocks=None)


def read_sample(item: Input, *, size: int = SAMPLE_ROWS) -> Sample:
    """Read the first rows of an input; a table's columns are checked against the input's format.

    Raises:
        CurateError: Not one row can be read; damage further on is said when the input is taken in.
    """
    read: list[tuple[int, ReadRow]] = []
    rows: list[Mapping[str, Any]] = []
    broken: Counter[str] = Counter()
    weight, complete = 0, True
    stream: Iterator[tuple[int, ReadRow]] = item.read()
    try:
        for number, raw in stream:
            if len(read) >= size or weight >= _SAMPLE_BYTES:
                complete = False
                break
            read.append((number, raw))
            weight += len(raw) if isinstance(raw, bytes) else 1
            try:
                if isinstance(raw, Rejection):
                    broken[raw.reason] += 1
                else:
                    rows.append(decode_object(raw))
            except RowError as error:
                broken[error.reason] += 1
    except CurateError:
        if not read:
            raise
        complete = False
    return Sample(item, tuple(read), tuple(rows), broken, complete)


def locate_without_format(source: Source, config: Config) -> list[Input]:
    """Return the inputs of a source of which no format is known yet, so that no columns are missing."""
    return locate_inputs(source.model_copy(update={"format": "auto", "fields": None}), config)


def locate_same(item: Input, source: Source, config: Config) -> Input:
    """Return the input of another source that is the same file or split."""
    matches = [other for other in locate_inputs(source, config) if other.part == item.part]
    return matches[0]


def count_rows(item: Input, config: Config) -> int | None:
    """Count the rows of an input where that is quick, else return None."""
    if item.total is not None:
        return item.total
    path: Path = config.resolve(item.part.partition("#")[0])
    try:
        if not path.is_file() or path.stat().st_size > _COUNTED_BYTES:
            return None
        return sum(1 for _ in islice(item.read(), 10_000_000))
    except (CurateError, OSError):
        return None
