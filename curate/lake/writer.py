"""Changes of the lake inside one write transaction: rows are appended, added as files, updated, deleted, replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.core.resources import read_query
from curate.core.sql_text import quote_text
from curate.lake.bucket_files import NewBucketFiles
from curate.lake.data_folder import is_local
from curate.lake.execute import execute
from curate.lake.new_files import NewFiles
from curate.lake.scrub import scrub_rows
from curate.lake.staged_file import StagedFile, write_staged_file
from curate.records import TABLES, arrow_schema

_INLINED = 10  # rows up to which DuckLake keeps an insert in the catalog


class Writer:
    """Changes inside one write transaction."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        stage: Callable[[str, pa.Table], StagedFile | None],
        files: NewFiles | NewBucketFiles,
        data: str,
    ) -> None:
        self._connection = connection
        self._stage = stage
        self._files = files
        self._data = data

    def append(
        self, table: str, rows: pa.Table, *, unique: str | None = None, near: str | None = None
    ) -> int:
        """Insert rows; with `unique`, only the first of each value of that column that is not there yet.

        `near`: a column whose values in equal rows are equal and in `rows` close together, so that files of others
        need not be read. Returns the number of rows inserted.
        """
        if rows.num_rows == 0:
            return 0
        rows = scrub_rows(table, rows)
        columns = ", ".join(f'"{name}"' for name in rows.column_names)
        if unique is not None:
            rows = _take_first(rows, unique)
        is_uploaded = not is_local(self._data) and rows.num_rows > _INLINED and table in TABLES
        if not is_uploaded:
            self._files.watch_table(table)
        self._connection.register("incoming", rows)
        try:
            source, bounds = "SELECT * FROM incoming", list[object]()
            if unique is not None:
                there, bounds = _find_existing(table, rows, near)
                source += f" ANTI JOIN ({there}) AS there USING ({unique})"
            if is_uploaded:
                return self._upload(table, execute(self._connection, source, bounds).to_arrow_table())
            inserted = execute(
                self._connection, f"INSERT INTO lake.{table} ({columns}) {source}", bounds
            ).fetchone()
        finally:
            self._connection.unregister("incoming")
        return int(inserted[0]) if inserted else 0

    def _upload(self, table: str, rows: pa.Table) -> int:
        """Insert rows into a table in a bucket, as a file of ours.

        DuckLake deletes what it wrote where a commit fails, also where the catalog has kept the commit and only the
        answer was lost; a file that was added is left alone.
        """
        if rows.num_rows == 0:
            return 0
        schema = arrow_schema(TABLES[table])
        columns = [
            rows[field.name].cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(rows.num_rows, field.type)
            for field in schema
        ]
        return self.adopt(write_staged_file(table, pa.table(columns, schema=schema), self._data))

    def adopt(self, file: StagedFile) -> int:
        """Append the rows of a file that `Lake.stage` wrote; the lake owns it from here on."""
        self._connection.execute(
            f"CALL ducklake_add_data_files('lake', '{file.table}', {quote_text(file.path)})"
        )
        self._files.add_checksum(file.checksum)
        return file.rows

    def add(self, table: str, rows: pa.Table) -> int:
        """Append rows, as a file of their own (`Lake.stage`) where that is quicker."""
        staged = self._stage(table, rows)
        return self.append(table, rows) if staged is None else self.adopt(staged)

    def delete(self, table: str, where: str, parameters: Sequence[object] = ()) -> int:
        self._files.watch_table(table)
        deleted = execute(self._connection, f"DELETE FROM lake.{table} WHERE {where}", parameters).fetchone()
        return int(deleted[0]) if deleted else 0

    def update(self, table: str, change: str, parameters: Sequence[object] = ()) -> int:
        """Change rows of a table: `change` is what follows `UPDATE table SET`."""
        self._files.watch_table(table)
        changed = execute(self._connection, f"UPDATE lake.{table} SET {change}", parameters).fetchone()
        return int(changed[0]) if changed else 0

    def replace(
        self, table: str, rows: pa.Table, group: str, where: str, parameters: Sequence[object]
    ) -> int:
        """Make the rows of `table` that match `where` those of `rows`, touching only the groups that differ.

        A group is what shares a value of the column `group`; `run_id` does not count as a difference, so that what
        stays the same keeps naming the run that made it. Returns the number of groups rewritten.
        """
        compared = ", ".join(f'"{name}"' for name in rows.column_names if name != "run_id")
        names = {"table": table, "group": group, "where": where, "compared": compared}
        values = list(parameters)
        there = execute(self._connection, f"SELECT 1 FROM lake.{table} WHERE {where} LIMIT 1", values)
        if there.fetchone() is None:  # nothing to compare with
            self.add(table, rows)
            return int(pc.count_distinct(rows[group]).as_py())
        self._connection.register("incoming_rows", rows)
        try:
            execute(self._connection, read_query("changed_groups").format(**names), values)
            changed, groups = self._connection.execute(
                "SELECT count(*) FILTER (changed), count(*) FROM changed_groups"
            ).fetchall()[0]
            if 2 * changed > groups:  # sooner all than half of it
                self.delete(table, where, values)
                self.add(table, rows)
            elif changed:
                listed = f"{group} IN (SELECT {group} FROM changed_groups WHERE changed)"
                self.delete(table, f"({where}) AND {listed}", values)
                kept = self._connection.execute(f"SELECT * FROM incoming_rows WHERE {listed}")
                self.add(table, kept.to_arrow_table())
        finally:
            self._connection.unregister("incoming_rows")
        return int(changed)


def _find_existing(table: str, rows: pa.Table, near: str | None) -> tuple[str, list[object]]:
    """The rows of a table that may equal some of `rows`, as a query with its parameters."""
    if near is None:
        return f"SELECT * FROM lake.{table}", []
    bounds = pc.min_max(rows[near]).as_py()
    return f"SELECT * FROM lake.{table} WHERE {near} BETWEEN ? AND ?", [bounds["min"], bounds["max"]]


def _take_first(rows: pa.Table, column: str) -> pa.Table:
    """Arrow's group-by is a hash over one column only, so wide rows are not touched before the final take."""
    ids = pa.table({"id": rows[column], "at": pa.array(np.arange(rows.num_rows))})
    firsts = ids.group_by("id").aggregate([("at", "min")])["at_min"]
    return rows if len(firsts) == rows.num_rows else rows.take(firsts.combine_chunks().sort())
