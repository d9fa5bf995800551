"""The workspace's tables: a DuckLake, that is Parquet files under a SQL catalog (SQLite or PostgreSQL).

Writers take turns: DuckLake's snapshot isolation lets two processes insert the same id at once, since it
knows no keys, so each write transaction runs under one lock of the catalog (a file lock for SQLite, an
advisory lock for PostgreSQL). What is slow (parsing, judging) happens outside the lock.
"""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock

from curate.core.errors import CurateError
from curate.core.resources import find_resource, read_query
from curate.lake.data_folder import (
    Claim,
    count_listed,
    has_claim,
    has_files,
    hide_password,
    list_claims,
    list_files,
    read_claim,
    write_claim,
)

_EXTENSIONS = {"sqlite": "sqlite_scanner", "postgres": "postgres_scanner"}
_EXTRAS = {"postgres_scanner": "postgres", "httpfs": "s3"}  # what else brings DuckDB's extensions
_ADVISORY_LOCK = 0x63757261  # "cura": the key of curate's advisory lock in a PostgreSQL catalog
_CONFLICT = re.compile(r"conflict|database is locked|could not serialize", re.IGNORECASE)
_ATTEMPTS = 8
_STAGED_ROWS = 1000  # below, an INSERT is as quick
_ORPHANS = "ducklake_delete_orphaned_files"
_NO_LAKE = (
    "creating a new DuckLake is explicitly disabled"  # in DuckLake's words for a catalog without a lake
)

# Which columns Arrow's Parquet writer should not try to encode as dictionaries: every value is another one.
_VARIED = frozenset(
    {"prompt_id", "response_id", "judgment_id", "key", "messages", "tools", "rationale", "raw"}
)
_REPEATED = (
    "messages.list.element.role",
    "messages.list.element.content.list.element.type",
)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a lake is: `catalog` is a SQLite file or a `postgresql://` URL, `data` a folder or bucket URL."""

    catalog: str
    data: str

    @classmethod
    def under(cls, folder: Path) -> Location:
        return cls(catalog=str(folder / "catalog.sqlite"), data=str(folder / "data"))

    @property
    def is_postgres(self) -> bool:
        return self.catalog.startswith(("postgresql://", "postgres://"))

    def exists(self) -> bool:
        return self.is_postgres or Path(self.catalog).exists()


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A Parquet file in the folder of a table that the table does not know yet."""

    table: str
    path: Path
    rows: int

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


