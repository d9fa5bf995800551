"""What is exported is what others load: `datasets`, and rows as their models say."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.export import write_export
from curate.export.formats import list_row_types
from curate.lake.lake import Lake

# test_judge_sft.py, test_judge_ratings.py, test_consumers.py, test_rubric_formats.py, test_pass_fail_pairs.py
ELSEWHERE = (
    "judge-sft",
    "judge-sft-pointwise",
    "judge-sft-listwise",
    "critique",
    "judge-rl",
    "inspect",
    "reward-bench-2",
    "rubric",
    "criterion-verdicts",
    "pass-fail-pairs",
)


@pytest.mark.parametrize("form", [form for form in list_row_types() if form not in ELSEWHERE])
def test_rows_are_those_of_the_model(labelled_lake: Lake, tmp_path: Path, form: str) -> None:
    labelled_lake.rows("UPDATE lake.responses SET model = NULL WHERE model = 'model-2'")
    entry = ExportEntry.model_validate({"path": str(tmp_path / "out"), "format": form, "jsonl": True})
    write_export(labelled_lake, Config(), entry)
    lines = (tmp_path / "out" / "jsonl" / "train-00000.jsonl").read_text().splitlines()
    fields = list_row_types()[form].model_fields
    rows = [{"images": [], **json.loads(line)} if "images" in fields else json.loads(line) for line in lines]
    for row in rows:
        list_row_types()[form].model_validate(row)
    assert set(rows[0]) == set(fields)


@pytest.mark.parametrize(
    ("form", "configuration", "rows"),
    [("trl-preference", None, 72), ("ranking", None, 12), ("parquet", "judgments", 432)],
)
def test_datasets_loads_the_folder(
    labelled_lake: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    configuration: str | None,
    rows: int,
) -> None:
    import datasets

    entry = ExportEntry.model_validate({"path": str(tmp_path / "out"), "format": form, "jsonl": True})
    write_export(labelled_lake, Config(), entry)
    loaded = datasets.load_dataset(
        str(tmp_path / "out"), configuration, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.num_rows == rows
    name = configuration or "train"
    written = pl.read_parquet(tmp_path / "out" / "data" / f"{name}-*.parquet")
    assert loaded[0] == written.row(0, named=True)
    if form == "trl-preference":
        assert loaded[0]["chosen"] == [{"role": "assistant", "content": loaded[0]["chosen"][0]["content"]}]
