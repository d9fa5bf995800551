"""Rows of a large export, some prompts at a time: what the database joins and sorts at once stays small."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from curate.core.resources import read_query
from curate.export.formats import ExportTable
from curate.export.shards import ROWS_PER_GROUP
from curate.lake.lake import Lake

ROWS_PER_SLICE = 16_384
_BYTES_AT_ONCE = 192 << 20  # of texts that are looked up by id, and held in memory
_ROWS_AT_ONCE = 20 * ROWS_PER_SLICE  # of ids
_BY_PROMPT = (
    "prompts",
    "responses",
    "preferences",
    "rankings",
)  # tables of which a slice needs its own prompts' rows
_IN_SLICE = "SELECT * EXCLUDE (slice) FROM sliced_{} WHERE slice = getvariable('slice')"


def stream_slices(reader: Lake, table: ExportTable, parameters: Sequence[object]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the query of a table, which come by batch of prompts and id (`sql/macros/export.sql`).

    Where the temporary table `selection` is large, the query is asked once for each slice of the prompts. It then sees
    the slice alone, under the usual names: `selection` and the tables of the lake are views of copies that know their
    slice, so that no slice reads all texts again. In the end the names mean what they did. Use no other method of the
    reader while this is not exhausted.

    Args:
        reader: The lake, with `selection`.
        table: The table to read.
        parameters: Parameters of its query.
    """
    if _fits_at_once(reader, table):
        yield from _read_rows(reader, table, parameters, [lookup.query for lookup in table.lookups])
        return
    reader.rows(read_query("export_slices"), [ROWS_PER_SLICE])
    copied = [name for name in _BY_PROMPT if re.search(rf"\b{name}\b", table.query)] + ["selection"]
    for name in copied:
        _copy_with_slice(reader, name, f"FROM {name}")
    lookups = [f"lookup_{number}" for number in range(len(table.lookups))]
    for name, lookup in zip(lookups, table.lookups, strict=True):
        _copy_with_slice(reader, name, lookup.query)
    reader.rows("ALTER TABLE selection RENAME TO whole_selection_of_slices")
    try:
        for name in copied:
            reader.rows(f"CREATE TEMP VIEW {name} AS {_IN_SLICE.format(name)}")
        for (number,) in reader.rows("SELECT DISTINCT slice FROM slices ORDER BY slice"):
            reader.rows(f"SET VARIABLE slice = {number}")
            yield from _read_rows(reader, table, parameters, [_IN_SLICE.format(name) for name in lookups])
    finally:
        for name in copied:
            reader.rows(f"DROP VIEW IF EXISTS temp.{name}")
        for name in (*copied, *lookups):
            reader.rows(f"DROP TABLE sliced_{name}")
        reader.rows("ALTER TABLE whole_selection_of_slices RENAME TO selection")


def _fits_at_once(reader: Lake, table: ExportTable) -> bool:
    """Tell whether the rows are few, or ids with texts that memory holds: a copy of all texts costs time."""
    rows = int(reader.value("SELECT count(*) FROM selection WHERE reason IS NULL"))
    if rows <= ROWS_PER_SLICE or not table.lookups or rows > _ROWS_AT_ONCE:
        return rows <= ROWS_PER_SLICE
    return int(reader.value(read_query("export_text_bytes"))) <= _BYTES_AT_ONCE


def _copy_with_slice(reader: Lake, name: str, query: str) -> None:
    reader.rows(
        f"CREATE OR REPLACE TEMP TABLE sliced_{name} AS "
        f"SELECT copied.*, slice FROM ({query}) AS copied JOIN slices USING (prompt_id)"
    )


def _read_rows(
    reader: Lake, table: ExportTable, parameters: Sequence[object], lookups: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the query with the columns of its lookups, whose queries are `lookups`."""
    if not lookups:
        yield from reader.batches(table.query, parameters, rows=ROWS_PER_GROUP)
        return
    rows = reader.arrow(table.query, parameters)
    values = [reader.arrow(query).combine_chunks() for query in lookups]
    places = {  # found for all rows at once: each search hashes all ids of a lookup
        (number, id_column): _find_places(rows.column(id_column), values[number][lookup.key])
        for number, lookup in enumerate(table.lookups)
        for id_column, _ in lookup.columns.values()
    }
    start = 0
    for batch in rows.to_batches(ROWS_PER_GROUP):
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for number, lookup in enumerate(table.lookups):
            for name, (id_column, value_column) in lookup.columns.items():
                taken = places[number, id_column].slice(start, batch.num_rows)
                columns[name] = values[number][value_column].chunk(0).take(taken)
        start += batch.num_rows
        yield pa.RecordBatch.from_pydict(
            {name: columns[name] for name in table.schema.names if name in columns}
        )


def _find_places(ids: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.Array:
    """Return where each id stands in the known ones."""
    places = pc.index_in(ids, value_set=known).combine_chunks()
    if places.null_count:
        raise AssertionError(f"{places.null_count} ids are unknown")
    return places
