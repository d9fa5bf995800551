"""`curate runs` says what ran; `curate diff` says which labels changed, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from curate.cli.app import app


def ask(*arguments: str) -> Any:
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    ask("init", "p")
    monkeypatch.chdir(tmp_path / "p")
    for command in ("ingest", "judge", "aggregate"):
        ask(command)
    return tmp_path / "p"


def replace_in_config(project: Path, old: str, new: str) -> None:
    text = (project / "curate.yaml").read_text()
    assert old in text
    (project / "curate.yaml").write_text(text.replace(old, new))


def vote(project: Path, name: str, kind: str, votes: list[tuple[str, str, str, str]]) -> None:
    rows = [
        {"prompt": prompt, "a": a, "b": b, "annotator": name, "kind": kind, "winner": winner}
        for prompt, a, b, winner in votes
    ]
    (project / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ask("ingest", "judgments", f"{name}.jsonl")


def list_causes(diff: Any) -> dict[str, set[str]]:
    causes: dict[str, set[str]] = {}
    for pair in diff["pairs"]:
        for cause in pair["causes"]:
            causes.setdefault(cause["reason"], set()).update(cause["annotators"])
    return causes


def test_runs_say_what_ran_with_its_rows_and_parts(project: Path) -> None:
    runs = ask("runs")["runs"]
    assert [run["stage"] for run in runs] == ["aggregate", "judge", "ingest"]
    judge = runs[1]
    assert (judge["rows_in"], judge["rows_kept"], judge["status"]) == (36, 36, "done")
    assert judge["started"] < judge["finished"]
    document = ask("runs", judge["run_id"][:8])
    assert [part["part"] for part in document["parts"]] == ["length", "repetition", "bleu"]
    assert sum(part["rows_kept"] for part in document["parts"]) == 36
    assert [run["stage"] for run in ask("runs", "--stage", "ingest")["runs"]] == ["ingest"]
    assert CliRunner().invoke(app, ["runs", "zzz"]).exit_code == 1


def test_diff_names_the_judge_whose_revision_changed_and_nothing_else(project: Path) -> None:
    before = ask("runs", "-s", "aggregate")["runs"][0]["run_id"]
    assert ask("diff", before)["changed"] == 0
    replace_in_config(project, "metric: bleu", "metric: chrf")
    ask("judge")
    ask("aggregate")
    diff = ask("diff", before[:8])
    assert diff["changed"] == len(diff["pairs"]) > 0
    assert not diff["settings"]
    causes = list_causes(diff)
    assert causes["judge revision"] | causes.get("new votes", set()) == {"bleu"}
    assert causes.keys() <= {
        "judge revision", "new votes", "votes gone", "other pairs of the prompt", "votes elsewhere",
    }  # fmt: skip


def test_diff_tells_people_and_new_annotators_apart(project: Path) -> None:
    before = str(ask("status")["snapshot"])
    (prompt,) = ask("sql", "SELECT key FROM prompts WHERE key = 'sky'")
    a, b = "sky-a", "sky-b"
    explained = ask("explain", prompt["key"])
    keys = {response["response_id"]: response["key"] for response in explained["responses"]}
    (label,) = [
        pair for pair in explained["pairs"] if {keys[pair["response_a"]], keys[pair["response_b"]]} == {a, b}
    ]
    loser = label["response_a"] if label["outcome"] == "b" else label["response_b"]
    winner = "a" if keys[loser] == a else "b"
    vote(project, "sam", "human", [("sky", a, b, winner)])
    ask("aggregate")
    middle = str(ask("status")["snapshot"])
    diff = ask("diff", before, middle)
    (pair,) = [one for one in diff["pairs"] if loser in (one["response_a"], one["response_b"])][:1]
    assert any(cause["reason"] == "people" for cause in pair["causes"])
    for name in ("m1", "m2", "m3", "m4"):
        vote(project, name, "llm", [("sky", a, "sky-c", "b")])  # the panel says a
    ask("aggregate")
    causes = list_causes(ask("diff", middle))
    assert "people" not in causes
    assert causes["new votes"] == {"m1", "m2", "m3", "m4"}


def test_diff_names_the_setting_that_changed(project: Path) -> None:
    before = str(ask("status")["snapshot"])
    replace_in_config(project, "annotator_model: auto ", "annotator_model: panel ")
    ask("aggregate")
    diff = ask("diff", before)
    assert diff["settings"] == [{"key": "aggregate.annotator_model", "before": None, "after": "panel"}]
    assert diff["changed"] == 0 or diff["reasons"] == {"setting": diff["changed"]}


def test_diff_refuses_what_it_cannot_read_in_one_sentence(project: Path) -> None:
    runs = ask("runs")["runs"]
    for name, sentence in (
        ("feedfeed", "No run begins with"),
        ("999", "There is no snapshot 999"),
        (runs[-1]["run_id"], "There are no labels at snapshot"),
    ):
        done = CliRunner().invoke(app, ["diff", name, "--json"])
        assert done.exit_code == 1
        assert sentence in json.loads(done.stdout)["error"]
    replace_in_config(project, "metric: bleu", "metric: chrf")
    ask("judge")
    ask("aggregate")
    ask("gc", "--keep-days", "0")
    done = CliRunner().invoke(app, ["diff", runs[0]["run_id"], "--json"])
    assert "has been forgotten" in json.loads(done.stdout)["error"]
