"""DuckDB's extensions, loaded from their packages where they lie.

DuckDB would copy them into `~/.duckdb` first, which fails where there is no home or it cannot be written.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import duckdb

from curate.core.errors import CurateError

_EXTRAS = {"postgres_scanner": "postgres", "httpfs": "s3"}  # what else brings an extension


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
    connection.execute("LOAD '{}'".format(str(file).replace("'", "''")))
