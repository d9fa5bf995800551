"""SQL brings no pandas, and pandas can be imported afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CODE = """
import sys
import duckdb
from curate.lake.execute import execute
connection = duckdb.connect()
assert execute(connection, "SELECT ?, len(?)", ["x", [1, 2]]).fetchall() == [("x", 2)]
import polars
connection.register("bound", polars.DataFrame({"n": [1, 2]}))
assert execute(connection, "SELECT sum(n) FROM bound").fetchall() == [(3,)]
assert execute(connection, "SELECT n FROM bound WHERE n > ?", [1]).fetchall() == [(2,)]
assert "pandas" not in sys.modules
import pandas
assert execute(connection, "SELECT ?", [pandas.NaT]).fetchall() == [(None,)]
connection.register("frame", pandas.DataFrame({"n": [1, 2]}))
assert execute(connection, "SELECT sum(n) + ? FROM frame", [1]).fetchall() == [(4,)]
assert list(connection.execute("SELECT 3 AS n").df()["n"]) == [3]
"""


def test_sql_imports_no_pandas_and_frames_and_values_of_pandas_are_read_where_it_is_there() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    subprocess.run([sys.executable, "-c", _CODE], check=True)
