"""Files on their way out of a local data folder, kept until it is certain that no catalog needs them.

Beside the tables' files there may be two folders:

- `curate-pending`: second names of the files that a transaction has written, while its commit is at work. DuckLake
  deletes its new files when a commit fails; it does so also where SQLite has kept the commit, and only a step after it
  has failed. What the catalog then lists is put back from here.
- `curate-trash`: what `curate gc` has taken out of the lake, for a time of grace.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

from curate.core.durable import sync_files
from curate.lake.data_folder import DataFile

PENDING = "curate-pending"
TRASH = "curate-trash"
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)  # of some file systems


def list_kept(folder: Path) -> dict[str, Path]:
    """List the files in a folder of kept files, by their names, which are unique in a lake."""
    try:
        return {path.name: path for path in sorted(folder.iterdir()) if path.suffix == ".parquet"}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def is_kept(path: str) -> bool:
    """Tell whether a path is that of a kept file."""
    return Path(path).parent.name in (PENDING, TRASH)


def keep_second_names(files: Sequence[Path], folder: Path) -> None:
    """Give files a second name in a folder, or copy them where the file system knows no second names."""
    if not files:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        target = folder / file.name
        target.unlink(missing_ok=True)
        try:
            os.link(file, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copyfile(file, target)


def move_files(files: Iterable[Path], folder: Path) -> int:
    """Move files to a folder and date them now; returns how many were there."""
    folder.mkdir(parents=True, exist_ok=True)
    moved = 0
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            os.utime(file)
            file.replace(folder / file.name)
            moved += 1
    return moved


def return_kept_files(folder: Path, listed: Iterable[DataFile]) -> list[Path]:
    """Move the kept files that the catalog lists to where it expects them; returns those that were missing there.

    Args:
        folder: The folder of kept files.
        listed: The files that the catalog lists.
    """
    kept = list_kept(folder)
    returned = []
    for file in listed if kept else ():
        path, source = Path(file.path), kept.get(Path(file.path).name)
        if source is None or source.stat().st_size != file.bytes:
            continue
        if path.exists():
            if path.samefile(source):
                source.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        source.replace(path)
        returned.append(path)
    sync_files(returned)
    return returned


def list_expired(folder: Path, grace: timedelta) -> list[Path]:
    """List the kept files that have been there for longer than `grace`."""
    limit = time.time() - grace.total_seconds()
    return [path for path in list_kept(folder).values() if path.stat().st_mtime <= limit]
