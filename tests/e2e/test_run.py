"""`curate run` as a user lives it: once, again, killed at any moment, and two at a time."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from curate.config.project import load_config
from curate.lake.lake import Lake
from curate.lake.status import read_status
from tests.e2e.conftest import RULES, TRAINED, Start, make_project

pytestmark = pytest.mark.e2e

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


Runs = dict[str, Undisturbed]


@pytest.fixture(scope="module")
def undisturbed(curate: Start, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    runs = {}
    for name, config in {"rules": RULES, "trained": TRAINED}.items():
        project = make_project(tmp_path_factory.mktemp(name) / "project", config)
        started = time.monotonic()
        told = finish(curate("run", folder=project))
        runs[name] = Undisturbed(project, time.monotonic() - started, told)
    return runs


@pytest.mark.parametrize("name", ["rules", "trained"])
def test_a_second_run_asks_and_writes_nothing(undisturbed: Runs, curate: Start, name: str) -> None:
    project = undisturbed[name].project
    assert "report.html" in undisturbed[name].told
    before, files = snapshot(project), written(project)
    second = finish(curate("run", folder=project))
    assert second.count("nothing to do") == {"rules": 6, "trained": 9}[name], second
    assert snapshot(project) == before
    assert written(project) == files
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        assert read_status(lake).reconciles
        assert lake.rows("SELECT count(*) - count(DISTINCT judgment_id) FROM judgments") == [(0,)]


@pytest.mark.parametrize(("config", "name", "kills"), [(RULES, "rules", 10), (TRAINED, "trained", 2)])
def test_a_run_killed_many_times_ends_like_an_undisturbed_one(
    tmp_path: Path, undisturbed: Runs, curate: Start, config: str, name: str, kills: int
) -> None:
    project = make_project(tmp_path / "project", config)
    rng = random.Random(7)
    for _ in range(kills):
        process = curate("run", folder=project)
        try:
            process.wait(timeout=rng.uniform(0.1, 0.7) * undisturbed[name].seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(curate("run", folder=project))
    assert contents(project) == contents(undisturbed[name].project)
    assert exported(project) == exported(undisturbed[name].project)
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        assert read_status(lake).reconciles


SLOW_JUDGE = """
import time
from pathlib import Path
from curate.judge.base import Judge, from_margin

class Slow(Judge):
    kind = "rule"

    def answer(self, questions):
        Path("asked").touch()
        time.sleep(0.5)
        return [from_margin(len(q.a.text) - len(q.b.text)) for q in questions]
"""


def test_ctrl_c_ends_a_run_with_a_word_and_the_next_one_goes_on(tmp_path: Path, curate: Start) -> None:
    slow = RULES.replace("chunk: 4", "chunk: 1")
    slow = slow.replace("  judges:\n", "  judges:\n    - {name: slow, kind: './slow.py:Slow'}\n")
    project = make_project(tmp_path / "project", slow)
    (project / "slow.py").write_text(SLOW_JUDGE, encoding="utf-8")
    process = curate("run", folder=project)
    for _ in range(1200):
        if (project / "asked").exists():
            break
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert "interrupted; what was committed is kept" in finish(process, expect=130)
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        assert (
            0 < lake.value("SELECT count(DISTINCT prompt_id) FROM judgments WHERE annotator_id = 'slow'") < 16
        )
        assert lake.value("SELECT count(*) FROM preferences") == 0
    finish(curate("run", folder=project))
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        assert lake.value("SELECT count(DISTINCT prompt_id) FROM judgments WHERE annotator_id = 'slow'") == 16
        assert read_status(lake).reconciles


def test_two_processes_ingest_at_once(project: Path, curate: Start) -> None:
    both = [curate("ingest", "responses", f"responses-{i}.jsonl", folder=project) for i in (1, 2)]
    for process in both:
        finish(process)
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        assert lake.rows("SELECT count(*), count(DISTINCT prompt_id) FROM prompts") == [(16, 16)]
        assert lake.rows("SELECT count(*), count(DISTINCT response_id) FROM responses") == [(64, 64)]
        assert read_status(lake).reconciles
