"""House-keeping of the lake: merging small files, forgetting old snapshots, removing dead files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from curate.lake import Lake
from curate.resources import sql


@dataclass(frozen=True, slots=True)
class Collected:
    """What `collect` removed."""

    snapshots: int
    files: int


def compact(lake: Lake) -> tuple[int, int]:
    """Write inlined rows to Parquet and merge small files; returns the data files before and after.

    Contents and history stay as they are: old files remain until `collect` forgets the snapshots that use them.
    """
    count = "SELECT coalesce(sum(file_count), 0) FROM lake.table_info()"
    before = int(lake.value(count))
    lake.call("ducklake_flush_inlined_data('lake')")
    lake.call("ducklake_rewrite_data_files('lake')")
    lake.call("ducklake_merge_adjacent_files('lake')")
    return before, int(lake.value(count))


def collect(lake: Lake, *, keep: timedelta) -> Collected:
    """Forget snapshots older than `keep` and delete the files that only they used.

    The latest snapshot and those that an export was made from are always kept.
    """
    pinned = {snapshot for (snapshot,) in lake.rows(sql("pinned_snapshots"))} | {lake.snapshot()}
    limit = (datetime.now(UTC) - keep).isoformat()
    old = lake.rows(
        "SELECT snapshot_id FROM lake.snapshots() WHERE snapshot_time < CAST(? AS TIMESTAMPTZ)", (limit,)
    )
    expired = sorted(snapshot for (snapshot,) in old if snapshot not in pinned)
    if expired:
        lake.call(f"ducklake_expire_snapshots('lake', versions => {expired})")
    files = lake.call("ducklake_cleanup_old_files('lake', cleanup_all => true)")
    # Files that a killed writer staged and never adopted; a day spares those of writers still at work.
    files += lake.call("ducklake_delete_orphaned_files('lake', older_than => now() - INTERVAL 1 DAY)")
    return Collected(len(expired), len(files))
