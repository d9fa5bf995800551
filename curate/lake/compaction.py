"""Merging small files: rows and deletions that lie in the catalog become Parquet, files of few rows become one.

DuckLake's procedures take 40 ms for each table, also for an empty one, so only tables that hold something are named.
"""

from __future__ import annotations

from curate.core.sql_text import quote_text
from curate.lake.data_folder import METADATA
from curate.lake.lake import Lake


def compact_lake(lake: Lake) -> tuple[int, int]:
    """Write inlined rows to Parquet and merge small files; returns the data files before and after.

    Contents and history stay as they are: old files remain until `collect_garbage` forgets the snapshots that use them.
    """
    before = _count_files(lake)
    lake.describe_empty_tables()
    for table in rewrite_files(lake):
        lake.call(f"ducklake_merge_adjacent_files('lake', {quote_text(table)})")
    return before, _count_files(lake)


def rewrite_files(lake: Lake, options: str = "") -> list[str]:
    """Write inlined rows to Parquet, and files anew that hold many deleted rows; returns the tables that hold rows.

    Args:
        lake: An open lake that may write.
        options: More arguments of `ducklake_rewrite_data_files`, in SQL.
    """
    tables = _list_filled_tables(lake)
    for table in tables:
        lake.call(f"ducklake_flush_inlined_data('lake', table_name => {quote_text(table)})")
        lake.call(f"ducklake_rewrite_data_files('lake', {quote_text(table)}{options})")
    return tables


def list_inlined(lake: Lake) -> dict[str, int]:
    """List the catalog's own tables that hold rows of the lake, each with the id of the lake's table."""
    inlined = lake.rows(f"SELECT table_name, table_id FROM {METADATA}.ducklake_inlined_data_tables")
    return {name: table for name, table in inlined if lake.value(f'SELECT count(*) FROM {METADATA}."{name}"')}


def _list_filled_tables(lake: Lake) -> list[str]:
    tables = "SELECT table_name FROM lake.table_info() WHERE file_count > 0 OR list_contains(?, table_id) ORDER BY ALL"
    return [name for (name,) in lake.rows(tables, [list(list_inlined(lake).values())])]


def _count_files(lake: Lake) -> int:
    return int(lake.value("SELECT coalesce(sum(file_count), 0) FROM lake.table_info()"))
