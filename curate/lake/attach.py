"""Open the database connection of a lake: DuckDB with its extensions, and the lake attached as `lake`."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from curate.core.errors import CurateError
from curate.core.sql_text import quote_text
from curate.lake.bucket import create_secret, refuse_other_schemes
from curate.lake.data_folder import METADATA, has_files, hide_password, is_local
from curate.lake.extensions import connect_duckdb

_EXTENSIONS = {"sqlite": "sqlite_scanner", "postgres": "postgres_scanner"}
_CONFLICT = re.compile(
    r"conflict|database is locked|could not serialize|database system is (starting|shutting)", re.IGNORECASE
)
_ATTEMPTS = 8
_NO_LAKE = (
    "creating a new DuckLake is explicitly disabled"  # in DuckLake's words for a catalog without a lake
)


class NoLakeError(CurateError):
    """There is no lake yet, and none may be made."""


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


def attach_lake(
    location: Location, *, read_only: bool, snapshot: int | None, create: bool
) -> duckdb.DuckDBPyConnection:
    """Open a connection to the lake; with `create`, make one where there is none."""
    connection = _connect_duckdb(location)
    options = _list_options(location, read_only=read_only, snapshot=snapshot)
    where = f"snapshot {snapshot} of the lake" if snapshot is not None else "the lake"

    def attach_existing() -> bool:
        if not location.exists():  # to try would leave an empty file
            return False
        return _execute_attach(connection, location, [*options, "CREATE_IF_NOT_EXISTS false"], where)

    if not attach_existing():
        if not create:
            raise NoLakeError(
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


def attach_store(connection: duckdb.DuckDBPyConnection, location: Location, snapshot: int | None) -> None:
    """Attach the lake as `store`, for reading only, in place of `lake`."""
    connection.execute("USE memory")
    connection.execute("DETACH lake")
    # DuckLake's own tables keep the name by which `curate.lake.data_folder` knows them.
    options = _list_options(location, read_only=True, snapshot=snapshot)
    options.append(f"METADATA_CATALOG '{METADATA}'")
    _execute_attach(connection, location, options, "the lake", name="store")


def _list_options(location: Location, *, read_only: bool, snapshot: int | None) -> list[str]:
    options = [f"DATA_PATH {quote_text(location.data)}", "OVERRIDE_DATA_PATH true"]
    if not location.is_postgres:
        options += ["META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 30000"]
    if read_only:
        options.append("READ_ONLY")
    if snapshot is not None:
        options.append(f"SNAPSHOT_VERSION {snapshot}")
    return options


def _connect_duckdb(location: Location) -> duckdb.DuckDBPyConnection:
    """A database in memory with the extensions that the lake needs."""
    backend = "postgres" if location.is_postgres else "sqlite"
    refuse_other_schemes(location.data)
    in_bucket = not is_local(location.data)
    connection = connect_duckdb("ducklake", _EXTENSIONS[backend], *(["httpfs"] if in_bucket else []))
    if in_bucket:
        create_secret(connection)
    connection.execute("SET ducklake_max_retry_count = 100")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # stages show their own progress
    return connection


def _execute_attach(
    connection: duckdb.DuckDBPyConnection,
    location: Location,
    options: Sequence[str],
    where: str,
    name: str = "lake",
) -> bool:
    """Attach the lake; False where the options forbid to make one and there is none."""
    backend = "postgres" if location.is_postgres else "sqlite"
    statement = (
        f"ATTACH {quote_text(f'ducklake:{backend}:{location.catalog}')} AS {name} ({', '.join(options)})"
    )
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
            catalog = hide_password(location.catalog)
            reason = str(error).replace(location.catalog, catalog)
            raise CurateError(f"Cannot open {where} at {catalog}: {reason}") from error
    raise AssertionError("the last attempt returns or raises")
