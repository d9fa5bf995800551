"""Which question of a provider's batch API is in which batch: hashes and ids in SQLite, no texts and no answers.

A batch is written down before it is sent, and its id when the provider has given one. So a process that is killed
anywhere leaves behind what the next one needs to collect the answers, and none is paid twice.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

_TABLES = """
CREATE TABLE IF NOT EXISTS batches (
    server TEXT, key TEXT PRIMARY KEY, file_id TEXT, batch_id TEXT, made_at REAL
);
CREATE TABLE IF NOT EXISTS calls (
    server TEXT, custom_id TEXT, key TEXT, attempts INTEGER, PRIMARY KEY (server, custom_id)
);
"""
_KEPT_DAYS = 60  # providers keep results for about thirty


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A batch that is written down. `batch_id`: None while nobody knows whether the provider has it."""

    key: str
    file_id: str | None
    batch_id: str | None
    made_at: float


class BatchStore:
    """The batches of one server, in a file that several processes may use.

    Args:
        path: File in the workspace.
        server: Address of the server.
    """

    def __init__(self, path: Path, server: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.server = path, server
        with self._connect() as connection:
            connection.executescript(_TABLES)
            connection.execute("DELETE FROM batches WHERE made_at < ?", [time.time() - 86400 * _KEPT_DAYS])
            connection.execute("DELETE FROM calls WHERE key NOT IN (SELECT key FROM batches)")

    def lock(self) -> FileLock:
        """Return the lock under which batches are sent, so that two processes send no question twice."""
        return FileLock(f"{self.path}.lock")

    def find_calls(self, custom_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Map those calls that are in a batch to its key and the number of their batches so far."""
        rows: dict[str, tuple[str, int]] = {}
        with self._connect() as connection:
            for start in range(0, len(custom_ids), 500):
                part = custom_ids[start : start + 500]
                marks = ",".join("?" * len(part))
                query = (
                    f"SELECT custom_id, key, attempts FROM calls WHERE server = ? AND custom_id IN ({marks})"
                )
                rows |= {
                    name: (key, tries) for name, key, tries in connection.execute(query, [self.server, *part])
                }
        return rows

    def list_batches(self) -> dict[str, SentBatch]:
        """List the batches by key."""
        query = "SELECT key, file_id, batch_id, made_at FROM batches WHERE server = ?"
        with self._connect() as connection:
            return {row[0]: SentBatch(*row) for row in connection.execute(query, [self.server])}

    def begin_batch(self, attempts: Mapping[str, int]) -> str:
        """Write down a batch before it is sent.

        Args:
            attempts: Its calls, and which batch of each call this is.

        Returns:
            Its key.
        """
        key = uuid.uuid4().hex
        rows = [(self.server, custom_id, key, number) for custom_id, number in attempts.items()]
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO batches VALUES (?, ?, NULL, NULL, ?)", [self.server, key, time.time()]
            )
            connection.executemany("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?)", rows)
        return key

    def set_file(self, key: str, file_id: str) -> None:
        """Write down the id of a batch's uploaded file."""
        with self._connect() as connection:
            connection.execute("UPDATE batches SET file_id = ? WHERE key = ?", [file_id, key])

    def set_batch(self, key: str, batch_id: str) -> None:
        """Write down the id that the provider gave a batch."""
        with self._connect() as connection:
            connection.execute("UPDATE batches SET batch_id = ? WHERE key = ?", [batch_id, key])

    def drop_batch(self, key: str) -> None:
        """Forget a batch that the provider does not have, or has refused as a whole: its calls are new again."""
        with self._connect() as connection:
            connection.execute("DELETE FROM calls WHERE key = ?", [key])
            connection.execute("DELETE FROM batches WHERE key = ?", [key])

    def drop_calls(self, custom_ids: Sequence[str]) -> None:
        """Forget calls, so that a later run asks them as new ones."""
        rows = [(self.server, custom_id) for custom_id in custom_ids]
        with self._connect() as connection:
            connection.executemany("DELETE FROM calls WHERE server = ? AND custom_id = ?", rows)

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=60)
        try:
            with connection:
                yield connection
        finally:
            connection.close()