class Lake:
    """An open lake. Every read sees one snapshot; `write` gives one transaction.

    Not shared between threads: each opens its own (about 0.1 s), or takes a `twin` of this one.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, location: Location) -> None:
        self._connection = connection
        self.location = location

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
        lake = cls(
            _attach_lake(location, read_only=read_only, snapshot=snapshot, create=create and not read_only),
            location,
        )
        if not read_only:
            lake._migrate()
            lake._claim_data_folder()
        for folder in ("sql/macros", "sql/views"):
            for _, statements in sorted(_read_texts(folder).items()):
                lake._connection.execute(statements)
        return lake

    def __enter__(self) -> Lake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def twin(self) -> Lake:
        """The same lake for another thread, at once; views are not in it. Close it before this one."""
        connection = self._connection.cursor()
        connection.execute("USE lake")
        return Lake(connection, self.location)

    # Reading ---------------------------------------------------------------------------------------------

    def arrow(self, query: str, parameters: Sequence[object] = ()) -> pa.Table:
        return self._connection.execute(query, list(parameters)).to_arrow_table()

    def frame(self, query: str, parameters: Sequence[object] = ()) -> pl.DataFrame:
        return self._connection.execute(query, list(parameters)).pl()

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, list(parameters)).fetchall()

    def value(self, query: str, parameters: Sequence[object] = ()) -> Any:
        row = self._connection.execute(query, list(parameters)).fetchone()
        return row[0] if row else None

    def batches(
        self, query: str, parameters: Sequence[object] = (), *, rows: int = 65_536
    ) -> pa.RecordBatchReader:
        """A result as a stream, for tables that need not fit in memory. Use no other method meanwhile."""
        return self._connection.execute(query, list(parameters)).to_arrow_reader(rows)

    @contextlib.contextmanager
    def bind(self, name: str, table: pa.Table | pl.DataFrame) -> Iterator[None]:
        """Make a table readable as `name` in queries."""
        self._connection.register(name, table)
        try:
            yield
        finally:
            self._connection.unregister(name)

    def snapshot(self) -> int:
        """The snapshot that reads see now."""
        return int(self.value("SELECT id FROM lake.current_snapshot()"))

    def has(self, table: str) -> bool:
        """Tell whether there is such a table: a lake opened for reading may be older than it."""
        return bool(
            self.value(
                "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = ?",
                [table],
            )
        )

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
        """
        with self.lock():
            self._connection.execute("BEGIN")
            try:
                yield Writer(self._connection, self.stage)
                self._connection.execute("CALL lake.set_commit_message('curate', ?)", [message])
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):  # a failed COMMIT has rolled back already
                    self._connection.execute("ROLLBACK")
                raise

    def stage(self, table: str, rows: pa.Table) -> StagedFile | None:
        """Write rows as a Parquet file of the table before the lock is taken; `Writer.adopt` appends it.

        Arrow's Parquet writer takes a third of the time of an INSERT, and nobody waits for it. None where that
        does not pay (few rows) or the data is in no local folder: then append the rows themselves. A file that
        is never adopted is an orphan that DuckLake's clean-up removes.
        """
        if rows.num_rows < _STAGED_ROWS or "://" in self.location.data:
            return None
        folder = Path(self.location.data) / "main" / table
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"curate-{uuid.uuid4().hex}.parquet"
        repeated = [name for name in rows.schema.names if name not in _VARIED]
        pq.write_table(rows, path, use_dictionary=[*repeated, *_REPEATED])
        return StagedFile(table, path, rows.num_rows)

    def call(self, procedure: str) -> list[tuple[Any, ...]]:
        """A maintenance procedure of DuckLake, under the lock."""
        with self.lock():
            return self.rows(f"CALL {procedure}")

    # Who owns the data folder ------------------------------------------------------------------------------

    @property
    def claim(self) -> Claim:
        """The mark that this catalog leaves in its data folder, so that no other one cleans up there."""
        return read_claim(self._connection, self.location.catalog, self.location.data)

    def list_claims(self) -> dict[str, Claim]:
        """List the claims in the data folder, by the path of their file."""
        return list_claims(self._connection, self.location.data)

    def list_files(self) -> list[str]:
        """List the Parquet files in the data folder that the catalog knows, as TABLE/FILE."""
        unknown = {_in_table(file) for file in self.list_orphans()}
        files = map(_in_table, list_files(self._connection, self.location.data))
        return sorted(file for file in files if file not in unknown)

    def list_orphans(self, older_than: str | None = None) -> list[str]:
        """List the Parquet files in the data folder that the catalog does not know.

        `older_than`: a point in time, as SQL; default: files of any age.
        """
        which = f"older_than => {older_than}" if older_than else "cleanup_all => true"
        return [file for (file,) in self.rows(f"CALL {_ORPHANS}('lake', dry_run => true, {which})")]

    def _claim_data_folder(self) -> None:
        """Leave the claim of this catalog in a data folder that holds files of it, or where both are new.

        A catalog that is opened over the wrong data folder leaves none, nor one whose disk is not there.
        """
        claim, data = self.claim, self.location.data
        if has_claim(self._connection, data, claim):
            return
        with self.lock():
            both_new = not has_files(self._connection, data) and not count_listed(self._connection)
            if both_new or self.list_files():
                write_claim(self._connection, data, claim)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of all writers. It must not be taken twice."""
        if not self.location.is_postgres:
            with FileLock(self.location.catalog + ".lock"):
                yield
            return
        # A session of its own: the lock must outlive the data transaction's commit, and go with the process.
        with duckdb.connect() as session:
            session.execute("LOAD postgres_scanner")
            session.execute(f"ATTACH '{_quote_text(self.location.catalog)}' AS catalog (TYPE postgres)")
            session.execute("BEGIN")
            session.execute(
                f"SELECT * FROM postgres_query('catalog', 'SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})::text')"
            )
            yield
            session.execute("ROLLBACK")

    def _migrate(self) -> None:
        """Apply the migrations that this lake has not seen, each in a transaction, in the order of their names."""
        migrations = _read_texts("sql/migrations")
        if self._list_applied() == set(migrations):
            return
        with self.lock():
            applied = self._list_applied()  # again, now that no other process can be migrating
            unknown = sorted(applied - set(migrations))
            if unknown:
                raise CurateError(
                    f"The lake {self.location.catalog} was written by a newer curate ({unknown[-1]}): update curate."
                )
            for name in sorted(set(migrations) - applied):
                self._connection.execute("BEGIN; USE lake;")
                self._connection.execute("CREATE TABLE IF NOT EXISTS lake.migrations (name VARCHAR NOT NULL)")
                self._connection.execute(migrations[name])
                self._connection.execute("INSERT INTO lake.migrations VALUES (?)", [name])
                self._connection.execute("COMMIT")

    def _list_applied(self) -> set[str]:
        if not self.has("migrations"):
            return set()
        return {name for (name,) in self.rows("SELECT name FROM lake.migrations")}


class Writer:
    """Changes inside one write transaction."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, stage: Callable[[str, pa.Table], StagedFile | None]
    ) -> None:
        self._connection = connection
        self._stage = stage

    def append(
        self, table: str, rows: pa.Table, *, unique: str | None = None, near: str | None = None
    ) -> int:
        """Insert rows; with `unique`, only the first of each value of that column that is not there yet.

        `near`: a column whose values in equal rows are equal and in `rows` close together, so that files of others
        need not be read. Returns the number of rows inserted.
        """
        if rows.num_rows == 0:
            return 0
        columns = ", ".join(f'"{name}"' for name in rows.column_names)
        if unique is not None:
            rows = _take_first(rows, unique)
        self._connection.register("incoming", rows)
        try:
            source, bounds = "SELECT * FROM incoming", list[object]()
            if unique is not None:
                there, bounds = _find_existing(table, rows, near)
                source += f" ANTI JOIN ({there}) AS there USING ({unique})"
            inserted = self._connection.execute(
                f"INSERT INTO lake.{table} ({columns}) {source}", bounds
            ).fetchone()
        finally:
            self._connection.unregister("incoming")
        return int(inserted[0]) if inserted else 0

    def adopt(self, file: StagedFile) -> int:
        """Append the rows of a file that `Lake.stage` wrote; the lake owns it from here on."""
        self._connection.execute(
            f"CALL ducklake_add_data_files('lake', '{file.table}', '{_quote_text(str(file.path))}')"
        )
        return file.rows

    def add(self, table: str, rows: pa.Table) -> int:
        """Append rows, as a file of their own (`Lake.stage`) where that is quicker."""
        staged = self._stage(table, rows)
        return self.append(table, rows) if staged is None else self.adopt(staged)

    def delete(self, table: str, where: str, parameters: Sequence[object] = ()) -> int:
        deleted = self._connection.execute(
            f"DELETE FROM lake.{table} WHERE {where}", list(parameters)
        ).fetchone()
        return int(deleted[0]) if deleted else 0

    def replace(
        self, table: str, rows: pa.Table, group: str, where: str, parameters: Sequence[object]
    ) -> int:
        """Make the rows of `table` that match `where` those of `rows`, touching only the groups that differ.

        A group is what shares a value of the column `group`; `run_id` does not count as a difference, so that what
        stays the same keeps naming the run that made it. Returns the number of groups rewritten.
        """
        compared = ", ".join(f'"{name}"' for name in rows.column_names if name != "run_id")
        names = {"table": table, "group": group, "where": where, "compared": compared}
        values = list(parameters)
        there = self._connection.execute(f"SELECT 1 FROM lake.{table} WHERE {where} LIMIT 1", values)
        if there.fetchone() is None:  # nothing to compare with
            self.add(table, rows)
            return int(pc.count_distinct(rows[group]).as_py())
        self._connection.register("incoming_rows", rows)
        try:
            self._connection.execute(read_query("changed_groups").format(**names), values)
            changed, groups = self._connection.execute(
                "SELECT count(*) FILTER (changed), count(*) FROM changed_groups"
            ).fetchall()[0]
            if 2 * changed > groups:  # sooner all than half of it
                self.delete(table, where, values)
                self.add(table, rows)
            elif changed:
                listed = f"{group} IN (SELECT {group} FROM changed_groups WHERE changed)"
                self.delete(table, f"({where}) AND {listed}", values)
                kept = self._connection.execute(f"SELECT * FROM incoming_rows WHERE {listed}")
                self.add(table, kept.to_arrow_table())
        finally:
            self._connection.unregister("incoming_rows")
        return int(changed)


