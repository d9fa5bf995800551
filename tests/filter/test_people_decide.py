"""`action: route`: what a filter finds stays out until people, asked about each response, let it stay."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from curate.cli.app import main
from curate.lake.lake import Lake, Location

ANSWERS = {
    "Who answers questions about bills?": [
        "Write to ada.king@bills-office.net.",
        "Nobody.",
        "The desk on the left.",
    ],
    "Who keeps the keys of the hall?": [
        "Ask bob.smith@hall-keepers.net.",
        "I do not know.",
        "The porter, all day.",
    ],
}
CONFIG = """
ingest: [{source: rows.jsonl}]
filter: [{kind: personal-data, action: route}]
judge: {judges: [{name: long, kind: rule, rule: length}]}
verify: {}
export: [{path: out, jsonl: true}]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [
        {
            "id": prompt,
            "prompt": prompt,
            "responses": [{"id": str(n), "text": text, "model": f"m{n}"} for n, text in enumerate(answers)],
        }
        for prompt, answers in ANSWERS.items()
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "curate.yaml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, status: int = 0) -> None:
    monkeypatch.setattr("sys.argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code or 0) == status


def query(folder: Path, text: str) -> list[tuple[Any, ...]]:
    with Lake.open(Location.under(folder / ".curate" / "lake"), read_only=True) as lake:
        return lake.rows(text)


def read_exported(folder: Path) -> str:
    (file,) = (folder / "out").rglob("*.jsonl")
    return file.read_text(encoding="utf-8")


def answer(sheet: Path, verdicts: dict[str, str]) -> None:
    """Fill in the verdict of each row whose response holds the key."""
    with sheet.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        assert "The filter personal-data has found something." in row["question"]
        (row["verdict"],) = (verdict for part, verdict in verdicts.items() if part in row["first"])
    with sheet.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_people_decide_which_responses_stay(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "run")
    assert "personal-data 2 (out until people let them stay" in capsys.readouterr().out
    assert "@" not in read_exported(project)
    assert query(project, "SELECT count(*) FROM judgments") == [
        (2,)
    ]  # of two prompts with two responses each

    run(monkeypatch, "verify", "plan", "--budget", "10", "--filter", "personal-data")
    run(monkeypatch, "verify", "export-csv", "sheet.csv", "--annotator", "eva")
    answer(project / "sheet.csv", {"ada.king": "fail", "bob.smith": "pass"})
    run(monkeypatch, "verify", "import-csv", "sheet.csv", "--annotator", "eva")
    assert "@" not in read_exported(project)  # until the stage reads what people said

    run(monkeypatch, "run")
    exported = read_exported(project)
    assert "bob.smith@hall-keepers.net" in exported
    assert "ada.king" not in exported
    actions = dict(query(project, "SELECT action, count(*) FROM filter_decisions GROUP BY ALL"))
    assert actions == {"drop": 1, "pass": 1}
    assert query(project, "SELECT count(*) FROM judgments WHERE kind <> 'human'") == [(4,)]
    human = query(project, "SELECT DISTINCT aspect FROM judgments WHERE kind = 'human'")
    assert human == [("filter personal-data",)]  # which is no aspect of quality, and no label
    assert query(project, "SELECT count(*) FROM preferences WHERE status = 'verified'") == [(0,)]

    capsys.readouterr()
    run(monkeypatch, "verify", "plan", "--budget", "10", "--filter", "personal-data", status=1)
    assert "No response waits for people" in capsys.readouterr().err


def test_only_responses_are_routed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "curate.yaml").write_text(
        CONFIG.replace("action: route", "action: route, of: prompt"), encoding="utf-8"
    )
    run(monkeypatch, "filter", status=1)
    assert "`action: route` needs `of: response`" in capsys.readouterr().err


def test_the_question_of_a_filter_has_its_own_form(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "verify", "plan", "-n", "5", "--filter", "personal-data", "--form", "ranking", status=1)
    assert "leave out `--form`" in capsys.readouterr().err
