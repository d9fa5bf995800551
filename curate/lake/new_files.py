"""Which files a transaction has written: they are brought to the disk before the catalog names them.

While the commit is at work they have a second name (`curate.lake.trash`), so that no error of it can lose them.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from curate.core.durable import sync_files
from curate.lake.checksums import Checksum, compute_checksum
from curate.lake.data_folder import is_local
from curate.lake.trash import PENDING, keep_second_names


class NewFiles:
    """Finds the files that DuckLake writes inside a transaction, by what appears in the folders of its tables.

    It works because writers take turns: nobody else's transaction writes a file of that name meanwhile. A bucket keeps
    what it has taken, so there is nothing to do for one.
    """

    def __init__(self, data: str) -> None:
        self._folder = Path(data) / "main" if is_local(data) else None
        self._pending = Path(data) / PENDING
        self._kept: list[Path] = []
        self._before: dict[str, frozenset[str]] = {}
        self._all_tables = False
        self._done: dict[str, Checksum] = {}

    def watch_table(self, table: str) -> None:
        """Remember the files of a table, before a statement writes to it."""
        if self._folder is not None and table not in self._before:
            self._before[table] = _list_names(self._folder / table)

    def watch_tables(self) -> None:
        """Remember the files of all tables."""
        self._all_tables = True
        for table in self._list_tables():
            self.watch_table(table)

    def add_checksum(self, checksum: Checksum) -> None:
        """Add a file that is on the disk already, with its checksum."""
        self._done[checksum.file] = checksum

    def secure_files(self) -> list[Checksum]:
        """Bring the new files to the disk and give them second names; returns the checksums of all that were added."""
        new = [path for path in self._list_new() if path.name not in self._done]
        sync_files(new)
        for path in new:
            self._done[path.name] = compute_checksum(path)
        self._kept = [self._pending / path.name for path in new]
        keep_second_names(new, self._pending)
        return list(self._done.values())

    def release_files(self) -> None:
        """Remove the second names, once the commit has succeeded. What stays goes when the lake is next opened."""
        with contextlib.suppress(OSError):
            for path in self._kept:
                path.unlink(missing_ok=True)

    def _list_new(self) -> list[Path]:
        if self._folder is None:
            return []
        return [
            self._folder / table / name
            for table in (self._list_tables() if self._all_tables else self._before)
            for name in sorted(_list_names(self._folder / table) - self._before.get(table, frozenset()))
        ]

    def _list_tables(self) -> list[str]:
        if self._folder is None or not self._folder.is_dir():
            return []
        return [folder.name for folder in self._folder.iterdir()]


def _list_names(folder: Path) -> frozenset[str]:
    """List the names that DuckLake gave in a folder."""
    try:
        return frozenset(path.name for path in folder.iterdir() if path.name.startswith("ducklake-"))
    except FileNotFoundError:
        return frozenset()