def _find_existing(table: str, rows: pa.Table, near: str | None) -> tuple[str, list[object]]:
    """The rows of a table that may equal some of `rows`, as a query with its parameters."""
    if near is None:
        return f"SELECT * FROM lake.{table}", []
    bounds = pc.min_max(rows[near]).as_py()
    return f"SELECT * FROM lake.{table} WHERE {near} BETWEEN ? AND ?", [bounds["min"], bounds["max"]]


def _take_first(rows: pa.Table, column: str) -> pa.Table:
    """Arrow's group-by is a hash over one column only, so wide rows are not touched before the final take."""
    ids = pa.table({"id": rows[column], "at": pa.array(np.arange(rows.num_rows))})
    firsts = ids.group_by("id").aggregate([("at", "min")])["at_min"]
    return rows if len(firsts) == rows.num_rows else rows.take(firsts.combine_chunks().sort())


def _attach_lake(
    location: Location, *, read_only: bool, snapshot: int | None, create: bool
) -> duckdb.DuckDBPyConnection:
    connection = _connect_duckdb(location)
    options = [f"DATA_PATH '{_quote_text(location.data)}'", "OVERRIDE_DATA_PATH true"]
    if not location.is_postgres:
        options += ["META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 30000"]
    if read_only:
        options.append("READ_ONLY")
    if snapshot is not None:
        options.append(f"SNAPSHOT_VERSION {snapshot}")
    where = f"snapshot {snapshot} of the lake" if snapshot is not None else "the lake"

    def attach_existing() -> bool:
        if not location.exists():  # to try would leave an empty file
            return False
        return _execute_attach(connection, location, [*options, "CREATE_IF_NOT_EXISTS false"], where)

    if not attach_existing():
        if not create:
            raise CurateError(
                f"There is no lake at {hide_password(location.catalog)} yet: run `curate ingest` or `curate run` "
                "first; if there was one, check that its disk is there, and `workspace` and `lake` in curate.yaml."
            )
        # Asked again: another process that makes the same lake writes into the data folder after its catalog is there.
        if not has_files(connection, location.data):
            if not location.is_postgres:
                Path(location.catalog).parent.mkdir(parents=True, exist_ok=True)
            _execute_attach(connection, location, options, where)
        elif not attach_existing():
            raise CurateError(
                f"There is no catalog at {hide_password(location.catalog)}, but {location.data} holds the files of a "
                "lake: put its catalog back, or name another folder under `workspace` or `lake.data` in curate.yaml, "
                "or remove that folder if nothing in it is needed any more."
            )
    connection.execute("USE lake")
    return connection


