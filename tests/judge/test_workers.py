"""Workers answer chunks and only the driver writes: the same rows, though a worker is killed; budgets; Ctrl-C."""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.config.project import Config, load_config
from curate.core.errors import CurateError
from curate.judge import Panel, judge_responses, plan_chunks
from curate.judge.budget import Budget
from curate.judge.reader import ChunkReader
from curate.judge.worker import answer_in_worker
from curate.lake.lake import Lake
from curate.lake.status import read_status

MakeConfig = Callable[[str], Config]
PACKAGES = {"dask": "distributed", "ray": "ray"}
PAIRS = 12 * 6  # of sample_lake
# A worker that finds the file `kill` takes it away and dies: exactly one is killed, once.
MORTAL = """
import os, signal, time
from pathlib import Path
from curate.judge.rules import Rule

class Mortal(Rule):
    def score_response(self, item, text):
        folder = Path(__file__).parent
        with (folder / "processes.log").open("a") as log:
            print(os.getpid(), file=log)
        if (folder / "slow").exists():
            time.sleep(0.05)
        try:
            (folder / "kill").unlink()
        except FileNotFoundError:
            return len(set(text.split()))
        os.kill(os.getpid(), signal.SIGKILL)
"""
# A runner that calls functions in threads, and says how many there were at most: no engine is needed to test budgets.
THREADS = """
from concurrent.futures import ThreadPoolExecutor
from curate.runner.base import Runner

class Threads(Runner):
    most = 0
    def start(self):
        self.pool = ThreadPoolExecutor(3)
        self.out = []
        return 3
    def submit(self, function, *arguments):
        future = self.pool.submit(function, *arguments)
        self.out = [task for task in self.out if not task.done()] + [future]
        type(self).most = max(self.most, len(self.out))
        return future
    def close(self):
        if self.workers:
            self.pool.shutdown()
"""
ROWS = "SELECT * EXCLUDE (run_id, seconds) FROM judgments ORDER BY judgment_id"
YAML = """
runner: {runner}
ingest: [{{source: data.jsonl}}]
engines:
  m: {{kind: "./scripted.py:Scripted"{engine}}}
judge:
  chunk: 1
{section}  judges:
    - {{name: llm, kind: pairwise, engine: m}}
    - {{name: mortal, kind: rule, rule: "./mortal.py:Mortal"}}
"""


def write_project(folder: Path, scripted: str, runner: str, prompts: int = 40) -> Path:
    folder.mkdir()
    (folder / "scripted.py").write_text(scripted)
    (folder / "mortal.py").write_text(MORTAL)
    (folder / "curate.yaml").write_text(YAML.format(runner=runner, engine="", section=""))
    texts = [
        ", ".join(f'{{"id": "{k}", "text": "answer {k} {"more " * k * (number % 40)}"}}' for k in range(3))
        for number in range(prompts)
    ]
    rows = [
        f'{{"id": "{n}", "prompt": "Question {n}?", "responses": [{text}]}}' for n, text in enumerate(texts)
    ]
    (folder / "data.jsonl").write_text("\n".join(rows))
    return folder


def command(folder: Path, *words: str) -> list[str]:
    return [
        sys.executable,
        "-c",
        "from curate.cli.app import main; main()",
        *words,
        "--config",
        str(folder / "curate.yaml"),
    ]


def run_stages(folder: Path) -> None:
    for stage in ("ingest", "judge"):
        subprocess.run(command(folder, stage), check=True, capture_output=True, text=True, timeout=300)


def list_processes(folder: Path) -> set[str]:
    return set((folder / "processes.log").read_text().split())


