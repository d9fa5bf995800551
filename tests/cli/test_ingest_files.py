"""`curate ingest FILE`: shown before it is written, taken in once that is agreed, and kept as text in curate.yaml."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from curate.cli.app import main

CERTAIN = {"prompt": "Why?", "chosen": "So.", "rejected": "No.", "domain": "x"}
LIKELY = {"question": "Why?", "response_a": "So.", "response_b": "No.", "winner": "B", "WorkerId": "W1"}
UNDECIDED = [
    {"prompt": "Why?", "response_a": "So.", "response_b": "No.", "label": 1},
    {"prompt": "How?", "response_a": "So.", "response_b": "No.", "label": 0},
]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert call(monkeypatch, "init", str(tmp_path / "p")) == 0
    monkeypatch.chdir(tmp_path / "p")
    Path("certain.jsonl").write_text(json.dumps(CERTAIN) + "\n")
    Path("likely.jsonl").write_text(json.dumps(LIKELY) + "\n")
    Path("undecided.jsonl").write_text("".join(json.dumps(row) + "\n" for row in UNDECIDED))
    return tmp_path / "p"


def list_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def count(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], query: str) -> str:
    capsys.readouterr()
    assert call(monkeypatch, "sql", query, "--format", "csv") == 0
    return capsys.readouterr().out.splitlines()[1]


def test_explain_needs_no_project_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.jsonl").write_text(json.dumps(LIKELY) + "\n")
    before = list_files(tmp_path)
    assert call(monkeypatch, "ingest", "--explain", "x.jsonl") == 0
    printed = capsys.readouterr().out
    for words in ("1 pairs", "user: Why?", "B is better than A, says W1 (human)", "annotator_kind: human"):
        assert words in printed
    assert list_files(tmp_path) == before


def test_dry_run_counts_every_row_and_writes_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("certain.jsonl").open("a") as file:
        file.write("broken\n")
    before = list_files(project)
    assert call(monkeypatch, "ingest", "certain.jsonl", "--dry-run") == 0
    assert "1 rows would be taken in, 1 would not, 1 broken JSON" in capsys.readouterr().out
    assert list_files(project) == before


def test_without_a_terminal_what_is_certain_goes_on_and_its_entry_is_kept(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("curate.yaml").read_text()
    assert call(monkeypatch, "ingest", "certain.jsonl") == 0
    assert "certain:" in capsys.readouterr().out
    after = Path("curate.yaml").read_text()
    entry = yaml.safe_load(after)["ingest"][-1]
    assert entry == {"source": "certain.jsonl", "format": "trl-preference", "fields": {"meta": ["domain"]}}
    example = before[before.index("  - source: responses.jsonl") : before.index("  # - source: votes.jsonl")]
    commented = "".join(f"  # {line.removeprefix('  ')}" for line in example.splitlines(keepends=True))
    start = after.index("  # recognised by")
    end = start + len(after) - len(before) - len(commented) + len(example)
    assert after[:start] + after[end:] == before.replace(example, commented)
    assert count(monkeypatch, capsys, "SELECT count(*) FROM judgments") == "1"
    assert count(monkeypatch, capsys, "SELECT meta FROM prompts") == '"{""domain"":""x""}"'
    assert call(monkeypatch, "ingest", "certain.jsonl") == 0  # again: the entry is not written twice
    assert Path("curate.yaml").read_text() == after
    assert call(monkeypatch, "ingest") == 0
    assert count(monkeypatch, capsys, "SELECT count(*) FROM judgments") == "1"


def test_without_a_terminal_what_is_likely_is_refused_with_its_mapping(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list_files(project)
    assert call(monkeypatch, "ingest", "likely.jsonl") == 1
    error = capsys.readouterr().err
    for words in ("likely and not certain", "winners: {B: b, A: a}", "--yes", "Traceback"):
        assert (words in error) is (words != "Traceback")
    assert list_files(project) == before
    assert call(monkeypatch, "ingest", "likely.jsonl", "--yes") == 0
    assert count(monkeypatch, capsys, "SELECT kind FROM judgments") == "human"
    assert yaml.safe_load(Path("curate.yaml").read_text())["ingest"][-1]["annotator_kind"] == "human"


@pytest.mark.parametrize("options", [[], ["--yes"], ["--dry-run"], ["--explain"]])
def test_what_is_not_decided_is_never_guessed(
    options: list[str], project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list_files(project)
    assert call(monkeypatch, "ingest", "certain.jsonl", "undecided.jsonl", *options) == 1
    assert "`label` holds 1, 0, and nothing says which of them means" in capsys.readouterr().err
    assert list_files(project) == before


def test_an_entry_that_somebody_edited_holds(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "ingest", "certain.jsonl") == 0
    text = Path("curate.yaml").read_text()
    edited = text.replace("source: certain.jsonl\n", "source: certain.jsonl\n    annotator: me\n")
    Path("curate.yaml").write_text(edited)
    assert call(monkeypatch, "ingest", "certain.jsonl") == 0
    assert count(monkeypatch, capsys, "SELECT count(*) FROM judgments WHERE annotator_id = 'me'") == "1"


def test_nothing_taken_in_is_a_failure_with_a_reason_and_a_mapping(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("curate.yaml").write_text(
        "ingest:\n  - {source: likely.jsonl, format: native}\n  - source: certain.jsonl\n"
    )
    for _ in range(2):  # it stays one when there is nothing to do
        assert call(monkeypatch, "ingest") == 1
        error = capsys.readouterr().err
        for words in ("likely.jsonl: no row was taken in", "`id` is missing", "winner: winner"):
            assert words in error
    assert count(monkeypatch, capsys, "SELECT count(*) FROM judgments") == "1"  # of the other source
    assert call(monkeypatch, "ingest", "responses", "likely.jsonl", "--format", "hh-rlhf") == 1


def test_the_older_commands_and_help_still_work(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "ingest", "responses", "responses.jsonl") == 0
    assert call(monkeypatch, "ingest", "-c", "curate.yaml", "certain.jsonl") == 0
    assert call(monkeypatch, "ingest", "files", "certain.jsonl", "--config=curate.yaml") == 0
    capsys.readouterr()
    assert call(monkeypatch, "ingest", "--help") == 0
    assert "judgments" in capsys.readouterr().out
    assert call(monkeypatch, "ingest", "nowhere.jsonl") == 1
    assert "There is no file nowhere.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
def test_on_a_terminal_it_asks(answer: str, code: int, project: Path) -> None:
    before = Path("curate.yaml").read_text()
    leader, follower = pty.openpty()
    command = [sys.executable, "-c", "from curate.cli.app import main; main()", "ingest", "likely.jsonl"]
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, cwd=project) as process:
        os.close(follower)
        os.write(leader, f"{answer}\n".encode())
        printed = b""
        try:
            while block := os.read(leader, 65536):
                printed += block
        except OSError:  # the other end is closed
            pass
        assert process.wait() == code
    os.close(leader)
    assert b"Take it in so?" in printed
    assert (Path("curate.yaml").read_text() == before) is (answer == "n")


def test_the_example_rows_leave_when_a_file_of_ones_own_comes(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "ingest", "certain.jsonl") == 0
    assert "the example rows of `curate init` are left out" in capsys.readouterr().out
    assert [source["source"] for source in yaml.safe_load(Path("curate.yaml").read_text())["ingest"]] == [
        "certain.jsonl"
    ]
    assert call(monkeypatch, "run") == 0
    assert count(monkeypatch, capsys, "SELECT string_agg(DISTINCT source) FROM prompts") == "certain.jsonl"


@pytest.mark.parametrize("change", ["in the lake", "rows of one's own", "an entry of one's own"])
def test_rows_and_entries_that_are_no_example_stay(
    change: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if change == "in the lake":
        assert call(monkeypatch, "ingest") == 0
    elif change == "rows of one's own":
        Path("responses.jsonl").write_text(Path("responses.jsonl").read_text().replace("sky", "heaven"))
    else:
        text = Path("curate.yaml").read_text()
        Path("curate.yaml").write_text(
            text.replace("    format: native", "    license: mit\n    format: native")
        )
    capsys.readouterr()
    assert call(monkeypatch, "ingest", "certain.jsonl") == 0
    output = capsys.readouterr().out
    assert ("`curate forget source responses.jsonl`" in output) is (change == "in the lake")
    sources = [source["source"] for source in yaml.safe_load(Path("curate.yaml").read_text())["ingest"]]
    assert sources == ["responses.jsonl", "certain.jsonl"]
