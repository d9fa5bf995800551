"""Tables without rows have statistics, and they are those that DuckLake would keep itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.types as pat
import pytest

from curate.lake import lake as lake_module
from curate.lake.compaction import compact_lake
from curate.lake.lake import Lake, Location
from curate.records import TABLES, arrow_schema

VALUES = [
    (pat.is_string, "b"),
    (pat.is_boolean, True),
    (pat.is_integer, 3),
    (pat.is_floating, 1.5),
    (pat.is_timestamp, datetime(2026, 1, 1, tzinfo=UTC)),
]


def make_value(kind: pa.DataType) -> Any:
    if pat.is_list(kind):
        return [make_value(kind.value_type)]
    if pat.is_struct(kind):
        return {field.name: make_value(field.type) for field in kind}
    return next(value for is_kind, value in VALUES if is_kind(kind))


def fill_tables(location: Location) -> None:
    """Write into all tables: nulls where they may be, few rows, which stay in the catalog, then enough for a file."""
    with Lake.open(location) as lake:
        rows = {table: make_rows(lake, table) for table in TABLES}
        for number in range(3):
            with lake.write("test") as writer:
                for table, tables in rows.items():
                    writer.append(table, tables[number])


def make_rows(lake: Lake, table: str) -> list[pa.Table]:
    schema = arrow_schema(TABLES[table])
    full = {field.name: make_value(field.type) for field in schema}
    required = {name: full[name] for name in list_required(lake, table)}
    return [pa.Table.from_pylist(rows, schema=schema) for rows in ([required], [full] * 2, [full] * 12)]


def list_required(lake: Lake, table: str) -> list[str]:
    where = "database_name = 'lake' AND table_name = ? AND NOT is_nullable"
    return [name for (name,) in lake.rows(f"SELECT column_name FROM duckdb_columns() WHERE {where}", [table])]


def read_statistics(location: Location) -> dict[str, list[tuple[Any, ...]]]:
    queries = {
        "tables": "SELECT table_id, record_count, next_row_id FROM ducklake_table_stats ORDER BY table_id",
        "columns": "SELECT * FROM ducklake_table_column_stats ORDER BY table_id, column_id",
    }
    with closing(sqlite3.connect(location.catalog)) as catalog:
        return {name: catalog.execute(query).fetchall() for name, query in queries.items()}


def list_migrations() -> list[Path]:
    return sorted((Path(__file__).parents[2] / "sql" / "migrations").glob("*.sql"))


def test_statistics_become_those_that_ducklake_keeps_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, native = (Location.under(tmp_path / name) for name in ("ours", "native"))
    Lake.open(ours).close()
    empty = read_statistics(ours)
    assert len(empty["tables"]) == len(TABLES) + 1  # and the migrations
    assert [count for _, count, _ in empty["tables"] if count] == [len(list_migrations())]
    fill_tables(ours)
    monkeypatch.setattr(lake_module, "add_missing_statistics", lambda _: None)
    Lake.open(native).close()
    assert len(read_statistics(native)["tables"]) == 1
    fill_tables(native)
    assert read_statistics(ours) == read_statistics(native)


def test_the_same_process_may_make_a_lake_and_write(tmp_path: Path) -> None:
    """Statistics that were remembered as missing would be written twice."""
    location = Location.under(tmp_path / "lake")
    with Lake.open(location) as lake:
        assert lake.value("SELECT count(*) FROM prompts") == 0
        rows = pa.table({"prompt_id": ["a", "b"], "source": ["s", "s"]})
        with lake.write("test") as writer:
            writer.append("prompts", rows)
        assert lake.rows("SELECT prompt_id FROM prompts WHERE prompt_id > 'a'") == [("b",)]
    tables = [row[0] for row in read_statistics(location)["tables"]]
    assert len(tables) == len(set(tables)) == len(TABLES) + 1


def test_compacting_gives_them_to_an_older_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = Location.under(tmp_path / "lake")
    with monkeypatch.context() as older:
        older.setattr(lake_module, "add_missing_statistics", lambda _: None)
        Lake.open(location).close()
    assert len(read_statistics(location)["tables"]) == 1
    with Lake.open(location) as lake:
        compact_lake(lake)
        assert lake.value("SELECT count(*) FROM prompts") == 0
    assert len(read_statistics(location)["tables"]) == len(TABLES) + 1
