"""Documents beside the tables of an export: one JSON file, or JSON lines, written row by row from the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from curate.data.json_columns import list_rows, write_json

_ROWS_PER_BATCH = 1024


def read_rows(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table that was just written."""
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(_ROWS_PER_BATCH):
                yield from list_rows(batch)


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write one object a line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(write_json(row) + "\n" for row in rows)
    return path


def write_array(path: Path, rows: Iterable[dict[str, Any]], *, before: str = "", after: str = "") -> Path:
    """Write the objects as one JSON array, with text of the surrounding document before and after it."""
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{before}[")
        for number, row in enumerate(rows):
            file.write((",\n" if number else "\n") + write_json(row))
        file.write(f"\n]{after}\n")
    return path


def dump(value: object) -> str:
    """Return a value as indented JSON text."""
    return json.dumps(value, ensure_ascii=False, indent=2)
