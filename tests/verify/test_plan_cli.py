"""`curate verify plan`, the spreadsheet's way round, `quality` and `groups`, through the command line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.aggregate import aggregate_judgments
from curate.cli.app import app
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.lake.lake import Lake


def test_from_a_plan_to_quality(sample_lake: Lake, tmp_path: Path) -> None:
    aggregate_judgments(sample_lake, Config())
    sample_lake.close()
    (tmp_path / "curate.yaml").write_text("workspace: .\n")
    project = ["-c", str(tmp_path / "curate.yaml")]

    def call(*words: str, status: int = 0) -> str:
        result = CliRunner().invoke(app, ["verify", *words, *project], catch_exceptions=False)
        assert result.exit_code == status, result.output
        return " ".join(result.output.split())

    assert "40 questions planned (8 random, 32 expected-value); 40 wait" in call("plan", "--budget", "40")
    assert "nothing more to plan; 40 wait" in call("plan", "--budget", "40")
    sheet = tmp_path / "ada.csv"
    assert "40 questions written" in call("export-csv", str(sheet), "--annotator", "Ada")
    with pytest.raises(CurateError, match=r"ada\.csv exists already"):  # and may hold answers
        call("export-csv", str(sheet), "--annotator", "Ada")
    assert "40 questions written" in call("export-csv", str(sheet), "--annotator", "Ada", "--force")
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:35]:
        row["verdict"] = "first"
    rows[35]["verdict"] = "perhaps"
    with sheet.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    printed = call("import-csv", str(sheet), "--annotator", "Ada", status=1)
    assert "35 answers taken in, 0 known already, 4 rows without a verdict, 1 with a mistake" in printed
    assert "verdict is 'perhaps'" in printed
    assert "0 answers taken in, 35 known" in call("import-csv", str(sheet), "--annotator", " ada ", status=1)
    assert "person-" in call("quality")
    with pytest.raises(CurateError, match="35 verdicts on pairs: views can be told apart from 50 on"):
        call("groups")
