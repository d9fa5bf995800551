"""Tasks on a SQLite catalog itself, as a program of its own: `sqlite_task.py TASK CATALOG [TARGET]`.

DuckDB brings its own SQLite. Two of them in one process may not open one file: when the one closes it, the system drops
the locks of the other. So this runs beside, with nothing but Python's standard library, and prints JSON.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

_SECONDS = 30.0  # to wait for a writer


def examine_catalog(catalog: str, target: str) -> dict[str, Any]:
    """Return what SQLite finds wrong (nothing: an empty list), the digest of all pages, and the newest snapshot."""
    try:
        with closing(_open_catalog(catalog, "ro")) as connection:
            problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
            digest = hashlib.sha256(connection.serialize()).hexdigest()
            snapshot = connection.execute("SELECT max(snapshot_id) FROM ducklake_snapshot").fetchone()[0]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return {"problems": [str(error)], "digest": "", "snapshot": None}
    return {"problems": [] if problems == ["ok"] else problems, "digest": digest, "snapshot": snapshot}


def seal_catalog(catalog: str, target: str) -> dict[str, Any]:
    """Write the digest of all pages to `target`, after what is in the write-ahead log has come into the file."""
    with closing(_open_catalog(catalog, "rw")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        digest = hashlib.sha256(connection.serialize()).hexdigest()
    seal = {"sha256": digest}
    new = Path(f"{target}.new")
    new.write_text(json.dumps(seal) + "\n", encoding="utf-8")
    new.replace(target)
    return seal


def copy_catalog(catalog: str, target: str) -> dict[str, Any]:
    """Copy the catalog as it is at one moment to `target`."""
    with closing(_open_catalog(catalog, "ro")) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return {}


def vacuum_catalog(catalog: str, target: str) -> dict[str, Any]:
    """Write the catalog anew, so that no page keeps what was deleted, and empty the write-ahead log."""
    with closing(_open_catalog(catalog, "rw")) as connection:
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return {"busy": bool(busy)}


def _open_catalog(catalog: str, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{Path(catalog).resolve().as_uri()}?mode={mode}", uri=True, timeout=_SECONDS)


if __name__ == "__main__":
    tasks = {
        "examine": examine_catalog,
        "seal": seal_catalog,
        "copy": copy_catalog,
        "vacuum": vacuum_catalog,
    }
    print(json.dumps(tasks[sys.argv[1]](sys.argv[2], (sys.argv[3:] or [""])[0])))
