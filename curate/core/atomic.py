"""Files and folders that are replaced as a whole, and never anything that somebody else wrote.

A reader sees the old content or the new one, never half of one. What is being written lies beside its place, in a
folder `.NAME.curate-tmp-xxxxxxxx`. A killed process leaves that folder behind; the next process that writes to the
same place removes it, and nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from curate.core.errors import CurateError

_MARK = ".curate-tmp-"  # in the names of temporary folders: nobody else's file is called so
_NEW, _PREVIOUS = "new", "previous"  # in a temporary folder
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux's renameat2

ListOwned = Callable[[Path], Collection[str]]
"""Lists the files in a folder that we wrote, as relative paths with slashes."""


@contextlib.contextmanager
def atomic_directory(target: Path, *, owned: ListOwned, noun: str) -> Iterator[Path]:
    """Yield a new folder that takes the place of `target` when the block ends well; otherwise nothing changes.

        with atomic_directory(path, owned=list_model_files, noun="a reward model") as folder:
            (folder / "config.json").write_text("{}")

    Args:
        target: The folder to make or to replace.
        owned: Lists the files of `target` that may be lost. A folder that holds any other file is refused.
        noun: What such a folder is, for the error message.

    Raises:
        CurateError: `target` is a file, or holds a file that is not ours.
    """
    target = target.resolve()
    refuse_foreign(target, owned=owned, noun=noun)
    with temporary_beside(target) as temporary:
        folder = temporary / _NEW
        folder.mkdir()
        yield folder
        refuse_foreign(target, owned=owned, noun=noun)  # again: the block may have taken hours
        _swap_folders(folder, target, previous=temporary / _PREVIOUS)


@contextlib.contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield the path of a file to write, which takes the place of `target` when the block ends well."""
    target = target.resolve()
    with temporary_beside(target) as temporary:
        yield temporary / target.name
        os.replace(temporary / target.name, target)  # noqa: PTH105 (the name says that it overwrites)


@contextlib.contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """Yield an empty folder on the disk of `target`, and remove it at the end. Folders of killed processes go too."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(target)
    folder, lock = _make_locked_folder(target)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def refuse_foreign(target: Path, *, owned: ListOwned, noun: str) -> None:
    """Raise CurateError unless `target` is missing, empty, or a folder in which every file is ours."""
    if not target.exists():
        return
    if not target.is_dir():
        raise CurateError(
            f"{target} is a file, and {noun} is a folder: name another path or remove the file."
        )
    files = {
        path.relative_to(target).as_posix()
        for path in target.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    foreign = sorted(files.difference(owned(target)))
    if foreign:
        raise CurateError(
            f"{target} holds files that are not part of {noun} ({foreign[0]}), so it is left alone: "
            "name another folder or empty this one."
        )


def refuse_overwrite(
    path: Path, *, force: bool = False, is_ours: Callable[[Path], bool] | None = None, noun: str | None = None
) -> None:
    """Raise CurateError where writing to `path` would lose somebody's file.

    Args:
        path: The file to write.
        force: The user has said that the file may be lost.
        is_ours: Whether a file that is there is an earlier one of the same command; default: none is.
        noun: What the command writes, for the error message.
    """
    if path.is_dir():
        raise CurateError(f"{path} is a folder: name a file.")
    # A pipe or a device has no content to lose, and neither has an empty file.
    if force or not path.is_file() or path.stat().st_size == 0 or (is_ours is not None and is_ours(path)):
        return
    other = f" and is not {noun}" if noun else " already"
    raise CurateError(
        f"{path} exists{other}, so it is left alone: name another file, or overwrite it with --force."
    )


@contextlib.contextmanager
def open_output(
    path: Path, *, force: bool = False, is_ours: Callable[[Path], bool] | None = None, noun: str | None = None
) -> Iterator[BinaryIO]:
    """Open a file that a command was told to write, under the rule of `refuse_overwrite`.

    A regular file appears whole or not at all. Standard output (`-` or /dev/stdout) is never opened anew: that would
    empty the file it is redirected to.

    Raises:
        CurateError: The file is somebody else's, or cannot be written.
    """
    if str(path) in ("-", "/dev/stdout"):
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    refuse_overwrite(path, force=force, is_ours=is_ours, noun=noun)
    try:
        if path.exists() and not path.is_file():  # a pipe or a device
            with path.open("wb") as stream:
                yield stream
        else:
            with atomic_file(path) as file, file.open("wb") as stream:
                yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CurateError(f"Cannot write {path}: {error.strerror or error}.") from error


def _make_locked_folder(target: Path) -> tuple[Path, int]:
    """Make a temporary folder and lock it, so that others see that its process lives; returns the open lock too."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}{_MARK}", dir=target.parent))
        lock = os.open(folder, os.O_RDONLY)
        with contextlib.suppress(
            OSError
        ):  # some network file systems lock no folders, and then nobody removes it
            fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)  # another process took it for a leftover before it was locked


def _clear_leftovers(target: Path) -> None:
    """Remove the temporary folders that killed processes left beside `target`.

    Where one was killed between two renames, the folder that it was replacing is put back.
    """
    name = re.compile(re.escape(f".{target.name}{_MARK}") + "[a-z0-9_]{8}")
    leftovers = [path for path in target.parent.iterdir() if name.fullmatch(path.name)]
    for folder in leftovers:
        if folder.is_symlink() or not folder.is_dir():
            continue
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while the process lives
                if (folder / _PREVIOUS).exists() and not target.exists():
                    os.rename(folder / _PREVIOUS, target)  # noqa: PTH104
                shutil.rmtree(folder)
            finally:
                os.close(lock)


def _swap_folders(folder: Path, target: Path, *, previous: Path) -> None:
    """Rename `folder` to `target`; a folder that is there moves to where `folder` was, or to `previous`."""
    try:
        os.rename(folder, target)  # noqa: PTH104 (works where there is none, or an empty one)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    else:
        return
    if not _exchange_names(folder, target):
        os.rename(target, previous)  # noqa: PTH104
        os.rename(folder, target)  # noqa: PTH104


def _exchange_names(one: Path, other: Path) -> bool:
    """Swap two paths in one step; False where the system or the file system cannot (NFS)."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return bool(renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0)
