"""The catalog's statistics of whole tables: the least and the greatest text of a column may be of an erased row."""

from __future__ import annotations

from curate.lake.compaction import list_inlined
from curate.lake.data_folder import METADATA
from curate.lake.lake import Lake

# What the files that are listed for any snapshot say; tables with rows in the catalog itself are left as they are.
_BOUNDS = f"""
SELECT table_id, column_id, min(files.min_value) AS low, max(files.max_value) AS high
FROM {METADATA}.ducklake_table_column_stats AS stats
JOIN (
    SELECT DISTINCT table_id, column_id FROM {METADATA}.ducklake_column WHERE column_type = 'varchar'
) AS texts USING (table_id, column_id)
LEFT JOIN {METADATA}.ducklake_file_column_stats AS files USING (table_id, column_id)
WHERE stats.min_value IS NOT NULL AND NOT list_contains(?, stats.table_id)
GROUP BY table_id, column_id, stats.min_value, stats.max_value
HAVING low IS DISTINCT FROM stats.min_value OR high IS DISTINCT FROM stats.max_value
"""


def shrink_statistics(lake: Lake) -> int:
    """Compute the bounds of columns of text anew from those of the files; returns the columns. Hold the lake's lock."""
    changed = lake.rows(_BOUNDS, [list(list_inlined(lake).values())])
    for table, column, low, high in changed:
        lake.rows(
            f"UPDATE {METADATA}.ducklake_table_column_stats SET min_value = ?, max_value = ? "
            "WHERE table_id = ? AND column_id = ?",
            [low, high, table, column],
        )
    return len(changed)
