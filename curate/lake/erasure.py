"""Rewrite the lake's history, so that rows which were deleted are in no file, no snapshot and no page of the catalog.

Each step may be repeated: a killed erasure is done again from its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from curate.core.errors import CurateError
from curate.lake.bucket_files import delete_data_file, settle_bucket
from curate.lake.catalog_file import vacuum_catalog
from curate.lake.compaction import rewrite_files
from curate.lake.data_folder import METADATA, is_local
from curate.lake.lake import Lake
from curate.lake.maintenance import OUR_NAMES, forget_snapshots, refuse_shared_folder
from curate.lake.statistics import shrink_statistics
from curate.lake.traces import Traces, count_in_catalog, count_in_file
from curate.lake.trash import PENDING, TRASH


@dataclass(frozen=True, slots=True)
class Erasure:
    """The work of an erasure: `snapshots` expired and `files` deleted; `files_read`: those left, without a trace."""

    snapshots: int
    files: int
    files_read: int
    texts_compared: int


def erase_history(lake: Lake, traces: Traces) -> Erasure:
    """Take rows that are deleted out of the history, and make sure by reading every Parquet file and the catalog.

    Args:
        lake: The lake; no row that it shows now has a trace.
        traces: The ids, and the texts that no other row holds.

    Raises:
        CurateError: The data folder is not this catalog's alone, or a trace is left.
    """
    with lake.lock():
        refuse_shared_folder(lake)
    rewrite_files(lake, ", delete_threshold => 0")
    with lake.lock():
        snapshots = _list_snapshots(lake, traces.of_ids)
        files = forget_snapshots(lake, snapshots, dry_run=False)
        files += _delete_orphans(lake, traces.of_ids)
        _purge_trash(lake, traces.of_ids)
        lake.files.forget_checksums()
        shrink_statistics(lake)
        if not lake.location.is_postgres:
            vacuum_catalog(lake.location.catalog)
        files_read = verify_erasure(lake, traces)
    return Erasure(len(snapshots), files, files_read, len(traces.texts))


def verify_erasure(lake: Lake, traces: Traces) -> int:
    """Read every Parquet file of the data folder, and the catalog; returns the number of files.

    Raises:
        CurateError: A trace is there; the error names the place.
    """
    files = lake.files.list_stored_files()
    for file in files:
        if number := _count_or_refuse(lake, file, traces):
            raise CurateError(
                f"{number} values of what was erased are still in {file}: run the same command again, and look with "
                "`curate check` if it stays."
            )
    if number := count_in_catalog(lake, traces):
        raise CurateError(
            f"{number} values of what was erased are still in the catalog: run the same command again."
        )
    return len(files)


def _list_snapshots(lake: Lake, traces: Traces) -> list[int]:
    """List the snapshots, but for the newest, since the first file with a trace came in."""
    begins = {
        Path(path).name: begin
        for path, begin in lake.rows(f"SELECT path, begin_snapshot FROM {METADATA}.ducklake_data_file")
    }
    files = [
        file
        for file in lake.files.list_data_files()
        if not file.deletes and _count_or_refuse(lake, file.path, traces)
    ]
    if not files:
        return []
    first = min(begins[Path(file.path).name] for file in files)
    newest = lake.snapshot()
    return [
        snapshot
        for (snapshot,) in lake.rows("SELECT snapshot_id FROM lake.snapshots() ORDER BY 1")
        if first <= snapshot < newest
    ]


def _purge_trash(lake: Lake, traces: Traces) -> None:
    """Delete files with a trace, or damaged, from the folders of files that are on their way out."""
    if not is_local(lake.location.data):
        settle_bucket(lake.location.data, lake.files.list_data_files(), drop_unlisted=True)
    for path in (path for folder in (PENDING, TRASH) for path in lake.files.list_kept(folder).values()):
        if _may_hold(lake, str(path), traces):
            path.unlink(missing_ok=True)


def _delete_orphans(lake: Lake, traces: Traces) -> int:
    """Delete files with a trace, or torn, that the catalog does not list: a killed run has left them."""
    number = 0
    for file in lake.files.find_unnamed_files():
        ours = OUR_NAMES.fullmatch(file.rpartition("/")[2])
        if ours and _may_hold(lake, file, traces):
            delete_data_file(file)
            number += 1
    return number


def _may_hold(lake: Lake, file: str, traces: Traces) -> bool:
    """Tell whether a file that nothing reads has a trace; one that cannot be read, torn by a kill, may have."""
    try:
        return count_in_file(lake, file, traces) > 0
    except duckdb.IOException:  # the disk or the bucket failed, and not the file
        raise
    except duckdb.Error:
        return True


def _count_or_refuse(lake: Lake, file: str, traces: Traces) -> int:
    """Count the traces in a file.

    Raises:
        CurateError: The file cannot be read, so nobody can tell what is in it.
    """
    try:
        return count_in_file(lake, file, traces)
    except duckdb.Error as error:
        raise CurateError(
            f"{file} cannot be read, so whether it holds what is to be erased cannot be told: mend it with "
            f"`curate check --repair`, or delete it if no table needs it, and run the same command again. {error}"
        ) from error
