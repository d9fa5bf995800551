"""Rows as a Parquet file of a table that the table does not know yet: written before anybody waits for the lock."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curate.core.durable import sync_files
from curate.lake.checksums import Checksum, compute_checksum
from curate.lake.scrub import scrub_rows

# Which columns Arrow's Parquet writer should not try to encode as dictionaries: every value is another one.
_VARIED = frozenset(
    {"id", "prompt_id", "response_id", "judgment_id", "key", "messages", "tools", "rationale", "raw"}
)
_REPEATED = (
    "messages.list.element.role",
    "messages.list.element.content.list.element.type",
)


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A Parquet file in the folder of a table that the table does not know yet."""

    table: str
    path: Path
    rows: int
    checksum: Checksum

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


def write_staged_file(table: str, rows: pa.Table, data: Path) -> StagedFile:
    """Write rows as a file in the folder of a table, durably.

    Args:
        table: Name of the table.
        rows: Its rows, with all columns of the table.
        data: Folder of the lake's data.
    """
    rows = scrub_rows(table, rows)
    folder = data / "main" / table
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"curate-{uuid.uuid4().hex}.parquet"
    repeated = [name for name in rows.schema.names if name not in _VARIED]
    pq.write_table(rows, path, use_dictionary=[*repeated, *_REPEATED], write_page_checksum=True)
    sync_files([path])
    return StagedFile(table, path, rows.num_rows, compute_checksum(path))
