"""A SQLite catalog as a file: whether it is whole, its seal, and its copy.

The seal is a file `catalog.sqlite.seal` with the digest of the catalog. A writer removes it before it changes
anything, and writes it when it closes the lake. A catalog that was damaged, or replaced by an older copy, does not fit
its seal. A killed process leaves no seal, and then damage shows only as far as SQLite notices.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from curate.core.errors import CurateError

_TICK = 50_000_000  # nanoseconds: more than the resolution of the times of any file system on a disk
_PROGRAM = Path(__file__).with_name("sqlite_task.py")


@dataclass(frozen=True, slots=True)
class CatalogState:
    """`problems`: what SQLite says is wrong. `sealed`: whether there is a seal. `fits`: whether it is right."""

    problems: tuple[str, ...]
    snapshot: int | None
    sealed: bool
    fits: bool


def name_seal(catalog: str) -> Path:
    """Return the path of a catalog's seal."""
    return Path(f"{catalog}.seal")


def read_change_mark(catalog: str) -> tuple[int, int] | None:
    """Return size and time of the write-ahead log, of which one changes with each transaction, without opening it.

    None: the log is not there, or it was written so lately that a second change might carry the same time.
    """
    try:
        log = os.stat(f"{catalog}-wal")  # noqa: PTH116  # a thousand times a second
    except OSError:
        return None
    is_recent = time.time_ns() - log.st_mtime_ns < _TICK
    return None if is_recent else (log.st_size, log.st_mtime_ns)


def remove_seal(catalog: str) -> None:
    """Remove the seal, before the catalog changes."""
    name_seal(catalog).unlink(missing_ok=True)


def write_seal(catalog: str) -> None:
    """Write the seal of the catalog as it is now. Hold the lake's lock."""
    _run_task("seal", catalog, str(name_seal(catalog)))


def examine_catalog(catalog: str) -> CatalogState:
    """Have SQLite check all pages, and compare the catalog with its seal. Hold the lake's lock."""
    state = _run_task("examine", catalog)
    sealed, fits = name_seal(catalog).exists(), False
    if sealed:
        try:
            content = name_seal(catalog).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            content = ""
        fits = content == json.dumps({"sha256": state["digest"]}) + "\n"
    return CatalogState(tuple(state["problems"]), state["snapshot"], sealed, fits)


def copy_catalog(catalog: str, target: Path) -> None:
    """Copy the catalog by SQLite's backup API, which leaves writers at work alone."""
    _run_task("copy", catalog, str(target))


def vacuum_catalog(catalog: str) -> bool:
    """Take deleted rows out of the file itself; False where another process keeps some in the write-ahead log.

    Hold the lake's lock.
    """
    return not _run_task("vacuum", catalog)["busy"]


def _run_task(
    task: Literal["examine", "seal", "copy", "vacuum"], catalog: str, target: str = ""
) -> dict[str, Any]:
    command = [sys.executable, "-I", "-S", str(_PROGRAM), task, catalog, target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it was ended"])[-1]
        raise CurateError(f"The catalog {catalog} cannot be read as a SQLite file: {reason}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
