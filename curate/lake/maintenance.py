"""Garbage of the lake: forgetting old snapshots, removing dead files.

A file is dead when DuckLake has scheduled it for deletion: the catalog listed it, and no snapshot needs it any more.
In a local folder it goes to the trash (`curate.lake.trash`) first, and is deleted after a time of grace. What the
catalog still lists is never touched, whatever is scheduled.

A Parquet file that the catalog does not list (an orphan) may have been left by a killed run. It may as well belong to
another catalog, or to this one before it was restored from a backup. So orphans stay unless the user says otherwise.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.data_folder import hide_password, is_local
from curate.lake.lake import Lake
from curate.lake.trash import TRASH, list_expired

GRACE = timedelta(days=7)  # in the trash
_DAY_AGO = "now() - INTERVAL 1 DAY"  # younger files may be of writers at work
# The names that `Lake.stage` and DuckLake give to files of tables.
OUR_NAMES = re.compile(
    r"(curate-[0-9a-f]{32}|ducklake-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-delete)?)\.parquet"
)


@dataclass(frozen=True, slots=True)
class GarbageCollection:
    """The result of `collect_garbage`.

    Attributes:
        snapshots: Snapshots that were forgotten.
        files: Files that only they used, or that were asked for as orphans: moved to the trash, in a bucket deleted.
        orphans: Files older than a day in the data folder that the catalog does not list, and that were left there.
        emptied: Files that were deleted from the trash.
        trash: Files that are in the trash now.
        trash_bytes: Their size.
    """

    snapshots: int
    files: int
    orphans: tuple[str, ...]
    emptied: int = 0
    trash: int = 0
    trash_bytes: int = 0


def collect_garbage(
    lake: Lake,
    *,
    keep: timedelta,
    orphans: bool = False,
    grace: timedelta = GRACE,
    dry_run: bool = False,
) -> GarbageCollection:
    """Forget snapshots older than `keep`, and move the files that only they used to the trash.

    The latest snapshot and those that an export was made from are always kept.

    Args:
        lake: An open lake that may write.
        keep: Age up to which snapshots stay.
        orphans: Delete also files that the catalog does not list. They must have a name that DuckLake or `curate`
            gives, and be older than a day and than the latest snapshot: what is younger than the catalog may be of a
            newer copy of it.
        grace: How long files stay in the trash; with 0 they are deleted at once.
        dry_run: Delete nothing, and count what would be deleted.

    Raises:
        CurateError: It is not certain that the data folder is this catalog's alone; nothing is deleted then.
    """
    with lake.lock():
        refuse_shared_folder(lake)
        unlisted = lake.files.list_orphans(older_than=_DAY_AGO)
        _refuse_foreign_folder(lake, unlisted)
        snapshots = _list_expired(lake, keep)
        files = forget_snapshots(lake, snapshots, dry_run=dry_run, empty_trash=False)
        chosen = _choose_orphans(lake) if orphans else []
        if not dry_run:
            _delete_orphans(lake, chosen)
        emptied = _empty_trash(lake, grace, dry_run=dry_run)
        if dry_run and not grace:
            emptied += files + len(chosen)
        if not dry_run:
            lake.files.forget_checksums()
    left = tuple(sorted(set(unlisted).difference(chosen)))
    trash = lake.files.list_kept(TRASH).values()
    size = sum(path.stat().st_size for path in trash)
    return GarbageCollection(len(snapshots), files + len(chosen), left, emptied, len(trash), size)


def refuse_shared_folder(lake: Lake) -> None:
    """Raise CurateError unless the data folder has the claim of this catalog, and of no other one."""
    claim, claims = lake.files.claim, lake.files.list_claims()
    folder, catalog = lake.location.data, hide_password(lake.location.catalog)
    if claim not in claims.values():
        raise CurateError(
            f"Nothing was deleted: the data folder {folder} is not known to belong to the catalog {catalog} "
            f"({'it holds the id of another one' if claims else 'it holds no file that this one lists'}), so check "
            "`workspace` and `lake` in curate.yaml."
        )
    others = {file: other for file, other in claims.items() if other != claim}
    if others:
        file, other = next(iter(others.items()))
        kind = "a copy of this catalog" if other.lake == claim.lake else "another lake"
        raise CurateError(
            f"Nothing was deleted: {kind} ({other.catalog}) keeps its files in the data folder {folder} too, so give "
            f"one of them a copy of the folder under `lake.data`, or delete {file} if the other one is gone for good."
        )


def _refuse_foreign_folder(lake: Lake, unlisted: Sequence[str]) -> None:
    """Raise CurateError where the files that the catalog does not list outnumber those that it does."""
    listed = len(lake.files.list_files())
    if len(unlisted) > listed:
        raise CurateError(
            f"Nothing was deleted: {lake.location.data} holds {len(unlisted)} Parquet files that the catalog "
            f"{hide_password(lake.location.catalog)} does not list (such as {unlisted[0]}) and {listed} that it "
            "does, so it may be an old or a wrong catalog: put the right one back, or move these files away yourself."
        )


def _list_expired(lake: Lake, keep: timedelta) -> list[int]:
    pinned = {snapshot for (snapshot,) in lake.rows(read_query("pinned_snapshots"))} | {lake.snapshot()}
    limit = (datetime.now(UTC) - keep).isoformat()
    old = lake.rows(
        "SELECT snapshot_id FROM lake.snapshots() WHERE snapshot_time < CAST(? AS TIMESTAMPTZ)", (limit,)
    )
    return sorted(snapshot for (snapshot,) in old if snapshot not in pinned)


def forget_snapshots(lake: Lake, snapshots: Sequence[int], *, dry_run: bool, empty_trash: bool = True) -> int:
    """Forget snapshots and take what DuckLake has scheduled for deletion out of the lake.

    Args:
        lake: The lake; hold its lock.
        snapshots: Their numbers.
        dry_run: Change nothing.
        empty_trash: Delete them and all that is in the trash at once, so that nothing of them stays on the disk.

    Returns:
        The number of files.
    """
    lake.rows("BEGIN")
    try:
        if snapshots:
            lake.rows(f"CALL ducklake_expire_snapshots('lake', versions => {list(snapshots)})")
        scheduled = lake.rows("CALL ducklake_cleanup_old_files('lake', cleanup_all => true, dry_run => true)")
        lake.rows("ROLLBACK" if dry_run else "COMMIT")
    except BaseException:
        with contextlib.suppress(Exception):  # a failed COMMIT has rolled back already
            lake.rows("ROLLBACK")
        raise
    if dry_run:
        return len(scheduled)
    if not is_local(lake.location.data):
        return len(lake.rows("CALL ducklake_cleanup_old_files('lake', cleanup_all => true)"))
    listed = {Path(file.path).name for file in lake.files.list_data_files()}
    dead = [Path(path) for (path,) in scheduled if Path(path).name not in listed]
    lake.files.move_to_trash(dead)
    lake.files.forget_scheduled_files(dead)
    if empty_trash:
        _empty_trash(lake, timedelta(0), dry_run=False)
    return len(dead)


def _empty_trash(lake: Lake, grace: timedelta, *, dry_run: bool) -> int:
    """Delete what has been in the trash for longer than `grace`; returns the number of files."""
    if not is_local(lake.location.data):
        return 0
    listed = {Path(file.path).name for file in lake.files.list_data_files()}
    expired = list_expired(Path(lake.location.data) / TRASH, grace)
    expired = [path for path in expired if path.name not in listed]  # `curate check --repair` puts those back
    if not dry_run:
        for path in expired:
            path.unlink(missing_ok=True)
    return len(expired)


def _choose_orphans(lake: Lake) -> list[str]:
    """List the orphans that may be deleted."""
    candidates = lake.files.list_orphans(older_than=_limit_age(lake))
    ours = [file for file in candidates if OUR_NAMES.fullmatch(file.rpartition("/")[2])]
    if not is_local(lake.location.data) and len(ours) < len(
        candidates
    ):  # DuckLake deletes there, and knows no names
        foreign = next(file for file in candidates if file not in ours)
        raise CurateError(
            f"No orphan was deleted: {foreign} has no name that curate or DuckLake gives, so move it out of the bucket."
        )
    return ours


def _delete_orphans(lake: Lake, files: Sequence[str]) -> None:
    if is_local(lake.location.data):
        lake.files.move_to_trash([Path(file) for file in files])
    elif files:
        lake.rows(f"CALL ducklake_delete_orphaned_files('lake', older_than => {_limit_age(lake)})")


def _limit_age(lake: Lake) -> str:
    """Return, as SQL, when an orphan must have been written to be deleted: a day ago, before the latest snapshot."""
    latest = lake.value("SELECT max(snapshot_time) FROM lake.snapshots()")
    return f"least({_DAY_AGO}, CAST('{latest}' AS TIMESTAMPTZ))"
