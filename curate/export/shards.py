"""Files of rows, whose bytes depend on nothing but the rows."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.core.progress import Advance
from curate.data.json_columns import build_table, holds_json, list_rows, write_json
from curate.lake.scrub import scrub_columns

ROWS_PER_GROUP = 8_192  # one row group in memory: some 30 MB of pairs of usual length
GROUPS_PER_SHARD = 16
LEAST_ROWS_PER_SHARD = 1_024  # a file that is followed by another has at least these


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
    bytes: int = 0  # of the Parquet files' content before compression


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows that are written at once. `opens_shard`: they begin a batch of prompts, and so a file."""

    rows: pa.Table
    opens_shard: bool = False


def cut_row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[RowGroup]:
    """Cut the stream into groups of `ROWS_PER_GROUP` rows; the last group of a batch of prompts has the rest.

    How many rows a record batch of the database has depends on its threads, and row groups must not. Prompts stand in
    batches (`sql/macros/export.sql`), in each of which ids ascend: where they fall, the next batch begins. Files that
    begin with a batch do not change when rows are added to others.
    """
    waiting: list[pa.RecordBatch] = []
    rows = 0
    of_shard = 0
    opens_shard = False
    last_id = ""

    def take(number: int) -> RowGroup:
        nonlocal waiting, rows, opens_shard
        table = pa.Table.from_batches(waiting)
        group = RowGroup(table.slice(0, number).combine_chunks().cast(schema), opens_shard)
        waiting, rows, opens_shard = table.slice(number).to_batches(), rows - number, False
        return group

    for batch in batches:
        for piece, begins in _split_batches(batch, last_id):
            if begins and of_shard >= LEAST_ROWS_PER_SHARD:
                if rows:
                    yield take(rows)
                opens_shard, of_shard = True, 0
            waiting.append(piece)
            rows += piece.num_rows
            of_shard += piece.num_rows
            while rows >= ROWS_PER_GROUP:
                yield take(ROWS_PER_GROUP)
        if batch.num_rows and "prompt_id" in batch.schema.names:
            last_id = batch.column("prompt_id")[-1].as_py() or ""
    if rows:
        yield take(rows)


def _split_batches(batch: pa.RecordBatch, last_id: str) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """Yield the pieces of a record batch, and whether a batch of prompts begins with them; `last_id` came before it."""
    if batch.num_rows == 0 or "prompt_id" not in batch.schema.names:
        yield batch, False
        return
    ids = batch.column("prompt_id")
    falls = [0] if (ids[0].as_py() or "") < last_id else []
    if batch.num_rows > 1:
        later = pc.less(ids.slice(1), ids.slice(0, len(ids) - 1))
        falls += [position + 1 for position in pc.indices_nonzero(pc.fill_null(later, False)).to_pylist()]
    starts = sorted({0, *falls})
    for start, end in itertools.pairwise([*starts, batch.num_rows]):
        yield batch.slice(start, end - start), start in falls


def write_part(
    folder: Path, name: str, schema: pa.Schema, groups: Iterable[RowGroup], *, jsonl: bool, advance: Advance
) -> WrittenPart:
    """Write row groups to `data/<name>-00000.parquet` and so on.

    Args:
        folder: Folder of the export.
        name: Name of the table.
        schema: Columns of the rows.
        groups: Rows, as `cut_row_groups` cuts them.
        jsonl: Write the same rows as JSON lines under `jsonl/` too.
        advance: Is told the number of rows that were written.
    """
    digest = hashlib.blake2b(digest_size=16)
    files: list[WrittenFile] = []
    rows = 0
    plain_bytes = 0
    empty = iter([RowGroup(build_table([], schema))])
    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as reading:
        shards = _list_shards(_read_ahead(groups, reading))
        for number, shard_groups in enumerate(itertools.chain([next(shards, empty)], shards)):
            paths = {"data": folder / "data" / f"{name}-{number:05}.parquet"}
            if jsonl:
                paths["jsonl"] = folder / "jsonl" / f"{name}-{number:05}.jsonl"
            shard_rows = 0
            with _ShardFiles(paths, schema, pool, digest) as shard:
                for group in shard_groups:
                    shard.write(group.rows)
                    shard_rows += group.rows.num_rows
                    advance(group.rows.num_rows)
            files += [describe_file(path, folder, shard_rows) for path in paths.values()]
            plain_bytes += _count_plain_bytes(paths["data"])
            rows += shard_rows
    return WrittenPart(name, rows, digest.hexdigest(), tuple(files), plain_bytes)


def _read_ahead(groups: Iterable[RowGroup], pool: ThreadPoolExecutor) -> Iterator[RowGroup]:
    """Yield the row groups; the database makes the next one while one is written."""
    rest = iter(groups)
    coming = pool.submit(lambda: next(rest, None))
    while (group := coming.result()) is not None:
        coming = pool.submit(lambda: next(rest, None))
        yield group


def _count_plain_bytes(path: Path) -> int:
    """Return the bytes of a Parquet file's columns before compression."""
    metadata = pq.read_metadata(path)
    return sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))


def _list_shards(groups: Iterable[RowGroup]) -> Iterator[Iterator[RowGroup]]:
    """Yield the row groups of each file, which are to be read before the next file's."""
    rest = iter(groups)
    head = next(rest, None)

    def list_groups(first: RowGroup) -> Iterator[RowGroup]:
        nonlocal head
        yield first
        for number, group in enumerate(rest, start=1):
            if group.opens_shard or number == GROUPS_PER_SHARD:
                head = group
                return
            yield group
        head = None

    while head is not None:
        yield list_groups(head)


class _ShardFiles:
    """The open files of one shard. `pool` makes JSON lines and their digest while Parquet is compressed."""

    def __init__(
        self, paths: dict[str, Path], schema: pa.Schema, pool: ThreadPoolExecutor, digest: hashlib.blake2b
    ) -> None:
        self._pool, self._digest = pool, digest
        for path in paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        # Every setting that shapes the bytes is named here, so that a new default changes no file.
        self._parquet = pq.ParquetWriter(
            paths["data"],
            schema,
            version="2.6",
            compression="zstd",
            compression_level=3,
            use_dictionary=True,
            use_content_defined_chunking=True,  # pages end where the content says, so stores find those they have
        )
        self._lines = paths["jsonl"].open("wb") if "jsonl" in paths else None

    def __enter__(self) -> _ShardFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._parquet.close()
        if self._lines is not None:
            self._lines.close()

    def write(self, group: pa.Table) -> None:
        """Append one row group, without secrets of this machine, and add its rows as JSON lines to the digest."""
        group = scrub_columns(group)
        lines = self._pool.submit(self._write_lines, group)
        self._parquet.write_table(group, row_group_size=ROWS_PER_GROUP)
        lines.result()

    def _write_lines(self, group: pa.Table) -> None:
        lines = _json_lines(group)
        self._digest.update(lines)
        if self._lines is not None:
            self._lines.write(lines)


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
