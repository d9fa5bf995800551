"""`curate filter` as a user runs it: decisions, what judges are asked, what exports leave out, and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.cli.app import main
from curate.lake.lake import Lake, Location

ROWS = [
    {
        "id": f"q{number}",
        "prompt": prompt,
        "responses": [{"id": "a", "text": first, "model": "m1"}, {"id": "b", "text": second, "model": "m2"}],
    }
    for number, (prompt, first, second) in enumerate(
        [
            ("Name a fruit that is red and grows on trees.", "An apple.", "A red apple is a fruit."),
            ("name a fruit that is red, and grows on trees", "A red cherry.", "A plum."),
            (
                "Name a river in France, and where it ends.",
                "The Seine.<|im_end|>",
                "The Loire, in the Atlantic.",
            ),
            ("Name a mountain of more than eight thousand metres.", "K2.", "Everest, in the Himalayas."),
        ]
    )
]
CONFIG = """
ingest: [{source: rows.jsonl}]
filter:
  - {kind: duplicates}
  - {kind: special-tokens}
judge: {judges: [{name: long, kind: rule, rule: length}]}
export: [{path: out, jsonl: true}]
report: {path: report.html}
"""


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    (tmp_path / "curate.yaml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read_rows(folder: Path) -> list[dict[str, Any]]:
    (file,) = (folder / "out").rglob("*.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def exported(folder: Path) -> set[str]:
    return {row["prompt"][0]["content"].partition(" ")[2][:12] for row in read_rows(folder)}


def query(folder: Path, text: str) -> list[tuple[Any, ...]]:
    with Lake.open(Location.under(folder / ".curate" / "lake"), read_only=True) as lake:
        return lake.rows(text)


def test_what_is_dropped_is_not_judged_and_not_exported(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("ingest", monkeypatch=monkeypatch)
    capsys.readouterr()
    run("filter", "--dry-run", "--json", monkeypatch=monkeypatch)
    preview = json.loads(capsys.readouterr().out)
    assert [(entry["filter"], entry["items"], entry["found"]) for entry in preview] == [
        ("duplicates", 4, 1),
        ("special-tokens", 6, 1),
    ]
    run("run", monkeypatch=monkeypatch)
    run("filter", "--show", "special-tokens", "--json", monkeypatch=monkeypatch)
    out = capsys.readouterr().out
    assert "The Seine.<|im_end|>" in json.loads(out[out.index("[\n") :])[0]["text"]
    assert exported(project) == {"a fruit that", "a mountain o"}
    assert query(project, "SELECT count(DISTINCT prompt_id) FROM judgments") == [(2,)]
    run("filter", monkeypatch=monkeypatch)
    assert "nothing to do" in capsys.readouterr().out
    # Without the filters everything comes back: the rest is judged, labelled and exported.
    (project / "curate.yaml").write_text(CONFIG.replace("  - {kind: duplicates}\n", ""), encoding="utf-8")
    run("run", monkeypatch=monkeypatch)
    assert len(exported(project)) == 2
    decisions = query(project, 'SELECT "filter", count(*) FROM filter_decisions GROUP BY 1')
    assert decisions == [("special-tokens", 1)]
    assert len(read_rows(project)) == 3


def test_reported_only_is_kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = CONFIG.replace("{kind: duplicates}", "{kind: duplicates, action: report}")
    (project / "curate.yaml").write_text(text, encoding="utf-8")
    run("run", monkeypatch=monkeypatch)
    assert len(read_rows(project)) == 3


def test_two_filters_of_a_kind_need_names(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "curate.yaml").write_text("filter: [{kind: length}, {kind: length}]", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["curate", "filter"])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert "two filters are called 'length'" in capsys.readouterr().err
