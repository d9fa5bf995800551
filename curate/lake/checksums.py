"""Checksums of the data files, kept in the catalog beside DuckLake's own tables.

They are computed when a file is written, before the catalog names it, so that later damage shows. A file that another
program added has none until `curate check --repair` has read it.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from curate.core.durable import name_file_in_errors
from curate.lake.data_folder import METADATA
from curate.lake.execute import execute

_TABLE = f"{METADATA}.curate_checksums"


@dataclass(frozen=True, slots=True)
class Checksum:
    """`file`: the name of a data file without its folder; names are unique in a lake."""

    file: str
    bytes: int
    sha256: str


def compute_checksum(path: Path) -> Checksum:
    """Read a file in blocks and return its checksum."""
    with name_file_in_errors(path), path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return Checksum(path.name, stream.tell(), digest.hexdigest())


def record_checksums(connection: duckdb.DuckDBPyConnection, checksums: Sequence[Checksum]) -> None:
    """Add checksums to the catalog."""
    if not checksums:
        return
    rows = pa.table(
        {
            "file": [checksum.file for checksum in checksums],
            "bytes": [checksum.bytes for checksum in checksums],
            "sha256": [checksum.sha256 for checksum in checksums],
        }
    )
    # A name of its own each time: where the connection to the catalog breaks, the last one may stay.
    name = f"new_checksums_{uuid.uuid4().hex}"
    connection.register(name, rows)
    try:
        try:
            connection.execute(f"INSERT INTO {_TABLE} SELECT * FROM {name}")
        except duckdb.CatalogException:  # the first ones of this lake
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_TABLE} (file VARCHAR, bytes BIGINT, sha256 VARCHAR)"
            )
            connection.execute(f"INSERT INTO {_TABLE} SELECT * FROM {name}")
    finally:
        with contextlib.suppress(duckdb.Error):
            connection.unregister(name)


def read_checksums(connection: duckdb.DuckDBPyConnection) -> dict[str, Checksum]:
    """Read all checksums, by the name of their file."""
    try:
        rows = connection.execute(f"SELECT file, bytes, sha256 FROM {_TABLE}").fetchall()
    except duckdb.CatalogException:  # none was ever recorded
        return {}
    return {name: Checksum(name, size, digest) for name, size, digest in rows}


def forget_checksums(connection: duckdb.DuckDBPyConnection, files: Iterable[str]) -> None:
    """Remove the checksums of files that are gone."""
    with contextlib.suppress(duckdb.CatalogException):
        execute(connection, f"DELETE FROM {_TABLE} WHERE file IN (SELECT unnest(?))", [sorted(files)])
