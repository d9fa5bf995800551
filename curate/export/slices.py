"""Rows of a large export, some prompts at a time: what the database joins and sorts at once stays small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from curate.export.formats import ExportTable
from curate.export.shards import ROWS_PER_GROUP
from curate.lake.lake import Lake

ROWS_PER_SLICE = 65_536


def stream_slices(reader: Lake, table: ExportTable, parameters: Sequence[object]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the query of a table, which come in the order of their prompts.

    Where the temporary table `selection` is large, it holds prompts of one slice at a time meanwhile, and all of them
    again in the end. Use no other method of the reader while this is not exhausted.

    Args:
        reader: The lake, with `selection`.
        table: The table to read.
        parameters: Parameters of its query.
    """
    bounds = _cut_selection(reader)
    if not bounds:
        yield from reader.batches(table.query, parameters, rows=ROWS_PER_GROUP)
        return
    reader.rows("CREATE OR REPLACE TEMP TABLE sliced_selection AS FROM selection")
    for first, last in zip(["", *bounds], [*bounds, None], strict=True):
        until = "true" if last is None else "prompt_id < $2"
        values = [first] if last is None else [first, last]
        reader.rows(
            f"CREATE OR REPLACE TEMP TABLE selection AS FROM sliced_selection WHERE prompt_id >= $1 AND {until}",
            values,
        )
        yield from reader.batches(table.query, parameters, rows=ROWS_PER_GROUP)
    reader.rows("CREATE OR REPLACE TEMP TABLE selection AS FROM sliced_selection")


def _cut_selection(reader: Lake) -> list[str]:
    """Return the prompts at which slices begin, but for the first one."""
    if reader.value("SELECT count(*) FROM selection WHERE reason IS NULL") <= ROWS_PER_SLICE:
        return []
    rows = reader.rows(
        "SELECT DISTINCT prompt_id FROM (SELECT prompt_id, row_number() OVER (ORDER BY prompt_id) AS number "
        "FROM selection WHERE reason IS NULL) WHERE number % $1 = 0 ORDER BY prompt_id",
        [ROWS_PER_SLICE],
    )
    return [prompt_id for (prompt_id,) in rows]
