"""The command line tells mistakes in one sentence, with exit code 1 and no traceback."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from curate import __version__
from curate.cli.app import app, main
from curate.cli.command_order import PANELS


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert call(monkeypatch, "init", str(tmp_path / "p")) == 0
    monkeypatch.chdir(tmp_path / "p")
    return tmp_path / "p"


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.strip() == f"curate {__version__}"


def test_help_lists_every_command_in_a_panel(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--help") == 0
    output = capsys.readouterr().out
    registered = {command.name for command in app.registered_commands} | {
        group.name for group in app.registered_groups
    }
    assert {name for names in PANELS.values() for name in names} == registered
    places = [output.index(f" {panel} ") for panel in PANELS]
    assert places == sorted(places)
    assert " Commands " not in output
    assert (
        output.index("│ init ") < output.index("│ ingest ") < output.index("│ judge ") < output.index("│ gc ")
    )


HEAVY = [
    "accelerate", "altair", "datasets", "duckdb", "fastapi", "httpx", "jinja2", "numba", "numpy", "pandas", "polars",
    "prefect", "pyarrow", "sacrebleu", "scipy", "sentence_transformers", "sklearn", "torch", "transformers",
    "vl_convert", "yaml",
]  # fmt: skip


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["verify", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from curate.cli.app import main
sys.argv = ["curate", *{arguments}]
try:
    main()
except SystemExit as ended:
    print([name for name in {HEAVY} if name in sys.modules], ended.code, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"


def test_the_package_is_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "curate", "status"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: There is no curate.yaml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "-c", "nowhere.yaml"], "There is no nowhere.yaml"),
        (["status"], "There is no lake at"),
        (["sql", "SELECT 1"], "There is no lake at"),
        (["report"], "There is no lake at"),
        (["gc"], "There is no lake at"),
        (["compact"], "There is no lake at"),
        (["init", "."], "exists already"),
        (["export", "x", "--format", "csv"], "`format` is 'csv'"),
    ],
)
def test_mistakes_are_one_sentence(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert call(monkeypatch, *arguments) == 1
    error = capsys.readouterr().err
    assert message in " ".join(error.split())
    assert "Traceback" not in error


def test_sql_and_status_after_ingest(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "ingest") == 0
    capsys.readouterr()
    assert call(monkeypatch, "sql", "SELECT count(*) AS n FROM responses", "--format", "csv") == 0
    assert call(monkeypatch, "sql", "DELETE FROM prompts") == 1
    assert "DELETE may change something" in capsys.readouterr().err
    assert call(monkeypatch, "status", "--json") == 0
    assert '"reconciles": true' in capsys.readouterr().out


def test_snapshot_list_names_the_stage_that_made_a_snapshot(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "ingest") == 0
    capsys.readouterr()
    assert call(monkeypatch, "snapshot", "list") == 0
    rows = [line.split("┆") for line in capsys.readouterr().out.splitlines() if "┆" in line][3:]
    assert [int(row[0].strip("│ ")) for row in rows] == list(range(len(rows)))
    assert rows[-1][2].strip("│ ") == "ingest"


def test_gc_makes_no_lake(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "gc") == 1
    assert not (project / ".curate").exists()


def test_gc_leaves_the_files_of_a_catalog_that_is_away(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "ingest") == 0
    assert call(monkeypatch, "sql", "--write", "CALL ducklake_flush_inlined_data('lake')") == 0
    lake = project / ".curate" / "lake"
    for file in lake.rglob("*.parquet"):
        os.utime(file, (0, 0))
    (lake / "catalog.sqlite").rename(project / "away.sqlite")
    for arguments in (["gc", "--keep-days", "0"], ["gc", "--orphans"], ["compact"], ["ingest"], ["judge"]):
        assert call(monkeypatch, *arguments) == 1
    assert "put its catalog back" in " ".join(capsys.readouterr().err.split())
    (project / "away.sqlite").rename(lake / "catalog.sqlite")
    assert call(monkeypatch, "gc", "--keep-days", "0", "--dry-run") == 0
    assert "would forget" in capsys.readouterr().out
    assert call(monkeypatch, "sql", "SELECT count(*) AS n FROM responses", "-f", "csv") == 0
    assert capsys.readouterr().out == "n\n12\n"


@pytest.mark.parametrize("format", ["table", "csv", "json", "parquet"])
def test_sql_and_report_leave_files_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    assert call(monkeypatch, "ingest") == 0
    before = (project / "curate.yaml").read_bytes()
    query = ["sql", "SELECT 1 AS one", "-f", format]
    assert call(monkeypatch, *query, "-o", "curate.yaml") == 1
    assert call(monkeypatch, "report", "-o", "curate.yaml") == 1
    assert "overwrite it with --force" in " ".join(capsys.readouterr().err.split())
    assert (project / "curate.yaml").read_bytes() == before
    assert call(monkeypatch, *query, "-o", "new's.file") == 0
    assert b"one" in (project / "new's.file").read_bytes()
    assert call(monkeypatch, *query, "-o", "new's.file") == 1
    assert call(monkeypatch, *query, "-o", "new's.file", "--force") == 0


@pytest.mark.parametrize(("format", "result"), [("csv", "one\n1\n"), ("json", '[\n\t{"one":1}\n]\n')])
def test_sql_goes_on_in_the_file_that_standard_output_is(
    project: Path, monkeypatch: pytest.MonkeyPatch, format: str, result: str
) -> None:
    assert call(monkeypatch, "ingest") == 0
    start = shlex.join([sys.executable, "-c", "from curate.cli.app import main; main()"])
    curate = f"{start} sql 'SELECT 1 AS one' -f {format}"
    Path("log").write_text("kept\n")
    for command in (
        f"{curate} >> log",
        f"(echo before; {curate}; echo after) > both",
        f"{curate} -o - | cat > p",
    ):
        subprocess.run(["sh", "-c", command], check=True, timeout=600)
    assert Path("log").read_text() == "kept\n" + result
    assert Path("both").read_text() == f"before\n{result}after\n"
    assert Path("p").read_text() == result


def test_paths_on_the_command_line_start_where_the_user_is(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project / "responses.jsonl").rename(elsewhere / "mine.jsonl")
    monkeypatch.chdir(elsewhere)
    assert call(monkeypatch, "ingest", "responses", "mine.jsonl", "-c", str(project / "curate.yaml")) == 0
    assert call(monkeypatch, "ingest", "responses", "nothing.jsonl", "-c", str(project / "curate.yaml")) == 1
    assert "nothing.jsonl" in capsys.readouterr().err


BAD_LINES = [
    b"{broken",
    b"[]",
    b"42",
    b"null",
    b'"text"',
    b"{}",
    b"\xff\xfe not utf-8",
    b'{"id": "x", "prompt": "p"}',
    b'{"id": "x", "prompt": "p", "responses": []}',
    b'{"id": "x", "prompt": "p", "responses": "r"}',
    b'{"id": "x", "prompt": "p", "responses": [{"id": "r"}]}',
    b'{"id": "x", "prompt": "p", "responses": [{"id": "r", "text": 5}]}',
    b'{"id": "x", "prompt": "p", "responses": [{"id": 5, "text": "t"}]}',
    b'{"id": "x", "prompt": "p", "responses": [{"id": "r", "text": "t"}, {"id": "r", "text": "u"}]}',
    b'{"id": "x", "prompt": "", "responses": [{"id": "r", "text": "t"}]}',
    b'{"id": "x", "prompt": " ", "responses": [{"id": "r", "text": "t"}]}',
    b'{"id": "x", "prompt": 7, "responses": [{"id": "r", "text": "t"}]}',
    b'{"id": "x", "prompt": [], "responses": [{"id": "r", "text": "t"}]}',
    b'{"id": "x", "prompt": [{"role": "wizard", "content": "p"}], "responses": [{"id": "r", "text": "t"}]}',
    b'{"id": "x", "prompt": [{"role": "user"}], "responses": [{"id": "r", "text": "t"}]}',
    b'{"id": "x", "prompt": "a\\u0000b", "responses": [{"id": "r", "text": "t"}]}',
    b'{"id": "x", "prompt": "p", "responses": [{"id": "r", "text": "a\\ud800b"}]}',
    b'{"id": "x", "prompt": "p", "responses": [{"id": "r", "text": "a\\u0000b"}]}',
    b'{"id": "", "prompt": "p", "responses": [{"id": "r", "text": "t"}]}',
    b'{"id": null, "prompt": "p", "responses": [{"id": "r", "text": "t"}]}',
    b'{"id": "x", "prompt": "p", "responses": [{"id": "r", "text": "t"}], "meta": []}',
    b'{"id": "x", "prompt": "p", "responses": [{"id": "r", "text": "t"}], "reference": 4}',
    b'{"id": "x", "prompt": "p", "responses": [{"id": "r", "text": "t"}], "extra": 1}',
    b'{"id": "x", "prompt": "p", "responses": [null]}',
    b'{"id": "x", "id": 3, "prompt": "p", "responses": [{"id": "r", "text": "t", "model": 3}]}',
    b'{"id": "x", "prompt": "p", "responses": [{"id": "r", "text": "t"}]',
]


def test_thirty_kinds_of_bad_rows_are_quarantined_and_the_rest_taken_in(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    good = (project / "responses.jsonl").read_bytes()
    (project / "responses.jsonl").write_bytes(b"".join(line + b"\n" for line in BAD_LINES) + good)
    assert call(monkeypatch, "ingest") == 0
    assert "Traceback" not in capfd.readouterr().err
    assert call(monkeypatch, "status", "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert found["reconciles"]
    (stage,) = found["stages"]
    assert (stage["rows_in"], stage["kept"], stage["dropped"]) == (len(BAD_LINES) + 4, 4, len(BAD_LINES))
    assert call(monkeypatch, "sql", "SELECT line, reason FROM quarantine ORDER BY line", "-f", "json") == 0
    rows = json.loads(capfd.readouterr().out)
    assert [row["line"] for row in rows] == list(range(1, len(BAD_LINES) + 1))
    assert all(row["reason"].endswith(".") for row in rows)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jsonl", None, "missing.jsonl"),
        ("broken.parquet", b"PAR1 but no more", "broken.parquet"),
        ("broken.jsonl.gz", b"\x1f\x8b nothing", "broken.jsonl.gz"),
        ("broken.jsonl.zst", b"not zstandard", "broken.jsonl.zst"),
        ("columns.csv", b"question,answer\na,b\n", "columns.csv"),
        ("what.docx", b"PK", "what.docx"),
        ("hf://no one/nothing", None, "hf://"),
    ],
)
def test_files_that_cannot_be_read_are_one_sentence(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    message: str,
) -> None:
    if content is not None:
        (project / name).write_bytes(content)
    assert call(monkeypatch, "ingest", "responses", name) == 1
    error = capsys.readouterr().err
    assert message in "".join(error.split("\n"))
    assert "Traceback" not in error
