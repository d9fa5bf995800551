"""`curate sql`: a query's result as a table on the screen, or as JSON, CSV or Parquet in a pipe."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO, Literal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.core.atomic import open_output, refuse_overwrite
from curate.core.errors import CurateError
from curate.core.sql_text import quote_text
from curate.core.terminal import escape_controls
from curate.lake.lake import Lake
from curate.lake.statements import refuse_changes

Format = Literal["table", "json", "csv", "parquet"]


def run_query(
    lake: Lake,
    query: str,
    *,
    as_format: Format,
    output: Path | None = None,
    force: bool = False,
    write: bool = False,
) -> pa.Table:
    """Run SQL and write its result to `output` or standard output (JSON: one array of objects).

    Args:
        lake: An open lake.
        query: One or more statements; the result is that of the last one.
        as_format: Form of the result.
        output: A file; default: standard output.
        force: Overwrite the file if it exists.
        write: Allow statements that change something. The lake's lock is held while they run.

    Returns:
        The result.

    Raises:
        CurateError: The SQL is wrong or may not run, or the file exists.
    """
    target = output or Path("-")
    if output is not None:
        refuse_overwrite(output, force=force)  # before the query, not only after it
    elif as_format == "parquet" and sys.stdout.isatty():
        raise CurateError("Parquet is binary: name a file with --output, or redirect standard output.")
    try:
        if not duckdb.extract_statements(query):
            raise CurateError("There is no SQL statement in that.")
        if write:
            result = lake.run_statements(query)
        else:
            refuse_changes(query)
            lake.lock_settings()
            result = lake.arrow(query)
    except duckdb.Error as error:
        raise CurateError(str(error)) from error
    with open_output(target, force=force) as stream:
        if as_format == "table":
            stream.write(escape_controls(_render_table(result)).encode())  # CSV and JSON are exact
        elif as_format == "parquet":
            pq.write_table(result, stream)
        else:
            _write_text(lake, result, as_format, stream)
    return result


def _write_text(lake: Lake, result: pa.Table, as_format: Literal["json", "csv"], stream: BinaryIO) -> None:
    """Write a table as CSV or JSON to an open stream.

    DuckDB writes only to files that it opens itself, and opening /dev/stdout anew empties the file it is redirected to.
    """
    options = "FORMAT json, ARRAY true" if as_format == "json" else "FORMAT csv, HEADER true"
    with tempfile.TemporaryDirectory() as folder, lake.bind("result", result):
        file = Path(folder) / "result"
        lake.rows(f"COPY (SELECT * FROM result) TO {quote_text(file)} ({options})")
        with file.open("rb") as text:
            shutil.copyfileobj(text, stream, 1 << 20)


def _render_table(result: pa.Table) -> str:
    frame = pl.from_arrow(result)
    wide = pl.Config(
        tbl_rows=50, tbl_cols=-1, tbl_width_chars=160, fmt_str_lengths=60, tbl_hide_dataframe_shape=True
    )
    with wide:
        text = f"{frame}\n"
    if result.num_rows > 50:
        text += f"{result.num_rows} rows, 50 shown: --format csv or json gives all.\n"
    return text
