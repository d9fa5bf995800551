"""Bring files to the disk, so that what names them later never names an empty file after a power cut."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_NOT_SUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)  # a file system without fsync for folders


def sync_files(files: Iterable[Path]) -> None:
    """Return when the contents of `files` and their names in their folders are on the disk."""
    folders = set[Path]()
    for file in files:
        _sync_path(file)
        folders.add(file.parent)
    for folder in folders:
        with contextlib.suppress(PermissionError):  # a folder that may be written, but not listed
            _sync_folder(folder)


@contextlib.contextmanager
def name_file_in_errors(path: Path) -> Iterator[None]:
    """Let errors of an open file say which one it is: those of read, write and fsync do not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def _sync_folder(folder: Path) -> None:
    try:
        _sync_path(folder)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise


def _sync_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with name_file_in_errors(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
