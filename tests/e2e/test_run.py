"""`curate run` as a user lives it: once, again, killed at any moment, and two at a time."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from curate.config import load_config
from curate.lake import Lake
from curate.status import status
from tests.e2e.conftest import make_project

pytestmark = pytest.mark.e2e
Start = Callable[..., subprocess.Popen[str]]

CONTENT = {
    "prompts": "*",
    "responses": "*",
    "judgments": "* EXCLUDE (seconds, run_id)",
    "preferences": "* EXCLUDE (run_id)",
    "rankings": "* EXCLUDE (run_id)",
    "dropped_arcs": "* EXCLUDE (run_id)",
    "annotators": "* EXCLUDE (run_id)",
    "evaluations": "* EXCLUDE (run_id)",
    "quarantine": "* EXCLUDE (run_id)",
}


def finish(process: subprocess.Popen[str], *, expect: int = 0) -> str:
    out, err = process.communicate(timeout=900)
    assert process.returncode == expect, out + err
    assert "Traceback" not in out + err
    return out + err


def contents(project: Path) -> dict[str, list[tuple[object, ...]]]:
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        return {
            table: lake.rows(f"SELECT {columns} FROM {table} ORDER BY ALL")
            for table, columns in CONTENT.items()
        }


def exported(project: Path) -> dict[str, str]:
    """Digest of each data file of the exports (manifests name a snapshot, which differs between histories)."""
    files = sorted((project / "export").rglob("*.parquet"))
    return {str(file.relative_to(project)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def snapshot(project: Path) -> int:
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        return lake.snapshot()


def written(project: Path) -> dict[Path, int]:
    return {
        file: file.stat().st_mtime_ns
        for file in project.rglob("*")
        if file.is_file() and "lake" not in file.parts
    }


@dataclass(frozen=True)
class Undisturbed:
    """A project after one whole run, which took `seconds` and printed `told`."""

    project: Path
    seconds: float
    told: str


@pytest.fixture(scope="module")
def undisturbed(curate: Start, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    project = make_project(tmp_path_factory.mktemp("undisturbed") / "project")
    started = time.monotonic()
    told = finish(curate("run", folder=project))
    return Undisturbed(project, time.monotonic() - started, told)


def test_a_second_run_asks_and_writes_nothing(undisturbed: Undisturbed, curate: Start) -> None:
    project = undisturbed.project
    assert "report.html" in undisturbed.told
    before, files = snapshot(project), written(project)
    second = finish(curate("run", folder=project))
    assert second.count("nothing to do") >= 6, second
    assert snapshot(project) == before
    assert written(project) == files
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        assert status(lake).reconciles
        assert lake.rows("SELECT count(*) - count(DISTINCT judgment_id) FROM judgments") == [(0,)]


def test_a_run_killed_ten_times_ends_like_an_undisturbed_one(
    project: Path, undisturbed: Undisturbed, curate: Start
) -> None:
    rng = random.Random(7)
    for _ in range(10):
        process = curate("run", folder=project)
        try:
            process.wait(timeout=rng.uniform(0.1, 0.7) * undisturbed.seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(curate("run", folder=project))
    assert contents(project) == contents(undisturbed.project)
    assert exported(project) == exported(undisturbed.project)
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        assert status(lake).reconciles


def test_two_processes_ingest_at_once(project: Path, curate: Start) -> None:
    both = [curate("ingest", "responses", f"responses-{i}.jsonl", folder=project) for i in (1, 2)]
    for process in both:
        finish(process)
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        assert lake.rows("SELECT count(*), count(DISTINCT prompt_id) FROM prompts") == [(16, 16)]
        assert lake.rows("SELECT count(*), count(DISTINCT response_id) FROM responses") == [(64, 64)]
        assert status(lake).reconciles
