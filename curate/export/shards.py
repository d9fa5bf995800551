"""Files of rows, whose bytes depend on nothing but the rows."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.core.progress import Advance
from curate.data.json_columns import build_table, holds_json, list_rows, write_json
from curate.lake.scrub import scrub_columns

ROWS_PER_GROUP = 8_192  # one row group in memory: some 30 MB of pairs of usual length
GROUPS_PER_SHARD = 16


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One file of an export, its path relative to the folder; `rows`: None where it has none."""

    path: str
    rows: int | None
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """A written table. `row_hash`: BLAKE2b-128 of the rows as JSON lines, in the order of the files."""

    name: str
    rows: int
    row_hash: str
    files: tuple[WrittenFile, ...]


def cut_row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Cut the stream into tables of exactly `ROWS_PER_GROUP` rows (the last: the rest).

    How many rows a batch of the database has depends on its threads, and row groups must not.
    """
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        while rows >= ROWS_PER_GROUP:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, ROWS_PER_GROUP).combine_chunks().cast(schema)
            waiting = table.slice(ROWS_PER_GROUP).to_batches()
            rows -= ROWS_PER_GROUP
    if rows:
        yield pa.Table.from_batches(waiting).combine_chunks().cast(schema)


def write_part(
    folder: Path, name: str, schema: pa.Schema, groups: Iterable[pa.Table], *, jsonl: bool, advance: Advance
) -> WrittenPart:
    """Write row groups to `data/<name>-00000.parquet` and so on.

    Args:
        folder: Folder of the export.
        name: Name of the table.
        schema: Columns of the rows.
        groups: Tables of `ROWS_PER_GROUP` rows.
        jsonl: Write the same rows as JSON lines under `jsonl/` too.
        advance: Is told the number of rows that were written.
    """
    digest = hashlib.blake2b(digest_size=16)
    files: list[WrittenFile] = []
    rows = 0
    rest = iter(groups)
    head: pa.Table | None = next(rest, build_table([], schema))
    for number in itertools.count():
        if head is None:
            break
        paths = {"data": folder / "data" / f"{name}-{number:05}.parquet"}
        if jsonl:
            paths["jsonl"] = folder / "jsonl" / f"{name}-{number:05}.jsonl"
        shard_rows = 0
        with _ShardFiles(paths, schema) as shard:
            for group in itertools.chain([head], itertools.islice(rest, GROUPS_PER_SHARD - 1)):
                digest.update(shard.write(group))
                shard_rows += group.num_rows
                advance(group.num_rows)
        files += [describe_file(path, folder, shard_rows) for path in paths.values()]
        rows += shard_rows
        head = next(rest, None)
    return WrittenPart(name, rows, digest.hexdigest(), tuple(files))


class _ShardFiles:
    """The open files of one shard."""

    def __init__(self, paths: dict[str, Path], schema: pa.Schema) -> None:
        for path in paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        # Every setting that shapes the bytes is named here, so that a new default changes no file.
        self._parquet = pq.ParquetWriter(
            paths["data"], schema, version="2.6", compression="zstd", compression_level=3, use_dictionary=True
        )
        self._lines = paths["jsonl"].open("wb") if "jsonl" in paths else None

    def __enter__(self) -> _ShardFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._parquet.close()
        if self._lines is not None:
            self._lines.close()

    def write(self, group: pa.Table) -> bytes:
        """Append one row group, without secrets of this machine, and return its rows as JSON lines."""
        group = scrub_columns(group)
        self._parquet.write_table(group, row_group_size=ROWS_PER_GROUP)
        lines = _json_lines(group)
        if self._lines is not None:
            self._lines.write(lines)
        return lines


def describe_file(path: Path, folder: Path, rows: int | None = None) -> WrittenFile:
    """Return a file of `folder` with its digest."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return WrittenFile(path.relative_to(folder).as_posix(), rows, path.stat().st_size, digest)


def _json_lines(table: pa.Table) -> bytes:
    if any(holds_json(field.type) for field in table.schema):
        return "".join(write_json(row) + "\n" for row in list_rows(table)).encode()
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    lines = io.BytesIO()
    frame.write_ndjson(lines)
    return lines.getvalue()
