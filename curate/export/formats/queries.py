"""Queries and conversions that several formats share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from curate.export.formats.base import Batches, Transcriber


def read_chats(batches: Batches, transcripts: Transcriber | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of `export_judge_sft.sql` with the judge's chat as `prompt` and `completion`."""
    if transcripts is None:
        raise ValueError("this format needs transcripts: export through curate.pipeline.export")
    for batch in batches:
        for row in batch.to_pylist():
            prompt, completion = transcripts.chat(row)
            yield {**row, "prompt": prompt, "completion": completion}


def write_chats(
    batches: Batches, *, transcripts: Transcriber | None, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `export_judge_sft.sql` as rows of `schema`."""
    for batch in batches:
        rows = [select_columns(row, schema) for row in read_chats([batch], transcripts)]
        yield from pa.Table.from_pylist(rows, schema=schema).to_batches()


def select_columns(row: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """Return the columns of a row that `schema` has."""
    return {name: row[name] for name in schema.names if name in row}