@pytest.fixture
def scripted(make_config: MakeConfig, tmp_path: Path) -> str:
    make_config("{}")
    return (tmp_path / "scripted.py").read_text()


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_the_same_judgments_though_a_worker_is_killed(tmp_path: Path, scripted: str, name: str) -> None:
    if importlib.util.find_spec(PACKAGES[name]) is None:
        pytest.skip(f"{PACKAGES[name]} is not installed")
    here = write_project(tmp_path / "here", scripted, "local")
    run_stages(here)
    there = write_project(tmp_path / "there", scripted, f"{{kind: {name}, workers: 2}}")
    (there / "kill").touch()
    run_stages(there)
    assert not (there / "kill").exists()
    with (
        Lake.open(load_config(here / "curate.yaml").location) as lake,
        Lake.open(load_config(there / "curate.yaml").location) as other,
    ):
        rows = lake.rows(ROWS)
        assert len(rows) == 40 * (3 + 6)
        assert other.rows(ROWS) == rows
        assert read_status(other).reconciles
    assert len(list_processes(here)) == 1
    assert len(list_processes(there)) in (2, 3)  # one of them died; another may have taken its place
    again = subprocess.run(command(there, "judge"), check=True, capture_output=True, text=True, timeout=60)
    assert "nothing" in (again.stdout + again.stderr).lower()


@pytest.mark.e2e
@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="distributed is not installed")
def test_ctrl_c_commits_the_chunks_that_are_out(tmp_path: Path, scripted: str) -> None:
    folder = write_project(tmp_path / "there", scripted, "{kind: dask, workers: 2}", prompts=160)
    (folder / "slow").touch()
    subprocess.run(command(folder, "ingest"), check=True, capture_output=True, timeout=120)
    process = subprocess.Popen(
        command(folder, "judge"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    log = folder / "processes.log"
    end = time.monotonic() + 200
    while not log.exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the workers too
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 130, output
    with Lake.open(load_config(folder / "curate.yaml").location) as lake:
        stored = lake.value("SELECT count(*) FROM judgments WHERE annotator_id = 'mortal'")
        assert 0 < stored < 160 * 3
        assert stored % (16 * 3) == 0  # whole chunks of a rule


def test_a_judge_that_is_another_one_on_the_worker_is_refused(
    sample_lake: Lake, make_config: MakeConfig
) -> None:
    config = make_config(
        'engines: {m: {kind: "./scripted.py:Scripted"}}\njudge: {judges: [{name: llm, kind: pairwise, engine: m}]}'
    )
    with Panel(config) as panel:
        (work,) = plan_chunks(sample_lake, panel)
        pending = ChunkReader(sample_lake, panel, [work]).read_questions(work)
        source = pickle.dumps((config, ("llm",), b"key", "run"))
        answers = answer_in_worker(source, "llm", panel.judges["llm"].revision, pending)
        assert answers.rows.num_rows == 2 * PAIRS
        with pytest.raises(CurateError, match=r"'llm' on the worker .* is not the one of this run"):
            answer_in_worker(source, "llm", "another", pending)


def test_a_budget_holds_with_many_chunks_out(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    (tmp_path / "threads.py").write_text(THREADS)
    (tmp_path / "mortal.py").write_text(MORTAL)
    local = make_config(YAML.format(runner="local", engine="", section="  max_tokens: 3000\n"))
    with Lake.open(sample_lake.location) as lake:
        estimate = judge_responses(lake, local)
    with sample_lake.write("clear") as writer:
        writer.delete("judgments", "annotator_id IN ('llm', 'mortal')", [])
        writer.delete("runs", "stage = 'judge'", [])
    spread = make_config(
        YAML.format(runner='"./threads.py:Threads"', engine="", section="  max_tokens: 3000\n")
    )
    summary = judge_responses(sample_lake, spread)
    assert 0 < summary.counts.tokens_in <= 3000
    assert abs(summary.counts.tokens_in - estimate.counts.tokens_in) <= 3000 / 12
    assert "stopped before it would take more than max_tokens 3,000" in summary.note
    assert sample_lake.value("SELECT count(*) FROM judgments WHERE annotator_id = 'mortal'") == PAIRS
    assert read_status(sample_lake).reconciles


def test_a_judges_own_chunks_are_set_aside_one_by_one() -> None:
    budget = Budget(max_tokens=100)
    budget.set_estimate("dear", 10, 40, 0.0)
    assert [budget.begin_chunk("dear", 10), budget.begin_chunk("dear", 10)] == ["", ""]
    assert "max_tokens" in budget.begin_chunk("dear", 10)
    assert budget.refusal == ""  # not yet: the caller has chunks out that may take less
    budget.add_spending("dear", 10, 20, 0.0)
    assert "max_tokens" not in budget.begin_chunk("dear", 10)
    budget.drop_chunks("dear")
    assert budget.tokens == 20
