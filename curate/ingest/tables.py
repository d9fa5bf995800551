"""Rows of Parquet files, CSV files, `datasets` folders and hub data sets, as dictionaries with their numbers."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.core.errors import CurateError
from curate.data.json_columns import holds_json, list_rows
from curate.ingest.chunks import ReadRow
from curate.ingest.inflate import DAMAGE, open_bytes
from curate.ingest.rejection import Rejection, shorten_raw

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

ColumnCheck = Callable[[Sequence[str]], None]
"""Check of the column names: raises CurateError where a table lacks columns that its format needs."""

_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # its byte-order marks
_SNIFFED = 64 << 10  # bytes from which the delimiter is found out
_DROPPED = 1 << 20  # characters at a time of a line that is too long
_UNFILLED = frozenset({"Approve", "Reject"})  # last columns of Mechanical Turk's results, to be filled in
_JSON = ("responses", "completions", "meta")  # columns whose text is read as JSON


def count_parquet_rows(path: Path) -> int | None:
    """Count the rows that a Parquet file says it has, or None where it cannot be read."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return None  # `parquet` says what is wrong


def list_parquet_columns(path: Path) -> frozenset[str] | None:
    """List the columns of a Parquet file, or None where it cannot be read."""
    try:
        return list_column_names(pq.read_schema(path))
    except (pa.ArrowException, OSError):
        return None  # `parquet` says what is wrong


def list_column_names(schema: pa.Schema) -> frozenset[str] | None:
    """Names of all columns and of the fields inside them, or None where a column may hold more as JSON."""
    if any(
        holds_json(column.type) or (column.name in _JSON and pa.types.is_string(column.type))
        for column in schema
    ):
        return None
    return frozenset(name for column in schema for name in _walk_names(column))


def _walk_names(column: pa.Field) -> Iterator[str]:
    yield column.name
    for position in range(column.type.num_fields):
        yield from _walk_names(column.type.field(position))


def read_table_rows(
    batches: Iterable[pa.Table], columns: Sequence[str], check: ColumnCheck
) -> Iterator[tuple[int, ReadRow]]:
    """Read the rows of tables, numbered from 1, after a look at their columns."""
    check(columns)
    yield from number_rows(row for batch in batches for row in list_rows(batch))


def number_rows(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[int, ReadRow]]:
    """Number rows from 1, and parse cells that hold nested data as JSON text."""
    for number, row in enumerate(rows, 1):
        yield number, _unfold_cells(number, row)


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """Dialect of a CSV file: its encoding, and the character between cells."""

    encoding: str
    delimiter: str


def sniff_csv(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> CsvDialect:
    """Find out how a CSV file is written, from its first bytes.

    The delimiter is the one by which the first rows have the most cells, and all as many.

    Args:
        path: File, plain or compressed.
        encoding: Its encoding where it is known; default: UTF-16 where the file begins with its mark, else UTF-8.
        delimiter: Its delimiter where it is known.

    Raises:
        CurateError: There is no such encoding, or the file is damaged.
    """
    try:
        with open_bytes(path) as file:
            start = file.read(_SNIFFED)
    except DAMAGE as error:
        raise CurateError(f"{path} is damaged or no archive: {error}.") from error
    if encoding is None:
        encoding = "utf-16" if start.startswith(_UTF16) else "utf-8-sig"
    try:
        text = start.decode(encoding, errors="replace")
    except LookupError:
        raise CurateError(
            f"{path}: there is no encoding {encoding!r}: write one such as utf-8 or cp1252."
        ) from None
    if delimiter is None:
        suffixes = path.suffixes[-2:] if path.suffix in (".gz", ".zst") else path.suffixes
        usual = "\t" if ".tsv" in suffixes else ","
        whole = text if len(start) < _SNIFFED else text[: text.rfind("\n") + 1]
        candidates = [usual, *(mark for mark in ",;\t|" if mark != usual)]
        delimiter = max(candidates, key=lambda mark: _count_cells(whole, mark))
    return CsvDialect(encoding, delimiter)


def _count_cells(text: str, delimiter: str) -> int:
    """Return the number of cells that the first rows have in common; 1 where they have none."""
    sizes = set()
    try:
        for cells in islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 50):
            if cells:
                sizes.add(len(cells))
    except csv.Error:
        pass  # a row that is cut off, or broken
    return sizes.pop() if len(sizes) == 1 else 1


def list_csv_columns(path: Path, dialect: CsvDialect) -> frozenset[str] | None:
    """List the columns of a CSV file by its header."""
    try:
        with io.TextIOWrapper(
            open_bytes(path), encoding=dialect.encoding, errors="replace", newline=""
        ) as file:
            return frozenset(_number_names(next(csv.reader(file, delimiter=dialect.delimiter), [])))
    except (*DAMAGE, csv.Error, UnicodeError):
        return None  # reading the rows says what is wrong


def _number_names(header: list[str]) -> list[str]:
    """Number names that come again, as pandas does, so that no column takes the place of another.

    >>> _number_names(["prompt", "response", "response"])
    ['prompt', 'response', 'response.1']
    """
    names: list[str] = []
    for name in header:
        fresh, number = name, 0
        while fresh in names:
            number += 1
            fresh = f"{name}.{number}"
        names.append(fresh)
    return names


