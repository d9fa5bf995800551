"""Statistics of tables without rows, as DuckLake would keep them for tables that it has put no row into.

DuckLake 1.5 remembers the statistics of a table, but not that there are none. To plan a query, it then asks the catalog
for them again for each column. The query takes up to seven times longer, and most tables of small projects are empty.
"""

from __future__ import annotations

import duckdb

from curate.lake.data_folder import METADATA

_WITHOUT = f"table_id NOT IN (SELECT table_id FROM {METADATA}.ducklake_table_stats)"
# Columns of which DuckLake keeps statistics: those that hold values, and not other columns. No value is NaN, or null.
_COLUMNS = f"""
INSERT INTO {METADATA}.ducklake_table_column_stats (table_id, column_id, contains_null, contains_nan)
SELECT table_id, column_id, false, CASE WHEN column_type IN ('float32', 'float64') THEN false END
FROM {METADATA}.ducklake_column
WHERE end_snapshot IS NULL AND {_WITHOUT} AND (table_id, column_id) NOT IN (
    SELECT (table_id, parent_column) FROM {METADATA}.ducklake_column WHERE parent_column IS NOT NULL
)
"""
_TABLES = f"""
INSERT INTO {METADATA}.ducklake_table_stats (table_id, record_count, next_row_id, file_size_bytes)
SELECT table_id, 0, 0, 0 FROM {METADATA}.ducklake_table WHERE end_snapshot IS NULL AND {_WITHOUT}
"""


def add_missing_statistics(connection: duckdb.DuckDBPyConnection) -> None:
    """Add statistics of tables that have none: no rows. Hold the lake's lock."""
    connection.execute("BEGIN")
    try:
        connection.execute(_COLUMNS)
        connection.execute(_TABLES)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
