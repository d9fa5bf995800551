"""`curate export` from the command line: by consumer, with splits, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.cli.app import main
from curate.data.preference_pairs import read_pairs

ANSWERS = {"a": "short", "b": "somewhat longer", "c": "by far the longest of the answers"}

PAIRS = {(ANSWERS[better], ANSWERS[worse]) for better, worse in ("ca", "cb", "ba")}


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_exports_by_consumer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "id": f"p{number}",
            "prompt": f"question {number}",
            "responses": [
                {"id": f"p{number}{model}", "model": model, "text": text} for model, text in ANSWERS.items()
            ],
        }
        for number in range(6)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "curate.yaml").write_text(
        "ingest: [{source: rows.jsonl}]\n"
        "judge: {judges: [{name: length, kind: rule, rule: length}]}\n"
        "export:\n"
        "  - {path: nemo, format: nemo-rl, splits: {train: 0.5, test: 0.5}}\n"
        "  - {path: west, pairs: best-worst, models: [a, c]}\n"
    )
    for stage in ("ingest", "judge", "aggregate", "export"):
        assert call(monkeypatch, stage) == 0
    assert {file.name for file in (tmp_path / "nemo" / "data").iterdir()} == {
        "train-00000.parquet",
        "test-00000.parquet",
    }
    assert len(read_pairs(tmp_path / "west")) == 6

    capsys.readouterr()
    assert (
        call(monkeypatch, "export", "factory", "--for", "llama-factory", "--splits", "train=0.5,test=0.5")
        == 0
    )
    assert "dataset_dir: factory" in capsys.readouterr().out
    rows = pq.read_table(tmp_path / "factory" / "data" / "train-00000.parquet").to_pylist()
    assert {(row["chosen"]["content"], row["rejected"]["content"]) for row in rows} == PAIRS
    assert {row["chosen"]["role"] for row in rows} == {"assistant"}
    assert json.loads((tmp_path / "factory" / "dataset_info.json").read_text())["test"]["split"] == "test"

    assert call(monkeypatch, "export", "swift", "-f", "ms-swift") == 0
    rows = pq.read_table(tmp_path / "swift" / "data" / "train-00000.parquet").to_pylist()
    assert {(row["messages"][-1]["content"], row["rejected_response"]) for row in rows} == PAIRS
    assert all(row["margin"] > 0 for row in rows)

    for wrong, reason in {
        ("export", "x", "--for", "lama"): "no consumer that curate knows",
        ("export", "x", "--for", "trl", "-f", "ranking"): "both name a format",
        ("export", "--for", "trl"): "Name a folder",
        ("export", "x", "--splits", "half"): "should name shares",
    }.items():
        assert call(monkeypatch, *wrong) == 1
        assert reason in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