def read_csv_rows(
    path: Path,
    check: ColumnCheck,
    *,
    keep_empty: frozenset[str],
    limit: int,
    dialect: CsvDialect | None = None,
) -> Iterator[tuple[int, ReadRow]]:
    """Yield the rows of a CSV file with a header, with the number of the line on which they start.

    Args:
        path: File, plain or compressed.
        check: Check of the header.
        keep_empty: Columns of text, in which an empty cell is empty text; elsewhere it is null.
        limit: Characters of a cell.
        dialect: Its encoding and delimiter; default: UTF-8 and commas.

    Raises:
        CurateError: The file is damaged or no text in UTF-8, or lacks a column.
    """
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    dialect = dialect or CsvDialect("utf-8-sig", ",")
    try:
        with io.TextIOWrapper(
            open_bytes(path), encoding=dialect.encoding, errors="surrogateescape", newline=""
        ) as file:
            text = _BoundedLines(file, limit)
            reader = csv.reader(text, delimiter=dialect.delimiter, strict=True)
            header = _number_names(next(reader, []))
            check(header)
            yield from _reject_headings(_list_csv_rows(reader, text, header, keep_empty))
    except DAMAGE as error:
        raise CurateError(f"{path} is damaged or no archive: {error}.") from error
    except UnicodeError as error:  # UTF-16 that ends in the middle of a character
        raise CurateError(f"{path} is damaged: it is no {dialect.encoding} ({error}).") from error


def _list_csv_rows(
    reader: CsvReader, text: _BoundedLines, header: list[str], keep_empty: frozenset[str]
) -> Iterator[tuple[int, ReadRow]]:
    while True:
        start, text.dropped = reader.line_num + 1, False
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield start, Rejection(start, "broken CSV", f"The row is not valid CSV: {error}.", "")
            continue
        if text.dropped:
            reason = f"The row holds a line of more than {text.limit >> 20} MiB (option `max_line_mib`)."
            yield start, Rejection(start, "line too long", reason, "")
        elif cells:
            yield start, _build_csv_row(start, header, cells, keep_empty)


def _reject_headings(rows: Iterator[tuple[int, ReadRow]]) -> Iterator[tuple[int, ReadRow]]:
    """Reject the two rows that Qualtrics writes below its header: the questions, and ids as JSON."""
    first = list(islice(rows, 2))
    if len(first) == 2 and _holds_import_ids(first[1][1]):
        reason = "The row is a heading: Qualtrics writes the questions and their ids below its header."
        first = [
            (number, Rejection(number, "heading", reason, shorten_raw(json.dumps(row, default=str))))
            for number, row in first
        ]
    yield from first
    yield from rows


def _holds_import_ids(row: ReadRow) -> bool:
    cells = [cell for cell in row.values() if cell] if isinstance(row, dict) else []
    return bool(cells) and all(isinstance(cell, str) and cell.startswith('{"ImportId":') for cell in cells)


def _build_csv_row(number: int, header: list[str], cells: list[str], keep_empty: frozenset[str]) -> ReadRow:
    if len(cells) < len(header) and _UNFILLED.issuperset(header[len(cells) :]):
        header = header[: len(cells)]
    if len(cells) != len(header):
        reason = f"The row has {len(cells)} cells, but the header has {len(header)}."
        return Rejection(number, "wrong number of cells", reason, shorten_raw(",".join(cells)))
    for name, cell in zip(header, cells, strict=True):
        if not cell.isascii() and any("\udc80" <= character <= "\udcff" for character in cell):
            return Rejection(
                number,
                "not UTF-8",
                f"`{name}` is not UTF-8 (option `encoding`).",
                shorten_raw(",".join(cells)),
            )
    row = {name: cell for name, cell in zip(header, cells, strict=True) if cell or name in keep_empty}
    return _unfold_cells(number, row)


def _unfold_cells(number: int, row: dict[str, Any]) -> ReadRow:
    """Parse `responses`, `completions`, `meta` and `p_a` where a table holds them as text."""
    for name in _JSON:
        cell = row.get(name)
        if isinstance(cell, str):
            try:
                row[name] = json.loads(cell)
            except (ValueError, RecursionError):
                reason = f"`{name}` is text, but not valid JSON."
                return Rejection(number, "broken JSON", reason, shorten_raw(json.dumps(row, default=str)))
    if isinstance(row.get("p_a"), str):
        with contextlib.suppress(ValueError):
            row["p_a"] = float(row["p_a"])
    return row


class _BoundedLines:
    """The lines of a text file, of which none is held that is longer than the limit.

    In its place stands a line with as many quotes, odd or even, so that the rows around it stay what they are;
    `dropped` tells that the row just read holds one.
    """

    def __init__(self, file: io.TextIOWrapper, limit: int) -> None:
        self._file = file
        self.limit = limit
        self.dropped = False

    def __iter__(self) -> _BoundedLines:
        return self

    def __next__(self) -> str:
        line = self._file.readline(self.limit + 1)
        if not line:
            raise StopIteration
        if len(line) <= self.limit or line.endswith("\n"):
            return line
        self.dropped = True
        quotes = 0
        while line:
            quotes += line.count('"')
            if line.endswith("\n"):
                break
            line = self._file.readline(_DROPPED)
        return '"\n' if quotes % 2 else "\n"
