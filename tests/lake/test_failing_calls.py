"""Every call fails once: one sentence, an exit code, nothing lost, and the same command again goes on.

A small library that is preloaded makes them fail. `CURATE_FAULTS=all` tries every call with every error; without it a
sample of them is tried.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from curate.lake.check.run import check_lake
from curate.lake.lake import Lake, Location

ERRORS = {
    "writes": (errno.ENOSPC, errno.EIO, errno.EPERM, errno.EMFILE),
    "reads": (errno.EIO, errno.EPERM, errno.EMFILE),
}
ROWS = 1200  # enough that files are staged
COMMAND = "import sys; from curate.cli.app import main; sys.argv[0] = 'curate'; main()"
SAMPLE = 2


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("there is no C compiler, or this is not Linux")
    target = tmp_path_factory.mktemp("preload") / "failing_calls.so"
    source = Path(__file__).with_name("failing_calls.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", target, source, "-ldl"], check=True)
    return target


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose first source is in the lake, and whose second one is to come."""
    folder = tmp_path_factory.mktemp("project")
    for name, rows in (("old", 40), ("new", ROWS)):
        lines = [
            json.dumps(
                {"id": f"{name}{i}", "prompt": f"{name} {i}?", "responses": [{"id": "a", "text": f"{i}"}]}
            )
            for i in range(rows)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "curate.yaml").write_text("ingest:\n  - source: old.jsonl\n", encoding="utf-8")
    assert run_curate(folder, "ingest").returncode == 0
    (folder / "curate.yaml").write_text(
        "ingest:\n  - source: old.jsonl\n  - source: new.jsonl\n", encoding="utf-8"
    )
    return folder


def run_curate(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def run_with_fault(
    project: Path, library: Path, *arguments: str, calls: str, at: int, error: int
) -> subprocess.CompletedProcess[str]:
    log = project / "calls.log"
    log.unlink(missing_ok=True)
    return run_curate(
        project,
        *arguments,
        LD_PRELOAD=str(library),
        PYTHONSAFEPATH="1",  # the interpreter looks for modules in other folders, whose calls are none of ours
        FAULT_CALLS=calls,
        FAULT_FOLDER=str(project / ".curate" if calls == "writes" else project),  # sources are read, too
        FAULT_LOG=str(log),
        FAULT_AT=str(at),
        FAULT_ERRNO=str(error),
    )


def count_prompts(project: Path) -> int:
    with Lake.open(Location.under(project / ".curate" / "lake"), read_only=True) as lake:
        return int(lake.value("SELECT count(*) FROM prompts"))


def list_faults(calls: list[str], errors: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return numbers of calls, each with an error; those of a sample are of as many different files or functions."""
    if os.environ.get("CURATE_FAULTS") == "all":
        return [(at, error) for at in range(1, len(calls) + 1) for error in errors]
    alike: dict[str, list[int]] = {}
    for at, call in enumerate(calls, start=1):
        alike.setdefault(re.sub(r"^\d+ |[0-9a-f-]{30,}", "", call), []).append(at)
    choice = random.Random(0)
    return [
        (choice.choice(alike[kind]), choice.choice(errors)) for kind in choice.sample(sorted(alike), SAMPLE)
    ]


def drop_progress(log: str) -> str:
    """Leave out the lines of progress, which begin with the time."""
    return re.sub(r"^\d{4}-\d\d-\d\dT.*\n", "", log, flags=re.MULTILINE)


@pytest.mark.parametrize("calls_that_fail", ["writes", "reads"])
@pytest.mark.parametrize("command", ["ingest", "compact", "gc --keep-days 0"])
def test_a_failed_call_is_one_sentence_and_loses_nothing(
    project: Path, library: Path, tmp_path: Path, command: str, calls_that_fail: str
) -> None:
    if command.startswith("gc"):  # files that are dead
        project = shutil.copytree(project, tmp_path / "dead")
        with Lake.open(Location.under(project / ".curate" / "lake")) as lake:
            lake.run_statements(
                "INSERT INTO quarantine (quarantine_id) SELECT i::VARCHAR FROM range(99) AS t(i)"
            )
            lake.run_statements("DELETE FROM quarantine")
    counted = tmp_path / "counted"
    shutil.copytree(project, counted)
    done = run_with_fault(counted, library, *command.split(), calls=calls_that_fail, at=0, error=0)
    assert done.returncode == 0, done.stderr
    calls = (counted / "calls.log").read_text().splitlines()
    assert any(".parquet" in call for call in calls)
    assert any("sqlite" in call for call in calls)
    expected = 40 + ROWS if command == "ingest" else 40
    for number, (at, error) in enumerate(list_faults(calls, ERRORS[calls_that_fail])):
        folder = tmp_path / str(number)
        shutil.copytree(project, folder)
        done = run_with_fault(folder, library, *command.split(), calls=calls_that_fail, at=at, error=error)
        where = f"call {at} ({calls[at - 1]}), {errno.errorcode[error]}: {done.stderr}"
        assert "Traceback" not in done.stderr, where
        assert done.returncode in (0, 1), where
        if done.returncode:
            assert drop_progress(done.stderr).startswith("error: "), where
        assert count_prompts(folder) in (40, expected), where
        again = run_curate(folder, *command.split())
        assert again.returncode == 0, f"{where}\n{again.stderr}"
        assert count_prompts(folder) == expected, where
        assert check_lake(Location.under(folder / ".curate" / "lake")).findings == [], where
        shutil.rmtree(folder)
