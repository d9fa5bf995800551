"""`curate rank` on a lake whose models are better the lower their number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.aggregate import aggregate_judgments
from curate.aggregate.ranking.models import rank_models
from curate.cli.app import app
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.lake.lake import Lake

PANEL = Config.model_validate({"judge": {"judges": [{"name": "good", "kind": "rule"}]}})


def test_the_better_model_is_ahead_by_every_rule(sample_lake: Lake) -> None:
    aggregate_judgments(sample_lake, PANEL)
    found = rank_models(sample_lake, resamples=200)
    rows = found.models.to_dicts()
    assert [row["model"] for row in rows] == [f"model-{k}" for k in range(4)]
    assert [row["place"] for row in rows] == [row["kemeny"] for row in rows] == [1, 2, 3, 4]
    assert found.pairs == 72
    assert found.connected
    for column in ("elo", "borda", "pagerank"):
        values = [row[column] for row in rows]
        assert values == sorted(values, reverse=True)
    for row in rows:
        assert row["low"] <= row["elo"] <= row["high"]
        assert row["best_place"] <= row["place"] <= row["worst_place"]
        assert row["wins"] + row["losses"] + row["ties"] == 36
    assert sum(row["wins"] for row in rows) == sum(row["losses"] for row in rows)


def test_models_that_never_met_are_told_apart_from_those_that_did(sample_lake: Lake) -> None:
    aggregate_judgments(sample_lake, PANEL)
    with sample_lake.write("split") as writer:
        writer.delete(
            "preferences",
            "(SELECT model FROM responses WHERE response_id = response_a) IN ('model-0', 'model-1') <> "
            "((SELECT model FROM responses WHERE response_id = response_b) IN ('model-0', 'model-1'))",
            [],
        )
    assert not rank_models(sample_lake, resamples=10).connected


def test_without_preferences_the_user_is_told_what_to_do(lake: Lake) -> None:
    with pytest.raises(CurateError, match="run `curate aggregate` first"):
        rank_models(lake)


def test_the_command_prints_a_table_csv_and_json(
    sample_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregate_judgments(sample_lake, PANEL)
    (tmp_path / "curate.yaml").write_text("workspace: .\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    sample_lake.close()
    runner = CliRunner()
    shown = runner.invoke(app, ["rank", "--resamples", "20"], env={"COLUMNS": "140"})
    assert shown.exit_code == 0, shown.output
    assert "72 pairs" in shown.output
    rows = json.loads(runner.invoke(app, ["rank", "--resamples", "20", "-f", "json"]).output)
    assert rows[0]["model"] == "model-0"
    lines = runner.invoke(
        app, ["rank", "--resamples", "20", "-f", "csv", "--ties", "davidson"]
    ).output.splitlines()
    assert lines[0].startswith("place,model,elo,low,high")
    assert len(lines) == 5
