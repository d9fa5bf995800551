"""Which SQL statements only read: what `curate sql` runs without --write."""

from __future__ import annotations

import re

import duckdb

from curate.core.errors import CurateError

_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+|ANALYSE\s+|\([^)]*\)\s*)?", re.IGNORECASE)
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
    plain = _remove_comments(query)
    for statement in duckdb.extract_statements(query):
        kind = statement.type
        if kind == duckdb.StatementType.CREATE and _PIVOT.match(plain):
            continue  # DuckDB turns PIVOT into a temporary type and a SELECT
        if kind == duckdb.StatementType.EXPLAIN:
            explained = _remove_comments(statement.query)
            opening = _EXPLAIN.match(explained)
            refuse_changes(explained[opening.end() if opening else 0 :])  # ANALYZE runs it
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


def _remove_comments(query: str) -> str:
    """Return a query with blanks in place of comments, in linear time; marks inside strings count as comments too."""
    kept, position = list[str](), 0
    while position < len(query):
        starts = [start for start in (query.find("--", position), query.find("/*", position)) if start >= 0]
        if not starts:
            break
        start = min(starts)
        end_mark = "\n" if query.startswith("--", start) else "*/"
        end = query.find(end_mark, start + 2)
        if end < 0 and end_mark == "*/":  # it is never closed
            break
        kept += [query[position:start], " "]
        position = len(query) if end < 0 else end + len(end_mark)
    return "".join(kept) + query[position:]


def lock_connection(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep queries from loading extensions, and settings as they are."""
    row = connection.execute("SELECT current_setting('lock_configuration')").fetchone()
    if row is not None and row[0]:  # it stays locked
        return
    for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
        connection.execute(f"SET {setting} = false")
    connection.execute("SET lock_configuration = true")
