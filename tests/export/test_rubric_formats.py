"""Exports of rubrics: (prompt, rubric) and (prompt, response, criterion, verdict), by a project's own commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from curate.cli.app import app
from curate.export.formats import list_row_types
from tests.judge.test_rubric_judge import CAPITAL, PARIS, READING, ROME, write

JUDGE = {"name": "ruler", "kind": "rubric", "engine": "m", "rubric": "mine.yaml"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two prompts of two responses, and a rubric; the second prompt has criteria of its own."""
    (tmp_path / "reading.py").write_text(READING)
    rows: list[dict[str, Any]] = [
        {"id": name, "prompt": f"What is the capital of {name}?", "meta": meta,
         "responses": [{"id": f"{name}-1", "text": "Paris, the capital."}, {"id": f"{name}-2", "text": "Rome."}]}
        for name, meta in (("France", {}), ("Italy", {"criteria": ["It says Rome."]}))
    ]  # fmt: skip
    (tmp_path / "responses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    configure(tmp_path, JUDGE)
    write(tmp_path, PARIS, CAPITAL, ROME)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(folder: Path, *judges: dict[str, Any]) -> None:
    config = {
        "engines": {"m": {"kind": "./reading.py:Reading"}},
        "ingest": [{"source": "responses.jsonl"}],
        "judge": {"judges": list(judges)},
        "export": [
            {"path": "rubrics", "format": "rubric", "license": "apache-2.0"},
            {"path": "verdicts", "format": "criterion-verdicts", "license": "apache-2.0"},
        ],
    }
    (folder / "curate.yaml").write_text(yaml.safe_dump(config))


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, f"{arguments}: {done.output} {done.exception}"
    return done.output


def read(folder: str) -> list[dict[str, Any]]:
    rows = pl.read_parquet(f"{folder}/data/*.parquet").to_dicts()
    row_type = list_row_types()["rubric" if folder == "rubrics" else "criterion-verdicts"]
    for row in rows:
        row_type.model_validate(row)
    assert set(rows[0]) == set(row_type.model_fields)
    return rows


def test_verdicts_and_rubrics_are_exported(project: Path) -> None:
    for command in ("ingest", "judge", "export"):
        run(command)
    verdicts = read("verdicts")
    assert len(verdicts) == 2 * 2 * 3
    said = {(row["response"], row["criterion"]): (row["verdict"], row["p_satisfied"]) for row in verdicts}
    assert said["Paris, the capital.", "It says Paris."] == (True, 0.9)
    assert said["Rome.", "It says capital."] == (False, 0.2)
    (first, *_) = verdicts
    assert first["prompt"][0]["content"].startswith("What is the capital of")
    assert (first["annotator_id"], first["kind"]) == ("ruler", "hard")
    rubrics = read("rubrics")
    assert [row["rubric"] for row in rubrics] == [
        "- Must hold: It says capital.\n- It says Paris.\n- Counts against an answer: It says Rome."
    ] * 2
    assert [each["weight"] for each in rubrics[0]["criteria"]] == [2.0, 1.0, -1.0]

    # An edited rubric: what was said of other criteria stays true, and what is said newly is added.
    write(project, PARIS, CAPITAL | {"text": "It says Rome too."}, ROME)
    run("judge")
    run("export")
    assert len(read("verdicts")) == 2 * 2 * 4
    assert "Must hold: It says Rome too." in read("rubrics")[0]["rubric"]
    run("export")  # nothing new


def test_a_prompts_own_rubric_goes_before_one_for_all(project: Path) -> None:
    configure(project, JUDGE, JUDGE | {"name": "own", "rubric": {"meta": "criteria"}})
    for command in ("ingest", "judge", "export"):
        run(command)
    texts = {row["prompt"][0]["content"]: row["rubric"] for row in read("rubrics")}
    assert texts["What is the capital of Italy?"] == "- It says Rome."
    assert "Must hold" in texts["What is the capital of France?"]
    by_judge = pl.DataFrame(read("verdicts")).group_by("annotator_id").len().sort("annotator_id").rows()
    assert by_judge == [("own", 2), ("ruler", 12)]


def test_an_export_without_rubrics_says_so(project: Path) -> None:
    configure(project, {"name": "short", "kind": "rule", "rule": "length"})
    for command in ("ingest", "judge"):
        run(command)
    done = CliRunner().invoke(app, ["export"])
    assert done.exit_code != 0
    assert "no rubric: 2" in str(done.exception)
