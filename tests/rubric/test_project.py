"""A project by the commands: labels, features, verdicts of a verifier and of people, the report, and forgetting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curate.cli.app import main
from curate.data.rubric import read_rubric
from curate.lake.lake import Lake, Location
from curate.records import CriterionVerdict, arrow_schema, verdict_id
from tests.rubric.samples import make_rows, write_rows

CONFIG = """
ingest:
  - {source: pairs.jsonl, format: trl-preference, annotator: crowd}
judge: {judges: [{name: imported, kind: rule, rule: length}]}
rubric:
  select: {halvings: 15, resamples: 60}
"""
RUBRIC = """
name: plain
criteria:
- {name: plain-words, text: The response says plainly what is so.}
- {name: rainy, text: The response mentions the weather.}
"""


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> None:
    monkeypatch.setattr("sys.argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code or 0) == code


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_rows(tmp_path / "pairs.jsonl", make_rows(60))
    (tmp_path / "curate.yaml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    run("ingest", monkeypatch=monkeypatch)
    run("aggregate", monkeypatch=monkeypatch)
    return tmp_path


def open_lake(project: Path, *, read_only: bool = True) -> Lake:
    return Lake.open(Location.under(project / ".curate" / "lake"), read_only=read_only)


def judge_responses(project: Path) -> None:
    """Write what a verifier and a person say of each response by both criteria."""
    rubric = read_rubric(project / "plain.yaml")
    rows = []
    with open_lake(project, read_only=False) as lake:
        responses = lake.rows(
            "SELECT prompt_id, response_id, memory.response_text(messages) FROM responses ORDER BY response_id"
        )
        for place, (prompt, response, text) in enumerate(responses):
            for criterion in rubric.criteria:
                for annotator, kind in (("verifier", "llm"), ("ann", "human")):
                    if kind == "human" and place % 4:
                        continue
                    is_plain = "Perhaps" not in text
                    failed = place == 0 and kind == "llm"
                    outcome = "failed" if failed else "satisfied" if is_plain else "violated"
                    if criterion.name == "rainy" and not failed:
                        outcome = "violated"
                    rows.append(
                        CriterionVerdict(
                            verdict_id=verdict_id(
                                criterion=criterion.criterion_id,
                                response=response,
                                annotator=annotator,
                                revision="1",
                            ),
                            criterion_id=criterion.criterion_id,
                            criterion=criterion.name,
                            prompt_id=prompt,
                            response_id=response,
                            annotator_id=annotator,
                            kind=kind,
                            outcome=outcome,
                            revision="1",
                            run_id="r",
                        ).model_dump()
                    )
        with lake.write("verdicts") as writer:
            writer.append(
                "criterion_verdicts", pa.Table.from_pylist(rows, schema=arrow_schema(CriterionVerdict))
            )


def test_features_of_a_project_are_kept_shown_and_forgotten(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("rubric", "features", "curate.yaml", "--write", "rubrics/mine.yaml", monkeypatch=monkeypatch)
    rubric = read_rubric(project / "rubrics" / "mine.yaml")
    assert [criterion.feature for criterion in rubric.criteria] == ["hedges"]
    with open_lake(project) as lake:
        ((revision, origin, details),) = lake.rows("SELECT revision, origin, details FROM rubrics")
    assert (revision, origin) == (rubric.revision, "features")
    kept = json.loads(details)["evidence"]["hedges"]
    assert kept["lost"] > kept["won"] > 0
    run("report", monkeypatch=monkeypatch)
    page = (project / "report.html").read_text(encoding="utf-8")
    assert "What makes a response better" in page
    assert "The response hedges." in page
    assert "The better response has it less" in page
    capsys.readouterr()
    run("rubric", "verify", "rubrics/mine.yaml", "--json", monkeypatch=monkeypatch)
    (row,) = json.loads(capsys.readouterr().out)["criteria"]
    assert row["problem"] is None
    assert row["consistency"]["value"] > 0.8
    with open_lake(project) as lake:
        prompt = lake.value("SELECT min(prompt_id) FROM prompts")
    run("forget", "prompt", prompt, "--yes", monkeypatch=monkeypatch)
    with open_lake(project) as lake:
        assert lake.value("SELECT count(*) FROM rubrics") == 0


def test_verdicts_of_the_lake_are_verified_selected_and_reported(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "plain.yaml").write_text(RUBRIC, encoding="utf-8")
    run("rubric", "verify", "plain.yaml", monkeypatch=monkeypatch, code=1)
    assert "let a verifier judge them first" in capsys.readouterr().err
    judge_responses(project)
    run("rubric", "verify", "plain.yaml", "--json", monkeypatch=monkeypatch)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in document["criteria"]}
    assert rows["plain-words"]["problem"] is None
    assert rows["plain-words"]["people"] == [29, 29]
    assert rows["plain-words"]["failed"] == 1
    assert rows["rainy"]["problem"].startswith("tells the responses apart in 0.0%")
    run("rubric", "select", "plain.yaml", "--write", "few.yaml", monkeypatch=monkeypatch)
    few = read_rubric(project / "few.yaml")
    assert [criterion.name for criterion in few.criteria] == ["plain-words"]
    run("report", monkeypatch=monkeypatch)
    page = (project / "report.html").read_text(encoding="utf-8")
    assert "29 of 29" in page
    assert "The better response has it more" in page
    with open_lake(project) as lake:
        prompt = lake.value("SELECT min(prompt_id) FROM prompts")
    run("forget", "prompt", prompt, "--yes", monkeypatch=monkeypatch)
    with open_lake(project) as lake:
        assert lake.value("SELECT count(*) FROM criterion_verdicts WHERE prompt_id = ?", [prompt]) == 0
        assert lake.value("SELECT count(*) FROM criterion_verdicts") > 0


def test_a_project_without_labels_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "pairs.jsonl", make_rows(5))
    (tmp_path / "curate.yaml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    run("ingest", monkeypatch=monkeypatch)
    run("rubric", "features", monkeypatch=monkeypatch, code=1)
    assert "has no labels that are decided yet: run `curate aggregate`" in capsys.readouterr().err
    run("rubric", "features", "--people", monkeypatch=monkeypatch, code=1)
    assert "has no labels from people yet" in capsys.readouterr().err