def _connect_duckdb(location: Location) -> duckdb.DuckDBPyConnection:
    """A database in memory with the extensions that the lake needs."""
    # Here, not at the top: the import takes half a second and no command but those that open a lake needs it.
    from duckdb_extensions import import_extension

    backend = "postgres" if location.is_postgres else "sqlite"
    connection = duckdb.connect()
    for extension in ("ducklake", _EXTENSIONS[backend], *(["httpfs"] if "://" in location.data else [])):
        try:
            import_extension(extension)
        except ImportError as error:
            wanted = f"curate[{_EXTRAS[extension]}]" if extension in _EXTRAS else "curate"
            raise CurateError(
                f"DuckDB's extension {extension} is not installed: run `pip install '{wanted}'`."
            ) from error
        connection.execute(f"LOAD {extension}")
    connection.execute("SET ducklake_max_retry_count = 100")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # stages show their own progress
    return connection


def _execute_attach(
    connection: duckdb.DuckDBPyConnection, location: Location, options: Sequence[str], where: str
) -> bool:
    """Attach the lake; False where the options forbid to make one and there is none."""
    backend = "postgres" if location.is_postgres else "sqlite"
    statement = f"ATTACH 'ducklake:{backend}:{_quote_text(location.catalog)}' AS lake ({', '.join(options)})"
    for attempt in range(_ATTEMPTS):
        try:
            connection.execute(statement)
            return True
        except duckdb.Error as error:
            if _NO_LAKE in str(error):
                return False
            # Two processes may both be the first, and a catalog in the making is locked for a moment.
            if attempt + 1 < _ATTEMPTS and (_CONFLICT.search(str(error)) or "already exists" in str(error)):
                time.sleep(0.05 * 2**attempt)
                continue
            raise CurateError(f"Cannot open {where} at {location.catalog}: {error}") from error
    raise AssertionError("the last attempt returns or raises")


def _read_texts(folder: str) -> dict[str, str]:
    return {
        file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
        for file in find_resource(folder).iterdir()
    }


def _in_table(file: str) -> str:
    return "/".join(file.split("/")[-2:])


def _quote_text(text: str) -> str:
    return text.replace("'", "''")
