"""DuckDB's extensions, loaded from their packages where they lie.

DuckDB would copy them into `~/.duckdb` first, which fails where there is no home or it cannot be written.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import duckdb

from curate.core.errors import CurateError
from curate.core.sql_text import quote_text

_EXTRAS = {"postgres_scanner": "postgres", "httpfs": "s3"}  # what else brings an extension


# DuckDB would check its signature of 70 MB of extensions at each connection, which takes .3 s of a processor: more than
# most commands. They are files of installed packages, beside the Python that runs: who can change one can change both.
# Extensions from elsewhere are neither fetched nor loaded.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "allow_unsigned_extensions": "true",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
THREADS_VARIABLE = "CURATE_THREADS"


def connect_duckdb(*extensions: str) -> duckdb.DuckDBPyConnection:
    """Connect to a database in memory with these extensions, on as many threads as CURATE_THREADS says (all cores).

    Raises:
        CurateError: An extension is missing, or CURATE_THREADS is no number of threads.
    """
    config = dict(_CONFIG)
    if threads := os.environ.get(THREADS_VARIABLE):
        if not threads.isdecimal() or int(threads) < 1:
            raise CurateError(
                f"{THREADS_VARIABLE} is {threads!r}, and has to be a whole number of threads from 1."
            )
        config["threads"] = int(threads)
    connection = duckdb.connect(config=config)
    for extension in extensions:
        load_extension(connection, extension)
    return connection


def load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension into a connection.

    Raises:
        CurateError: Its package is not installed, or has none for this version of DuckDB.
    """
    install = f"run `pip install '{f'curate[{_EXTRAS[name]}]' if name in _EXTRAS else 'curate'}'`"
    try:
        package = importlib.import_module(f"duckdb_extension_{name}")
    except ImportError as error:
        raise CurateError(f"DuckDB's extension {name} is not installed: {install}.") from error
    version = connection.execute("SELECT version()").fetchall()[0][0]
    folder = Path(str(package.__path__[0])) / "extensions" / version
    file = folder / f"{name}.duckdb_extension"
    if not file.is_file():
        raise CurateError(
            f"DuckDB's extension {name} is there, but not for DuckDB {version}: {install} again."
        )
    connection.execute(f"LOAD {quote_text(file)}")
