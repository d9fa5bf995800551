"""`curate sql`: a query's result as a table on the screen, or as JSON, CSV or Parquet in a pipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import CurateError
from curate.lake import Lake

Format = Literal["table", "json", "csv", "parquet"]


def run_query(lake: Lake, query: str, *, as_format: Format, output: Path | None = None) -> None:
    """Run SQL and write its result to `output` or standard output (JSON: one array of objects)."""
    try:
        if not duckdb.extract_statements(query):
            raise CurateError("There is no SQL statement in that.")
        result = lake.arrow(query)
    except duckdb.Error as error:
        raise CurateError(str(error)) from error
    if as_format == "table":
        _print_table(result)
    elif as_format == "parquet":
        if output is None and sys.stdout.isatty():
            raise CurateError("Parquet is binary: name a file with --output, or redirect standard output.")
        pq.write_table(result, output if output is not None else sys.stdout.buffer)
    else:
        options = "FORMAT json, ARRAY true" if as_format == "json" else "FORMAT csv, HEADER true"
        with lake.bind("result", result):
            lake.rows(f"COPY (SELECT * FROM result) TO '{output or '/dev/stdout'}' ({options})")


def _print_table(result: pa.Table) -> None:
    frame = pl.from_arrow(result)
    wide = pl.Config(
        tbl_rows=50, tbl_cols=-1, tbl_width_chars=160, fmt_str_lengths=60, tbl_hide_dataframe_shape=True
    )
    with wide:
        print(frame)
    if result.num_rows > 50:
        print(f"{result.num_rows} rows, 50 shown: --format csv or json gives all.")
