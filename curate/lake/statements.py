"""Which SQL statements only read: what `curate sql` runs without --write."""

from __future__ import annotations

import re

import duckdb

from curate.core.errors import CurateError

_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+|ANALYSE\s+|\([^)]*\)\s*)?", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_PIVOT = re.compile(r"\s*PIVOT\b", re.IGNORECASE)
# Functions by which a SELECT can write: they send SQL of their own to a catalog, or attach a file.
_WRITING = re.compile(
    r"\b(sqlite_query|sqlite_attach|postgres_query|postgres_execute|postgres_attach|ducklake_\w+|nextval)\s*\(",
    re.IGNORECASE,
)


def refuse_changes(query: str) -> None:
    """Raise CurateError unless every statement of `query` only reads.

    Raises:
        CurateError: A statement may change something; the error names its kind.
        duckdb.Error: It is no SQL.
    """
    plain = _COMMENT.sub(" ", query)
    for statement in duckdb.extract_statements(query):
        kind = statement.type
        if kind == duckdb.StatementType.CREATE and _PIVOT.match(plain):
            continue  # DuckDB turns PIVOT into a temporary type and a SELECT
        if kind == duckdb.StatementType.EXPLAIN:
            refuse_changes(_EXPLAIN.sub("", _COMMENT.sub(" ", statement.query), count=1))  # ANALYZE runs it
        elif kind not in _READING:
            raise CurateError(
                f"`curate sql` only reads without --write, and {kind.name} may change something: use SELECT, FROM, "
                "SHOW, DESCRIBE or EXPLAIN, or say --write."
            )
    if (writing := _WRITING.search(query)) is not None:
        raise CurateError(
            f"`curate sql` only reads without --write, and {writing[1]} may change something: use the tables, "
            "or say --write."
        )


def lock_connection(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep queries from loading extensions, and settings as they are."""
    row = connection.execute("SELECT current_setting('lock_configuration')").fetchone()
    if row is not None and row[0]:  # it stays locked
        return
    for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
        connection.execute(f"SET {setting} = false")
    connection.execute("SET lock_configuration = true")
