"""Rows of Parquet files in bounded memory, however much text the file's dictionaries and pages stand for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.core.errors import CurateError
from curate.data.json_columns import list_rows
from curate.ingest.chunks import ReadRow
from curate.ingest.page_header import read_dictionary_size
from curate.ingest.rejection import Rejection
from curate.ingest.tables import ColumnCheck, number_rows

_ROWS = 256  # at a time
_SLICE = 64 << 20  # bytes of text that become Python objects together
_USUAL_DICTIONARY = 2 << 20  # bytes; writers stop at 1 MiB
_MOST_UNPACKED = 1 << 30  # bytes of a dictionary, or of a chunk that was packed more tightly than text can be
_TIGHTEST = 2_000  # times smaller than its content is no text
_MOST_REPEATED = 10_000  # times the bytes of the file that lists of repeated values may stand for


def read_parquet_rows(path: Path, check: ColumnCheck, *, limit: int) -> Iterator[tuple[int, ReadRow]]:
    """Yield the rows of a Parquet file with their numbers; a row with more text than `limit` bytes is rejected.

    Args:
        path: The file.
        check: Check of the columns.
        limit: Most bytes of text of a row.

    Raises:
        CurateError: The file is no Parquet, lacks a column, or unpacks to more than any text does.
    """
    try:
        with pq.ParquetFile(path) as file:
            check(file.schema_arrow.names)
            schema, packed = file.schema_arrow, _list_packed_columns(path, file.metadata)
        with pq.ParquetFile(path, read_dictionary=packed) as file:
            number = 1
            for batch in file.iter_batches(_ROWS):
                yield from _read_batch(batch, schema, number, limit)
                number += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise CurateError(f"{path} is not readable as Parquet: {reason}.") from error


def _list_packed_columns(path: Path, metadata: pq.FileMetaData) -> list[str]:
    """List the columns of text whose values must stay packed, since a batch of them could take all memory."""
    packed: set[str] = set()
    with path.open("rb") as file:
        for group in range(metadata.num_row_groups):
            for column in range(metadata.num_columns):
                chunk = metadata.row_group(group).column(column)
                if chunk.physical_type != "BYTE_ARRAY":
                    continue
                size = read_dictionary_size(file, chunk)
                unpacked = max(size, chunk.total_uncompressed_size)
                if unpacked > _MOST_UNPACKED and (
                    size > _MOST_UNPACKED or unpacked > _TIGHTEST * chunk.total_compressed_size
                ):
                    raise CurateError(
                        f"{path}: the column {chunk.path_in_schema} unpacks {unpacked >> 20:,} MiB from "
                        f"{chunk.total_compressed_size:,} bytes, which no text does: write the file anew without it."
                    )
                stands_for = size * chunk.num_values
                is_nested = "." in chunk.path_in_schema
                if size > _USUAL_DICTIONARY or (
                    is_nested
                    and stands_for > max(_MOST_UNPACKED, _MOST_REPEATED * chunk.total_uncompressed_size)
                ):
                    packed.add(chunk.path_in_schema)
    return sorted(packed)


def _read_batch(
    batch: pa.RecordBatch, schema: pa.Schema, number: int, limit: int
) -> Iterator[tuple[int, ReadRow]]:
    sizes = sum((_measure_rows(column) for column in batch.columns), np.zeros(batch.num_rows, np.int64))
    start = 0
    while start < batch.num_rows:
        if sizes[start] > limit:
            reason = f"The row holds {sizes[start] >> 20:,} MiB of text, more than {limit >> 20} MiB (`max_line_mib`)."
            yield number + start, Rejection(number + start, "line too long", reason, "")
            start += 1
            continue
        end = start + 1
        while end < batch.num_rows and sizes[end] <= limit and sizes[start : end + 1].sum() <= _SLICE:
            end += 1
        part = batch.slice(start, end - start)
        rows = list_rows(part if part.schema == schema else _unpack(part, schema))
        for place, row in number_rows(rows):
            yield number + start + place - 1, _renumber(row, number + start + place - 1)
        start = end


def _renumber(row: ReadRow, number: int) -> ReadRow:
    return Rejection(number, row.kind, row.reason, row.raw) if isinstance(row, Rejection) else row


def _unpack(part: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """Write out the values of a slice alone; casting a slice would write out the whole of its list columns."""
    compact = pa.concat_tables([pa.Table.from_batches([part])]).take(pa.array(range(part.num_rows)))
    return compact.cast(schema)


def _measure_rows(array: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the bytes of text of each row, which a dictionary's values count each time they are used."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        lengths = np.asarray(pc.fill_null(pc.binary_length(array.dictionary), 0), np.int64)
        places = np.asarray(pc.fill_null(array.indices, -1), np.int64)
        return np.where(places >= 0, np.append(lengths, 0)[places], 0)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return np.asarray(pc.fill_null(pc.binary_length(array), 0), np.int64)
    if pa.types.is_struct(kind):
        children = (_measure_rows(child) for child in array.flatten())
        return sum(children, np.zeros(len(array), np.int64))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        counts = np.asarray(pc.fill_null(pc.list_value_length(array), 0), np.int64)
        sums = np.concatenate([[0], np.cumsum(_measure_rows(array.flatten()) + 8)])
        ends = np.cumsum(counts)
        measured: np.ndarray[Any, np.dtype[np.int64]] = sums[ends] - sums[ends - counts]
        return measured
    return np.zeros(len(array), np.int64)
