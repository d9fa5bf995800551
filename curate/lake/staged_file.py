"""Rows as a Parquet file of a table that the table does not know yet: written before anybody waits for the lock."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curate.core.durable import sync_files
from curate.lake.bucket import open_file_system, strip_scheme
from curate.lake.bucket_files import delete_data_file
from curate.lake.checksums import Checksum, compute_checksum
from curate.lake.data_folder import is_local
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
    path: str
    rows: int
    checksum: Checksum

    def discard(self) -> None:
        delete_data_file(self.path)


def write_staged_file(table: str, rows: pa.Table, data: str) -> StagedFile:
    """Write rows as a file in the folder of a table, durably.

    Args:
        table: Name of the table.
        rows: Its rows, with all columns of the table.
        data: Folder or bucket of the lake's data.
    """
    rows = scrub_rows(table, rows)
    name = f"curate-{uuid.uuid4().hex}.parquet"
    if not is_local(data):
        return _upload_file(table, rows, f"{data.rstrip('/')}/main/{table}/{name}")
    folder = Path(data) / "main" / table
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    _write_parquet(rows, path)
    sync_files([path])
    return StagedFile(table, str(path), rows.num_rows, compute_checksum(path))


def _upload_file(table: str, rows: pa.Table, path: str) -> StagedFile:
    """Write rows as a file in a bucket; its checksum is that of the bytes that were sent."""
    sink = pa.BufferOutputStream()
    _write_parquet(rows, sink)
    content = sink.getvalue()
    with open_file_system().open_output_stream(strip_scheme(path)) as stream:
        stream.write(content)
    digest = hashlib.sha256(content).hexdigest()
    return StagedFile(table, path, rows.num_rows, Checksum(path.rpartition("/")[2], content.size, digest))


def _write_parquet(rows: pa.Table, target: Path | pa.BufferOutputStream) -> None:
    repeated = [name for name in rows.schema.names if name not in _VARIED]
    pq.write_table(rows, target, use_dictionary=[*repeated, *_REPEATED], write_page_checksum=True)
