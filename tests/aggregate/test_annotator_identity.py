"""Annotators of one name and several kinds are several annotators, through the commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from curate.aggregate import aggregate_judgments
from curate.aggregate.encode import encode_votes
from curate.cli.app import main
from curate.config.project import Config, load_config
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel

PROMPTS = 24


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def verdicts(name: str, kind: str, winner: str) -> list[dict[str, object]]:
    row: dict[str, object] = {"a": "long", "b": "short", "annotator": name, "kind": kind, "winner": winner}
    return [{"prompt": f"q{number}", **row} for number in range(PROMPTS)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The rule `length`, which is for the long response of every prompt."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "id": f"q{number}",
            "prompt": f"Question {number}?",
            "responses": [
                {"id": "long", "text": f"{number} is so. " * 9},
                {"id": "short", "text": f"{number}."},
            ],
        }
        for number in range(PROMPTS)
    ]
    write_lines(tmp_path / "responses.jsonl", rows)  # type: ignore[arg-type]
    return tmp_path


def write_settings(project: Path, *files: str, judges: bool = True) -> Config:
    settings = {
        "ingest": [{"source": "responses.jsonl"}, *({"source": file, "kind": "judgments"} for file in files)],
        "judge": {"judges": [{"name": "length", "kind": "rule", "rule": "length"}] if judges else []},
        "export": [{"path": "out", "format": "parquet"}],
    }
    (project / "curate.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return load_config(project / "curate.yaml")


def labels(lake: Lake) -> set[tuple[str, str]]:
    query = (
        "SELECT DISTINCT CASE outcome WHEN 'a' THEN a.key WHEN 'b' THEN b.key ELSE 'tie' END, status FROM preferences "
        "JOIN responses AS a ON a.response_id = response_a JOIN responses AS b ON b.response_id = response_b"
    )
    return set(lake.rows(query))


def test_a_person_called_like_a_judge_is_a_person(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines(project / "people.jsonl", verdicts("length", "human", "b"))
    settings = write_settings(project, "people.jsonl")
    for command in ("ingest", "judge", "aggregate", "export", "report"):
        call(monkeypatch, command)
    with Lake.open(settings.location, read_only=True) as lake:
        assert labels(lake) == {("short", "verified")}
        found = lake.rows("SELECT annotator_id, kind, n, agreement FROM annotators ORDER BY kind")
        assert found == [("length", "human", PROMPTS, None), ("length", "rule", PROMPTS, 0.0)]
    page = (project / "report.html").read_text(encoding="utf-8")
    assert "length (human)" in page
    assert "length (human)" in (project / "out" / "README.md").read_text(encoding="utf-8")
    capsys.readouterr()
    call(monkeypatch, "explain", "q1")
    assert "length (human)" in capsys.readouterr().out


@pytest.mark.parametrize("order", [("models.jsonl", "people.jsonl"), ("people.jsonl", "models.jsonl")])
def test_a_model_and_a_person_of_one_name_do_not_cancel_out(
    project: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[str, str]
) -> None:
    write_lines(project / "models.jsonl", verdicts("sam", "llm", "a"))
    write_lines(project / "people.jsonl", verdicts("sam", "human", "b"))
    settings = write_settings(project, *order, judges=False)
    call(monkeypatch, "ingest")
    call(monkeypatch, "aggregate")
    with Lake.open(settings.location) as lake:
        assert labels(lake) == {("short", "verified")}
        found = lake.rows("SELECT annotator_id, kind, n FROM annotators ORDER BY kind")
        assert found == [("sam", "human", PROMPTS), ("sam", "llm", PROMPTS)]
        select_panel(lake, settings.panel_names)
        names = lake.rows(
            "SELECT annotator_id, kind, count(*) FROM pairwise_statements GROUP BY ALL ORDER BY ALL"
        )
        assert names == [("sam (human)", "human", PROMPTS), ("sam (llm)", "llm", PROMPTS)]


def test_gold_is_held_against_each_of_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(project / "people.jsonl", verdicts("length", "human", "b"))
    settings = write_settings(project, "people.jsonl")
    document = yaml.safe_load((project / "curate.yaml").read_text())
    document["evaluate"] = {"benchmarks": [{"name": "gold", "source": "gold.jsonl"}]}
    (project / "curate.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    gold = [{"prompt": f"q{k}", "a": "long", "b": "short", "winner": "b"} for k in range(PROMPTS)]
    write_lines(project / "gold.jsonl", gold)  # type: ignore[arg-type]
    for command in ("ingest", "judge", "aggregate", "evaluate"):
        call(monkeypatch, command)
    with Lake.open(settings.location, read_only=True) as lake:
        query = "SELECT subject, value FROM evaluations WHERE metric = 'accuracy' AND subset = 'all'"
        scores = dict(lake.rows(query))
    assert scores["length (human)"] == 1.0
    assert scores["length"] == 0.0


def test_whoever_is_called_like_the_name_that_tells_apart_is_told_apart_too(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(project / "models.jsonl", verdicts("sam", "llm", "a") + verdicts("sam (human)", "llm", "a"))
    write_lines(project / "people.jsonl", verdicts("sam", "human", "b"))
    settings = write_settings(project, "models.jsonl", "people.jsonl", judges=False)
    call(monkeypatch, "ingest")
    with Lake.open(settings.location) as lake:
        lake.rows(f"CREATE TEMP TABLE panel AS {read_query('current_panel')}", [[]])
        lake.rows(read_query("current_judgments"))
        lake.rows(read_query("aggregate_spoken"))
        votes = encode_votes(lake).votes
    people = {name for name, human in zip(votes.annotators, votes.human, strict=True) if human}
    assert sorted(votes.annotators) == ["sam (human)", "sam (human) (llm)", "sam (llm)"]
    assert people == {"sam (human)"}


def test_names_that_are_not_shared_stay_as_they_are(sample_lake: Lake) -> None:
    aggregate_judgments(sample_lake, Config())
    select_panel(sample_lake, Config().panel_names)
    names = sample_lake.rows("SELECT DISTINCT annotator_id FROM current_judgments ORDER BY 1")
    assert [name for (name,) in names] == ["fair", "good", "random"]
