"""`curate sql` prints what was asked for, in every format."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from curate.core.errors import CurateError
from curate.lake.lake import Lake
from curate.lake.query import run_query

QUERY = 'SELECT "key", model, messages FROM responses ORDER BY "key" LIMIT 2'


def test_json_keeps_nested_values(sample_lake: Lake, tmp_path: Path) -> None:
    run_query(sample_lake, QUERY, as_format="json", output=tmp_path / "x.json")
    rows = json.loads((tmp_path / "x.json").read_text())
    assert [row["key"] for row in rows] == ["q0-r0", "q0-r1"]
    assert rows[0]["messages"][0]["content"][0]["text"] == "The answer is 0."


def test_csv_and_parquet_read_back(sample_lake: Lake, tmp_path: Path) -> None:
    run_query(
        sample_lake, 'SELECT "key" FROM responses ORDER BY 1', as_format="csv", output=tmp_path / "x.csv"
    )
    run_query(sample_lake, "SELECT * FROM responses", as_format="parquet", output=tmp_path / "x.parquet")
    assert pl.read_csv(tmp_path / "x.csv").height == pl.read_parquet(tmp_path / "x.parquet").height == 48


def test_a_table_says_when_it_is_cut(sample_lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    run_query(sample_lake, "SELECT * FROM judgments", as_format="table")
    assert "432 rows, 50 shown" in capsys.readouterr().out


@pytest.mark.parametrize("query", ["SELEC 1", "SELECT nothing FROM prompts", ""])
def test_bad_sql_is_one_error(sample_lake: Lake, query: str) -> None:
    with pytest.raises(CurateError):
        run_query(sample_lake, query, as_format="table")
