"""The files of a lake in a bucket: which ones a transaction has written, their checksums, and what keeps them safe.

DuckLake deletes the files of a transaction whose commit fails, also where the catalog has kept the commit and only the
answer was lost. So files of DuckLake's have a copy in the bucket's folder `curate-pending` while the commit is at work,
as those of a local folder have a second name (`curate.lake.new_files`, `curate.lake.trash`).
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from curate.lake.bucket import open_file_system, strip_scheme
from curate.lake.checksums import Checksum
from curate.lake.data_folder import DataFile, is_local
from curate.lake.trash import PENDING

_BLOCK = 1 << 20


def compute_object_checksum(path: str) -> Checksum:
    """Read an object block by block and return its checksum.

    Raises:
        FileNotFoundError: There is none.
        OSError: The server does not give it.
    """
    digest, size = hashlib.sha256(), 0
    with open_file_system().open_input_stream(strip_scheme(path)) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return Checksum(path.rpartition("/")[2], size, digest.hexdigest())


class NewBucketFiles:
    """Finds the files that DuckLake writes inside a transaction, as `NewFiles` does in a local folder."""

    def __init__(self, data: str) -> None:
        self._root = strip_scheme(data).rstrip("/")
        self._before: dict[str, frozenset[str]] = {}
        self._all_tables = False
        self._done: dict[str, Checksum] = {}
        self._kept: list[str] = []

    def watch_table(self, table: str) -> None:
        """Remember the files of a table, before a statement writes to it."""
        if table not in self._before:
            self._before[table] = _list_names(f"{self._root}/main/{table}")

    def watch_tables(self) -> None:
        """Remember the files of all tables."""
        self._all_tables = True
        for table in _list_names(f"{self._root}/main"):
            self.watch_table(table)

    def add_checksum(self, checksum: Checksum) -> None:
        """Add a file of ours, with its checksum."""
        self._done[checksum.file] = checksum

    def secure_files(self) -> list[Checksum]:
        """Copy the new files of DuckLake; returns the checksums of all that were added."""
        files = open_file_system()
        for path in self._list_new():
            checksum = compute_object_checksum(path)
            self._done[checksum.file] = checksum
            kept = f"{self._root}/{PENDING}/{path.partition('/main/')[2].replace('/', '--')}"
            files.copy_file(path, kept)
            self._kept.append(kept)
        return list(self._done.values())

    def release_files(self) -> None:
        """Remove the copies, once the commit has succeeded."""
        _delete_files(self._kept)

    def _list_new(self) -> list[str]:
        tables = _list_names(f"{self._root}/main") if self._all_tables else self._before
        return [
            f"{self._root}/main/{table}/{name}"
            for table in sorted(tables)
            for name in sorted(
                _list_names(f"{self._root}/main/{table}") - self._before.get(table, frozenset())
            )
            if name.startswith("ducklake-")
        ]


def settle_bucket(data: str, listed: Iterable[DataFile], *, drop_unlisted: bool) -> list[str]:
    """Put back what the catalog lists and has lost, and remove those copies.

    Args:
        data: The bucket's URL.
        listed: The files that the catalog lists.
        drop_unlisted: Remove all other copies too: hold the lock, or they may be those of a writer at work.

    Returns:
        The files that were put back.
    """
    root = strip_scheme(data).rstrip("/")
    kept = {name.rpartition("--")[2]: f"{root}/{PENDING}/{name}" for name in _list_names(f"{root}/{PENDING}")}
    if not kept:
        return []
    files, returned, settled = open_file_system(), list[str](), list[str]()
    for file in listed:
        copy, path = kept.get(file.path.rpartition("/")[2]), strip_scheme(file.path)
        if copy is None:
            continue
        if not _exists(files, path):
            files.copy_file(copy, path)
            returned.append(file.path)
        settled.append(copy)
    _delete_files(kept.values() if drop_unlisted else settled)
    return returned


def download_object(path: str, target: Path) -> None:
    """Write an object into a file.

    Raises:
        FileNotFoundError: There is none.
        OSError: The server does not give it, or the file cannot be written.
    """
    with open_file_system().open_input_stream(strip_scheme(path)) as stream, target.open("wb") as file:
        shutil.copyfileobj(stream, file, _BLOCK)


def upload_file(source: Path, path: str) -> None:
    """Write a file into an object.

    Raises:
        OSError: The file cannot be read, or the server does not take it.
    """
    with source.open("rb") as file, open_file_system().open_output_stream(strip_scheme(path)) as stream:
        shutil.copyfileobj(file, stream, _BLOCK)


def list_objects(data: str) -> list[str]:
    """List all objects under a bucket's URL, by their paths below it."""
    from pyarrow import fs

    root = strip_scheme(data).rstrip("/")
    selector = fs.FileSelector(root, allow_not_found=True, recursive=True)
    infos = open_file_system().get_file_info(selector)
    return sorted(info.path.removeprefix(f"{root}/") for info in infos if info.type == fs.FileType.File)


def delete_data_file(path: str) -> None:
    """Delete a data file, in a folder (where it may have gone already) or in a bucket.

    Raises:
        OSError: The disk or the server does not let it be deleted.
    """
    if is_local(path):
        Path(path).unlink(missing_ok=True)
    else:
        open_file_system().delete_file(strip_scheme(path))


def has_pending_files(data: str) -> bool:
    """Tell whether a transaction is at work, or was cut off."""
    return bool(_list_names(f"{strip_scheme(data).rstrip('/')}/{PENDING}"))


def _list_names(folder: str) -> frozenset[str]:
    from pyarrow import fs

    selector = fs.FileSelector(folder, allow_not_found=True)
    return frozenset(info.base_name for info in open_file_system().get_file_info(selector) if info.base_name)


def _exists(files: Any, path: str) -> bool:
    from pyarrow import fs

    return bool(files.get_file_info(path).type == fs.FileType.File)


def _delete_files(paths: Iterable[str]) -> None:
    files = open_file_system()
    for path in paths:
        with contextlib.suppress(OSError):  # what stays goes when the lake is next opened
            files.delete_file(path)
