"""Programs drive the command line: JSON of a documented shape on every command, exit codes, lines in a log."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from curate.cli import failures
from curate.cli.command_tree import list_commands
from curate.cli.program_output import format_document
from curate.cli.reference import EXIT_CODES, ROOT, build_command_schema, build_page, find_shape
from tests.cli.in_process import run_command

CURATE = [sys.executable, "-c", "from curate.cli.app import main; main()"]


def run(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CURATE, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    assert run("init", "p", cwd=folder).returncode == 0
    return folder / "p"


@pytest.mark.parametrize("command", list_commands(), ids=lambda command: command.name)
def test_every_command_takes_json_and_documents_its_shape(command: Any) -> None:
    assert find_shape(command.function) not in (None, type(None)), "annotate what it returns for programs"
    assert "--json" in [name for option in command.click.params for name in option.opts]
    file = ROOT / "schemas/cli" / f"{'-'.join(command.words)}.json"
    assert json.loads(file.read_text()) == build_command_schema(command), "run python -m curate.cli.reference"


def test_the_page_of_commands_is_made_of_the_commands() -> None:
    assert (ROOT / "docs/reference/cli.md").read_text() == build_page(), "run python -m curate.cli.reference"


COMMANDS = """
ingest --dry-run
ingest --explain responses.jsonl
ingest
filter --dry-run
filter
judge --dry-run
judge
aggregate
verify plan --budget 2
verify status
verify quality
verify groups
verify export-csv sheet.csv --annotator sam
verify import-csv sheet.csv --annotator sam
verify loop
certify
certify --check certificate.json
export out
evaluate
report
rank
explain sky
status
runs
agent-context
diff 1
sql 'SELECT 1 AS one, NULL AS nothing, now() AS time'
snapshot list
check
backup safe
restore safe --dry-run
compact
gc --dry-run
forget prompt sky --dry-run
run
"""
REFUSED = (
    "verify groups",
    "verify loop",
    "diff 1",
    "restore safe --dry-run",
)  # with the reason, in one sentence


def test_standard_output_holds_one_document_of_the_documented_shape(project: Path) -> None:
    import shlex

    schemas = {command.name: build_command_schema(command) for command in list_commands()}
    for line in filter(None, COMMANDS.splitlines()):
        words = shlex.split(line)
        name = next(name for name in (" ".join(words[:2]), words[0]) if name in schemas)
        if line.startswith("ingest --explain"):
            name = "ingest files"
        done = run_command(project, *words, "--json")
        document = json.loads(done.stdout)
        if done.returncode:
            assert set(document) == {"error", "exit_code"}, (line, done.stderr)
            assert line in REFUSED, (line, done.stderr)
        else:
            jsonschema.validate(document, schemas[name])
        assert done.stderr, f"{line}: what is meant for people is gone"


def test_exit_codes_are_those_of_the_table(project: Path) -> None:
    assert run("status", cwd=project).returncode == 0
    done = run("explain", "no-such-prompt", "--json", cwd=project)
    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (1, 1)
    assert "Traceback" not in done.stderr
    done = run("status", "--jsn", cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert failures.explain_failure(AssertionError("odd"))[1] == failures.SOFTWARE_FAULT == 70
    assert set(EXIT_CODES) == {0, 1, 2, 70, 130}
    for code in EXIT_CODES:
        assert f"| {code} |" in (failures.__doc__ or "")


def test_an_interrupted_command_says_so_to_programs(project: Path) -> None:
    code = (
        "import curate.cli.status as status, os, signal\n"
        "status.load_config = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        "from curate.cli.app import main; main()"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, "status", "--json"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, env=environment)
    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (130, 130)


def test_watching_status_is_a_document_a_line_and_ends_on_interrupt(project: Path) -> None:
    run("ingest", cwd=project)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*CURATE, "status", "--watch", "--json", "--every", "0.2"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        before = json.loads(process.stdout.readline())["snapshot"]
        assert run("sql", "--write", "DELETE FROM prompts WHERE false", cwd=project).returncode == 0
        (project / "more.jsonl").write_text(
            '{"id": "w", "prompt": "Why?", "responses": [{"id": "w1", "model": "m", "text": "So."}]}\n'
        )
        assert run("ingest", "responses", "more.jsonl", cwd=project).returncode == 0
        assert json.loads(process.stdout.readline())["snapshot"] > before
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_a_log_has_lines_with_the_time_while_work_goes_on(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    from curate.core import progress

    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.05)
    with progress.progress_bars("judge small\x1b[31m", 100) as advance:
        for _ in range(4):
            time.sleep(0.06)
            advance(25, "9 tokens/s")
    lines = stream.getvalue().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ judge small\\x1b\[31m: ", line) for line in lines)
    assert lines[0].endswith("begins, 100 to do")
    assert lines[1].endswith("25 of 100 (25%), 9 tokens/s")
    assert "100 of 100 (100%) done in" in lines[-1]


def test_a_log_is_json_on_request(project: Path) -> None:
    done = run("aggregate", "--json", cwd=project, CURATE_LOG_FORMAT="json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"time", "level", "event", "message"} <= set(lines[0])
    assert [line["event"] for line in lines][:1] == ["begin"]
    done = run("explain", "no-such-prompt", cwd=project, CURATE_LOG_FORMAT="json")
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["level"], line["event"], line["exit_code"]) == ("error", "failure", 1)


def test_documents_are_json_whatever_is_in_them() -> None:
    text = format_document({"p": Path("a"), "nan": float("nan"), "hidden": "a\u202eb", "bytes": b"\xff"})
    assert json.loads(text) == {"p": "a", "nan": None, "hidden": "a\u202eb", "bytes": "_w=="}
    assert "\u202e" not in text
