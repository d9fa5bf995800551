"""Judging through a provider's batch API: every question answered once and none paid twice, whatever breaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.in_process import Done, run_command
from tests.engine.openai.batch_server import BatchServer

ROOT = Path(__file__).resolve().parents[3]
CURATE = [sys.executable, "-c", "from curate.cli.app import main; main()"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
PROMPTS = 12  # with two responses each, shown in both orders: 24 questions


@pytest.fixture
def server() -> Iterator[BatchServer]:
    server = BatchServer()
    yield server
    server.stop()


@pytest.fixture
def project(tmp_path: Path, server: BatchServer) -> Path:
    rows = [
        {
            "id": f"p{n}",
            "prompt": f"Question {n}?",
            "responses": [{"id": f"{n}-{x}", "text": f"Answer {x} to {n}"} for x in "ab"],
        }
        for n in range(PROMPTS)
    ]
    (tmp_path / "responses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_config(tmp_path, server)
    assert run(tmp_path, "ingest").returncode == 0
    return tmp_path


def write_config(folder: Path, server: BatchServer, **options: Any) -> None:
    engine = {"kind": "openai", "url": server.url, "model": "m", "batch": True, "batch_poll": 0.1}
    engine |= {"price_in": 2.0, "price_out": 8.0, "outage": 5} | options
    config = {
        "ingest": [{"source": "responses.jsonl", "kind": "responses"}],
        "engines": {"e": engine},
        "judge": {"judges": [{"name": "j", "kind": "pairwise", "engine": "e"}]},
    }
    (folder / "curate.yaml").write_text(json.dumps(config))


def run(folder: Path, *arguments: str) -> Done:
    return run_command(folder, *arguments, "--json")


def judge(folder: Path) -> dict[str, Any]:
    done = run(folder, "judge")
    assert done.returncode == 0, done.stderr
    (stage,) = json.loads(done.stdout)["stages"]
    return dict(stage)


def list_judgments(folder: Path) -> dict[str, int]:
    rows = json.loads(run(folder, "sql", "SELECT outcome, count(*) AS n FROM judgments GROUP BY ALL").stdout)
    return {row["outcome"]: row["n"] for row in rows}


def test_a_run_that_is_killed_between_sending_and_collecting_pays_nothing_twice(
    project: Path, server: BatchServer
) -> None:
    with subprocess.Popen(
        [*CURATE, "judge"],
        cwd=project,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any("questions sent" in line for line in process.stderr)
        process.send_signal(signal.SIGKILL)
    assert not list_judgments(project)
    server.release()
    stage = judge(project)
    assert stage["rows_kept"] == 2 * PROMPTS
    assert len(server.batches) == 1
    assert set(server.charged.values()) == {1}
    assert len(server.charged) == 2 * PROMPTS
    assert sum(list_judgments(project).values()) == 2 * PROMPTS
    assert stage["cost"] == pytest.approx(2 * PROMPTS * (100 * 2.0 + 8.0) / 1e6 / 2)


def test_a_batch_whose_id_never_arrived_is_found_at_the_provider(project: Path, server: BatchServer) -> None:
    server.lose_next_answer = True
    server.release()
    judge(project)
    assert len(server.batches) == 1
    assert set(server.charged.values()) == {1}


def test_a_process_killed_before_it_wrote_the_id_down_finds_its_batch(
    project: Path, server: BatchServer
) -> None:
    import sqlite3

    write_config(project, server, batch_wait=0)
    done = run(project, "judge")
    assert done.returncode == 1
    assert "nothing is asked or paid twice" in json.loads(done.stdout)["error"]
    with sqlite3.connect(project / ".curate/batches.sqlite") as connection:
        connection.execute("UPDATE batches SET batch_id = NULL")
    server.release()
    judge(project)
    assert len(server.batches) == 1
    assert set(server.charged.values()) == {1}


def test_what_expires_or_fails_goes_into_a_new_batch_and_a_refusal_does_not(
    project: Path, server: BatchServer
) -> None:
    def fate(batch: int, line: int, entry: dict[str, Any]) -> str:
        if "Question 3?" in json.dumps(entry):
            return "refuse"
        if batch == 0:
            return ("expire", "busy", "lose", "answer")[line % 4]
        return "answer"

    server.fate = fate
    server.release()
    stage = judge(project)
    assert len(server.batches) == 2
    assert server.batches["batch_0"]["status"] == "expired"
    assert set(server.charged.values()) == {1}
    assert len(server.charged) == 2 * PROMPTS - 2
    outcomes = list_judgments(project)
    assert outcomes.pop("failed") == 2
    assert sum(outcomes.values()) == 2 * PROMPTS - 2
    assert stage["tokens_in"] == 100 * (2 * PROMPTS - 2)


def test_a_batch_that_the_provider_refuses_is_one_sentence_and_nothing_is_judged(
    project: Path, server: BatchServer
) -> None:
    server.refuse_with = "Enqueued token limit reached."
    done = run(project, "judge")
    assert done.returncode == 1
    assert "Enqueued token limit reached" in json.loads(done.stdout)["error"]
    assert not list_judgments(project)
    server.refuse_with = None
    server.release()
    assert judge(project)["rows_kept"] == 2 * PROMPTS


def test_the_dry_run_shows_both_prices_and_sends_nothing(project: Path, server: BatchServer) -> None:
    done = run(project, "judge", "--dry-run")
    (estimate,) = json.loads(done.stdout)["judges"]
    assert estimate["cost"] == estimate["cost_as_batch"] == pytest.approx(estimate["cost_at_once"] / 2)
    assert " at once, " in done.stderr
    assert not server.batches
    write_config(project, server, batch=False)
    (estimate,) = json.loads(run(project, "judge", "--dry-run").stdout)["judges"]
    assert estimate["cost"] == estimate["cost_at_once"] == pytest.approx(estimate["cost_as_batch"] * 2)


def test_the_store_holds_hashes_and_ids_and_no_texts(project: Path, server: BatchServer) -> None:
    server.release()
    judge(project)
    stored = (project / ".curate/batches.sqlite").read_bytes()
    assert b"batch_0" in stored
    assert b"Question" not in stored
    assert b"Answer" not in stored
    assert time.time() - (project / ".curate/batches.sqlite").stat().st_mtime < 600
