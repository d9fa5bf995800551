"""One scheduled run of a project at a time: the lock of a dead process is free at once, whatever the server knows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from filelock import FileLock, Timeout

from curate.config.project import Config


@contextlib.contextmanager
def hold_run_lock(config: Config) -> Iterator[bool]:
    """Yield whether no other run of this project holds the lock; if so, hold it until the end of the block."""
    workspace = config.resolve(config.workspace)
    workspace.mkdir(parents=True, exist_ok=True)
    lock = FileLock(workspace / "curation.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
