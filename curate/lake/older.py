"""Read a lake, or a snapshot of it, from before a migration: views show its tables as they would be after it.

The real lake is attached as `store`, and `lake` is a database in memory with one view for each table of today. A column
that a table does not have is null. What a migration moves or changes stands in `sql/older/MIGRATION/TABLE.sql`: a query
`SELECT … FROM before` that makes rows of after the migration from rows of before it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib.resources.abc import Traversable

import duckdb
import pyarrow as pa

from curate.core.resources import find_resource
from curate.records import TABLES, arrow_schema

STORE = "store"
_FUNCTIONS = ("current_snapshot", "snapshots", "table_info")  # of a lake, that queries of ours call


def read_transformations(missing: Collection[str]) -> dict[str, list[str]]:
    """Read the queries of migrations, oldest first, by table.

    Args:
        missing: Names of the migrations that the lake has not seen.
    """
    queries: dict[str, list[str]] = {}
    for migration in sorted(missing):
        folder = find_resource(f"sql/older/{migration}")
        for file in sorted(_list_folder(folder), key=lambda file: file.name):
            query = file.read_text(encoding="utf-8").strip().rstrip(";")
            queries.setdefault(file.name.removesuffix(".sql"), []).append(query)
    return queries


def create_views(
    connection: duckdb.DuckDBPyConnection,
    transformations: Mapping[str, Sequence[str]],
    tables: Collection[str],
) -> None:
    """Create the database `lake` over the attached `store`.

    Args:
        connection: The connection that has the lake attached as `store`.
        transformations: What `read_transformations` gave.
        tables: The tables that are in the lake.
    """
    connection.execute("ATTACH ':memory:' AS lake")
    connection.execute("USE lake")
    for name in _FUNCTIONS:
        connection.execute(f"CREATE MACRO lake.main.{name}() AS TABLE SELECT * FROM {STORE}.{name}()")
    for table, record in TABLES.items():
        schema = arrow_schema(record)
        query = _build_query(table, transformations.get(table, ()), tables)
        columns = _select_columns(connection, query, schema) if query else _select_nothing(connection, schema)
        connection.execute(f'CREATE VIEW lake.main."{table}" AS {columns}')


def _build_query(table: str, transformations: Sequence[str], tables: Collection[str]) -> str | None:
    """Return the query for the rows of a table after all migrations; None where it is not in the lake."""
    if table not in tables:
        return None
    query = f'SELECT * FROM {STORE}.main."{table}"'
    for transformation in transformations:
        query = f"WITH before AS ({query}) {transformation}"
    return query


def _select_columns(connection: duckdb.DuckDBPyConnection, query: str, schema: pa.Schema) -> str:
    """Return a query for the columns of today: as they are, cast to a wider type, or null."""
    there = {name: str(kind) for name, kind, *_ in connection.execute(f"DESCRIBE ({query})").fetchall()}
    columns = []
    for name, wanted in _list_types(connection, schema).items():
        if there.get(name) == wanted:
            columns.append(f'"{name}"')
        else:
            value = f'"{name}"' if name in there else "NULL"
            columns.append(f'CAST({value} AS {wanted}) AS "{name}"')
    return f"SELECT {', '.join(columns)} FROM ({query})"


def _select_nothing(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> str:
    columns = [f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in _list_types(connection, schema).items()]
    return f"SELECT {', '.join(columns)} WHERE false"


def _list_types(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> dict[str, str]:
    """Return DuckDB's names of the types of an Arrow schema."""
    connection.register("typed", schema.empty_table())
    try:
        rows = connection.execute("DESCRIBE typed").fetchall()
    finally:
        connection.unregister("typed")
    return {name: str(kind) for name, kind, *_ in rows}


def _list_folder(folder: Traversable) -> list[Traversable]:
    return list(folder.iterdir()) if folder.is_dir() else []
