"""The workspace's tables: a DuckLake, that is Parquet files under a SQL catalog (SQLite or PostgreSQL).

Writers take turns: DuckLake's snapshot isolation lets two processes insert the same id at once, since it
knows no keys, so each write transaction runs under one lock of the catalog (a file lock for SQLite, an
advisory lock for PostgreSQL). What is slow (parsing, judging) happens outside the lock.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar

import duckdb
import polars as pl
import pyarrow as pa
from filelock import FileLock, Timeout

from curate.core.errors import CurateError
from curate.core.resources import find_resource
from curate.lake.attach import Location, attach_lake, attach_store
from curate.lake.bucket_files import (
    NewBucketFiles,
)
from curate.lake.catalog_file import read_change_mark, remove_seal, write_seal
from curate.lake.catalog_lock import CatalogLock
from curate.lake.checksums import record_checksums
from curate.lake.data_folder import (
    METADATA,
    hide_password,
    is_local,
)
from curate.lake.empty_tables import add_missing_statistics
from curate.lake.execute import execute
from curate.lake.lake_files import LakeFiles
from curate.lake.lost_catalog import CatalogLostError, is_lost, wait_for_catalog
from curate.lake.new_files import NewFiles
from curate.lake.older import STORE, create_views, read_transformations
from curate.lake.staged_file import StagedFile, write_staged_file
from curate.lake.statements import lock_connection
from curate.lake.writer import Writer
from curate.records import TABLES

__all__ = ["Lake", "Location"]

_STAGED_ROWS = 1000  # below, an INSERT is as quick
_CHANGES = tuple(
    getattr(duckdb.StatementType, name)
    for name in ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "ALTER", "DROP")
)
_READS = ("SELECT", "FROM", "WITH")
_Result = TypeVar("_Result")


class Lake:
    """An open lake. Every read sees one snapshot; `write` gives one transaction.

    Not shared between threads: each opens its own (about 0.1 s), or takes a `twin` of this one.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, location: Location, *, original: Lake | None = None
    ) -> None:
        """Take a connection; `original` is the lake that this one is a twin of."""
        self._connection = connection
        self.location = location
        self._original = original
        self._changed: threading.Event = threading.Event() if original is None else original._changed
        self._catalog_lock = CatalogLock(location.catalog) if location.is_postgres else None
        self._in_transaction = False
        self.files = LakeFiles(connection, location, self.lock, self.rows)

    @classmethod
    def open(
        cls,
        location: Location,
        *,
        read_only: bool = False,
        snapshot: int | None = None,
        create: bool = True,
    ) -> Lake:
        """Attach the lake and, when it may write, bring its tables up to date.

        Args:
            location: Where the lake is.
            read_only: Allow no writing.
            snapshot: Read everything as it was at that snapshot (implies `read_only`).
            create: Make a lake where there is none, if its data folder is free.

        Raises:
            CurateError: There is no lake and none may be made, or the lake cannot be opened.
        """
        read_only = read_only or snapshot is not None
        connection = attach_lake(
            location, read_only=read_only, snapshot=snapshot, create=create and not read_only
        )
        lake = cls(connection, location)
        lake.files.settle_pending(read_only=read_only)
        placed = _PLACED
        if not read_only:
            lake._migrate()
            lake.files.claim_folder()
        elif lake._show_as_of_today(snapshot):  # `prompts` is a view, and views have no rowid
            has_prompts = lake._has_table(STORE, "prompts")
            placed = _PLACED.replace("lake.prompts", f"{STORE}.main.prompts" if has_prompts else _NO_PROMPTS)
        lake._create_views(placed)
        return lake

    def __enter__(self) -> Lake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; where the catalog has changed, seal it (`curate.lake.catalog_file`)."""
        self._connection.close()
        if self._catalog_lock is not None:
            self._catalog_lock.close()
        if self._original is not None or self.location.is_postgres or not self._changed.is_set():
            return
        # Another writer that is at work seals it when it closes. A full disk leaves no seal, and is no reason to fail.
        with (
            contextlib.suppress(CurateError, OSError, Timeout),
            FileLock(self.location.catalog + ".lock", timeout=5),
        ):
            write_seal(self.location.catalog)

    def twin(self) -> Lake:
        """The same lake for another thread, at once; views are not in it. Close it before this one."""
        connection = self._connection.cursor()
        connection.execute("USE lake")
        return Lake(connection, self.location, original=self)

    # Reading ---------------------------------------------------------------------------------------------

    def arrow(self, query: str, parameters: Sequence[object] = ()) -> pa.Table:
        return self._ask(query, lambda: execute(self._connection, query, parameters).to_arrow_table())

    def frame(self, query: str, parameters: Sequence[object] = ()) -> pl.DataFrame:
        return self._ask(query, lambda: execute(self._connection, query, parameters).pl())

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._ask(query, lambda: execute(self._connection, query, parameters).fetchall())

    def value(self, query: str, parameters: Sequence[object] = ()) -> Any:
        row = self._ask(query, lambda: execute(self._connection, query, parameters).fetchone())
        return row[0] if row else None

    def _ask(self, query: str, ask: Callable[[], _Result]) -> _Result:
        """Ask the lake; a read outside a transaction waits for a PostgreSQL catalog that is away."""
        if not self.location.is_postgres or self._in_transaction or not query.lstrip().startswith(_READS):
            return ask()
        return wait_for_catalog(self.location.catalog, ask)

    def batches(
        self, query: str, parameters: Sequence[object] = (), *, rows: int = 65_536
    ) -> pa.RecordBatchReader:
        """A result as a stream, for tables that need not fit in memory. Use no other method meanwhile."""
        return self._ask(query, lambda: execute(self._connection, query, parameters).to_arrow_reader(rows))

    @contextlib.contextmanager
    def bind(self, name: str, table: pa.Table | pl.DataFrame) -> Iterator[None]:
        """Make a table readable as `name` in queries."""
        self._connection.register(name, table)
        try:
            yield
        finally:
            self._connection.unregister(name)

    @contextlib.contextmanager
    def limit_threads(self, number: int) -> Iterator[None]:
        """Let the database use fewer threads meanwhile: for many small queries, waking all costs more than they do."""
        before = int(self.value("SELECT current_setting('threads')"))
        self.rows(f"SET threads = {min(number, before)}")
        try:
            yield
        finally:
            self.rows(f"SET threads = {before}")

    def snapshot(self) -> int:
        """The snapshot that reads see now."""
        return int(self.value("SELECT id FROM lake.current_snapshot()"))

    def read_change_mark(self) -> object:
        """Return what changes whenever the catalog's file does, without a query; None: it cannot be told now."""
        return None if self.location.is_postgres else read_change_mark(self.location.catalog)

    def has(self, table: str) -> bool:
        """Tell whether there is such a table. An older lake shows all that there are today (`curate.lake.older`)."""
        return table in TABLES or self._has_table("lake", table)

    def digest(self, table: str, column: str, where: str = "true") -> str:
        """Identifies the set of values of a column, whatever their order: count and XOR of hashes."""
        query = f"SELECT count(*), coalesce(bit_xor(hash({column})), 0) FROM {table} WHERE {where}"
        count, mixed = self.rows(query)[0]
        return f"{count}-{mixed:x}"

    # Writing ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def write(self, message: str) -> Iterator[Writer]:
        """One transaction under the lake's lock: all of it is committed, or nothing.

        `message` is kept with the snapshot (a run id, so that a run finds the snapshot it made).

        Raises:
            CatalogLostError: The connection to a PostgreSQL catalog broke, and nothing was committed.
        """
        mark = uuid.uuid4().hex
        with self.lock(), self._transact(mark) as files:
            yield Writer(self._connection, self.stage, files, self.location.data)
            execute(
                self._connection,
                "CALL lake.set_commit_message('curate', ?, extra_info => ?)",
                [message, mark],
            )

    @contextlib.contextmanager
    def _transact(self, mark: str = "") -> Iterator[NewFiles | NewBucketFiles]:
        """One transaction whose files are on the disk before the catalog names them. Hold the lock.

        `mark`: what the commit message has in its extra information, so that a commit whose answer was lost is found.
        """
        data = self.location.data
        files: NewFiles | NewBucketFiles = NewFiles(data) if is_local(data) else NewBucketFiles(data)
        self._connection.execute("BEGIN")
        self._in_transaction, is_ready = True, False
        try:
            yield files
            checksums = files.secure_files()
            if self._catalog_lock is not None:
                self._catalog_lock.verify_lock()
            is_ready = True
            self._connection.execute("COMMIT")
            files.release_files()
        except BaseException as error:
            with contextlib.suppress(duckdb.Error):  # a failed COMMIT has rolled back already
                self._connection.execute("ROLLBACK")
            self._in_transaction = False
            was_lost = is_lost(error)
            is_kept = is_ready and was_lost and self._has_commit(mark)
            with contextlib.suppress(duckdb.Error, OSError):  # else the next one that opens the lake does it
                self.files.recover_pending()
            if not is_kept:
                if not (
                    was_lost and self.location.is_postgres
                ):  # a full disk breaks SQLite's commit in like words
                    raise
                if is_ready and not mark:
                    raise CurateError(
                        f"The connection to the catalog {hide_password(self.location.catalog)} broke at the end, and "
                        "it is not known whether the change was kept: run the same command again."
                    ) from error
                raise CatalogLostError(
                    f"The connection to the catalog {hide_password(self.location.catalog)} broke, and nothing of "
                    "this transaction was kept: run the same command again, it goes on from here."
                ) from error
            files.release_files()
        finally:
            self._in_transaction = False
        self._ask("SELECT", lambda: record_checksums(self._connection, checksums))

    def _has_commit(self, mark: str) -> bool:
        """Tell whether the catalog has kept the commit with this mark. Looked up twice: a server may be at it still."""
        query = f"SELECT count(*) FROM {METADATA}.ducklake_snapshot_changes WHERE commit_extra_info = ?"
        if not mark or self.value(query, [mark]):
            return bool(mark)
        time.sleep(1)
        return bool(self.value(query, [mark]))

    def stage(self, table: str, rows: pa.Table) -> StagedFile | None:
        """Write rows as a Parquet file of the table before the lock is taken; `Writer.adopt` appends it.

        Arrow's Parquet writer takes a third of the time of an INSERT, and nobody waits for it. None where that
        does not pay (few rows): then append the rows themselves. A file that is never adopted is an orphan that
        DuckLake's clean-up removes.
        """
        if rows.num_rows < _STAGED_ROWS:
            return None
        return write_staged_file(table, rows, self.location.data)

    def describe_empty_tables(self) -> None:
        """Give tables without rows their statistics, where an older version of curate left them without."""
        with self.lock():
            add_missing_statistics(self._connection)

    def call(self, procedure: str) -> list[tuple[Any, ...]]:
        """A maintenance procedure of DuckLake, as a transaction of its own."""
        with self.lock(), self._transact() as files:
            files.watch_tables()
            return self.rows(f"CALL {procedure}")

    def run_statements(self, query: str) -> pa.Table:
        """Run a user's SQL that may change the lake, under the lock; returns the result of the last statement."""
        result: pa.Table | None = None
        with self.lock():
            statements = self._connection.extract_statements(query)
            if any(statement.type == duckdb.StatementType.LOAD for statement in statements):
                raise CurateError(
                    "`curate sql` neither installs nor loads extensions: leave that statement out."
                )
            if all(
                statement.type in _CHANGES for statement in statements
            ):  # else they may begin and end transactions
                for statement in statements:
                    with self._transact() as files:
                        files.watch_tables()
                        result = self._connection.execute(statement).to_arrow_table()
            if result is None:
                result = self.arrow(query)
            self.files.record_unlisted_files()
            return result

    def lock_settings(self) -> None:
        """Keep the queries of a user from loading extensions and changing settings."""
        lock_connection(self._connection)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of all writers. It must not be taken twice."""
        if self._catalog_lock is not None:
            with self._catalog_lock.hold():
                yield
            return
        with FileLock(self.location.catalog + ".lock"):
            remove_seal(self.location.catalog)
            self._changed.set()
            yield

    def _migrate(self) -> None:
        """Apply the migrations that this lake has not seen, in one transaction, in the order of their names."""
        migrations = _read_texts("sql/migrations")
        if self._list_applied("lake") == set(migrations):
            return
        with self.lock():
            applied = self._list_applied("lake")  # again, now that no other process can be migrating
            self._refuse_newer(applied - set(migrations))
            with self._transact() as files:
                files.watch_tables()
                self._connection.execute("USE lake")
                self._connection.execute("CREATE TABLE IF NOT EXISTS lake.migrations (name VARCHAR NOT NULL)")
                for name in sorted(set(migrations) - applied):
                    self._connection.execute(migrations[name])
                    execute(self._connection, "INSERT INTO lake.migrations VALUES (?)", [name])
            add_missing_statistics(self._connection)

    def _create_views(self, placed: str) -> None:
        """Create our macros and views, in one transaction: by themselves each would open the catalog anew."""
        self._connection.execute("BEGIN")
        for folder in ("sql/macros", "sql/views"):
            for _, statements in sorted(_read_texts(folder).items()):
                self._connection.execute(statements.replace(_PLACED, placed))
        self._connection.execute("COMMIT")

    def _show_as_of_today(self, snapshot: int | None) -> bool:
        """Where migrations are missing and nothing may be written, put views over the tables (`curate.lake.older`).

        Returns:
            Whether there are views.
        """
        migrations = set(_read_texts("sql/migrations"))
        applied = self._list_applied("lake")
        self._refuse_newer(applied - migrations)
        if missing := migrations - applied:
            attach_store(self._connection, self.location, snapshot)
            tables = [table for table in TABLES if self._has_table(STORE, table)]
            create_views(self._connection, read_transformations(missing), tables)
        return bool(missing)

    def _refuse_newer(self, unknown: Collection[str]) -> None:
        if unknown:
            raise CurateError(
                f"The lake {hide_password(self.location.catalog)} was written by a newer curate ({max(unknown)}): "
                "update curate."
            )

    def _list_applied(self, database: str) -> set[str]:
        try:  # to ask whether there is the table would read the columns of all tables
            return {name for (name,) in self.rows(f"SELECT name FROM {database}.main.migrations")}
        except duckdb.CatalogException:
            return set()

    def _has_table(self, database: str, table: str) -> bool:
        query = "SELECT count(*) FROM duckdb_tables() WHERE database_name = ? AND table_name = ?"
        return bool(self.value(query, [database, table]))


_PLACED = "FROM lake.prompts AS placed"  # in sql/macros/export.sql
_NO_PROMPTS = "(SELECT 0 AS rowid, NULL AS prompt_id)"


def _read_texts(folder: str) -> dict[str, str]:
    return {
        file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
        for file in find_resource(folder).iterdir()
    }
