"""The data files of a lake: which there are, which the catalog names, whose they are, and those on their way out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import duckdb

from curate.core.durable import sync_files
from curate.lake.attach import Location
from curate.lake.bucket_files import compute_object_checksum, has_pending_files, settle_bucket
from curate.lake.checksums import (
    Checksum,
    compute_checksum,
    forget_checksums,
    read_checksums,
    record_checksums,
)
from curate.lake.data_folder import (
    Claim,
    DataFile,
    count_listed,
    forget_scheduled_files,
    has_claim,
    has_files,
    is_local,
    list_claims,
    list_data_files,
    list_files,
    list_scheduled,
    read_claim,
    write_claim,
)
from curate.lake.trash import PENDING, TRASH, is_kept, list_kept, move_files, return_kept_files


class LakeFiles:
    """The files in the data folder, or the bucket, of an open lake."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        location: Location,
        lock: Callable[[], contextlib.AbstractContextManager[None]],
        rows: Callable[[str], list[tuple[Any, ...]]],
    ) -> None:
        """Take the parts of a lake.

        Args:
            connection: Connection that the catalog is attached to.
            location: Where catalog and data are.
            lock: Takes the lock of all writers.
            rows: Asks the lake.
        """
        self._connection = connection
        self._catalog, self._data = location.catalog, location.data
        self._lock, self._rows = lock, rows

    @property
    def claim(self) -> Claim:
        """The mark that this catalog leaves in its data folder, so that no other one cleans up there."""
        return read_claim(self._connection, self._catalog, self._data)

    def list_claims(self) -> dict[str, Claim]:
        """List the claims in the data folder, by the path of their file."""
        return list_claims(self._connection, self._data)

    def write_claim(self) -> None:
        """Leave the claim of this catalog in its data folder."""
        write_claim(self._connection, self._data, self.claim)

    def list_files(self) -> list[str]:
        """List the Parquet files in the data folder that the catalog knows, as TABLE/FILE."""
        unknown = {_in_table(file) for file in self.list_orphans()}
        files = map(_in_table, list_files(self._connection, self._data))
        return sorted(file for file in files if file not in unknown)

    def list_data_files(self) -> list[DataFile]:
        """List the data files that the catalog names for any snapshot."""
        return list_data_files(self._connection, self._data)

    def list_stored_files(self) -> list[str]:
        """List the Parquet files in the data folder, whether the catalog names them or not, the trash included."""
        kept = [*self.list_kept(PENDING).values(), *self.list_kept(TRASH).values()]
        return [*list_files(self._connection, self._data), *map(str, kept)]

    def read_checksums(self) -> dict[str, Checksum]:
        """Read the checksums of data files, by the names of the files."""
        return read_checksums(self._connection)

    def find_unnamed_files(self) -> list[str]:
        """List the Parquet files in the data folder that the catalog does not name; works read-only too."""
        named = {Path(file.path).name for file in self.list_data_files()}
        named |= list_scheduled(self._connection)
        files = list_files(self._connection, self._data)
        return sorted(file for file in files if Path(file).name not in named)

    def forget_checksums(self) -> None:
        """Remove the checksums of files that the catalog names no longer."""
        named = {Path(file.path).name for file in self.list_data_files()}
        forget_checksums(self._connection, set(self.read_checksums()) - named)

    def list_orphans(self, older_than: str | None = None) -> list[str]:
        """List the Parquet files in the data folder that the catalog does not know.

        `older_than`: a point in time, as SQL; default: files of any age.
        """
        which = f"older_than => {older_than}" if older_than else "cleanup_all => true"
        orphans = self._rows(f"CALL ducklake_delete_orphaned_files('lake', dry_run => true, {which})")
        return [file for (file,) in orphans if not is_kept(file)]

    def list_kept(self, folder: str) -> dict[str, Path]:
        """List the files in a folder of kept files (`PENDING` or `TRASH`), by their names."""
        return list_kept(Path(self._data) / folder) if is_local(self._data) else {}

    def return_kept_files(self, folder: str) -> list[Path]:
        """Put back the kept files that the catalog lists and that are missing; returns them. Hold the lock."""
        if not self.list_kept(folder):
            return []
        return return_kept_files(Path(self._data) / folder, self.list_data_files())

    def move_to_trash(self, files: Collection[Path]) -> int:
        """Move files that the catalog does not list to the trash; returns how many were there. Hold the lock."""
        return move_files(files, Path(self._data) / TRASH) if files else 0

    def forget_scheduled_files(self, files: Collection[Path]) -> None:
        """Take files that are no longer in the data folder from DuckLake's list of what is to be deleted."""
        forget_scheduled_files(self._connection, {file.name for file in files})

    def settle_pending(self, *, read_only: bool) -> None:
        """Undo what a failed commit or a killed process has left: put back what the catalog lists, drop the rest.

        What the catalog does not list goes to the trash, where it does no harm.
        """
        if not is_local(self._data):
            if not read_only and has_pending_files(self._data):
                with self._lock():
                    settle_bucket(self._data, self.list_data_files(), drop_unlisted=True)
            return
        kept = self.list_kept(PENDING)
        if not kept:
            return
        if read_only:
            listed = [Path(file.path) for file in self.list_data_files() if Path(file.path).name in kept]
            if not all(path.exists() for path in listed):
                with contextlib.suppress(OSError), self._lock():
                    self.return_kept_files(PENDING)
            return
        with self._lock():
            self.recover_pending()
            self.move_to_trash(list(self.list_kept(PENDING).values()))

    def recover_pending(self) -> None:
        """Put back what a commit has brought into the catalog although it failed, with the checksums."""
        if not is_local(self._data):
            if has_pending_files(self._data):
                settle_bucket(self._data, self.list_data_files(), drop_unlisted=False)
        elif kept := self.list_kept(PENDING):
            self.return_kept_files(PENDING)
            self.record_unlisted_files(kept)

    def claim_folder(self) -> None:
        """Leave the claim of this catalog in a data folder that holds files of it, or where both are new.

        A catalog that is opened over the wrong data folder leaves none, nor one whose disk is not there.
        """
        claim, data = self.claim, self._data
        if has_claim(self._connection, data, claim):
            return
        with self._lock():
            both_new = not has_files(self._connection, data) and not count_listed(self._connection)
            if both_new or self.list_files():
                write_claim(self._connection, data, claim)

    def record_unlisted_files(self, names: Collection[str] | None = None) -> int:
        """Record the checksums of data files that have none, as they are now; returns their number.

        `names`: consider only these.
        """
        known = read_checksums(self._connection)
        listed = self.list_data_files()
        remote = [file.path for file in listed if not is_local(file.path) and _name_file(file) not in known]
        if names is None and remote:
            record_checksums(self._connection, [compute_object_checksum(path) for path in remote])
        paths = [Path(file.path) for file in listed if is_local(file.path)]
        new = [path for path in paths if path.name not in known and path.is_file()]
        if names is not None:
            new = [path for path in new if path.name in names]
        sync_files(new)
        record_checksums(self._connection, [compute_checksum(path) for path in new])
        return len(new) + (len(remote) if names is None else 0)


def _name_file(file: DataFile) -> str:
    return file.path.rpartition("/")[2]


def _in_table(file: str) -> str:
    return "/".join(file.split("/")[-2:])
