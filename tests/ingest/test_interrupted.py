"""Real processes: two that ingest at once, and ones that are killed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from curate.config.ingest import Source
from curate.config.project import Config
from curate.ingest import ingest_judgments, ingest_responses
from curate.lake.lake import Lake, Location
from tests.ingest.samples import assert_reconciled, lines, native

PROGRAM = """
import sys
from pathlib import Path
from curate.config.ingest import Source
from curate.config.project import Config
from curate.ingest import ingest_judgments, ingest_responses
from curate.lake.lake import Lake, Location

home = Path(sys.argv[1])
responses = [Source(source=str(home / name), chunk=100) for name in sys.argv[2:] if "said" not in name]
judgments = [Source(source=str(home / name), chunk=100, kind="judgments") for name in sys.argv[2:] if "said" in name]
with Lake.open(Location.under(home / "lake")) as lake:
    print("open", flush=True)
    ingest_responses(lake, responses, Config())
    ingest_judgments(lake, judgments, Config())
"""
TABLES = {
    "prompts": "prompt_id",
    "responses": "response_id",
    "judgments": "judgment_id",
    "quarantine": "quarantine_id",
}


def start(home: Path, *names: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROGRAM, str(home), *names]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


def contents(home: Path) -> dict[str, list[Any]]:
    with Lake.open(Location.under(home / "lake"), read_only=True) as lake:
        found = {
            table: lake.rows(f"SELECT * EXCLUDE ({exclude}) FROM {table} ORDER BY {key}")
            for (table, key), exclude in zip(
                TABLES.items(), ["meta", "meta", "run_id", "run_id"], strict=True
            )
        }
        for table, key in TABLES.items():
            assert lake.value(f"SELECT count(*) - count(DISTINCT {key}) FROM {table}") == 0
    return found


def totals(home: Path) -> list[Any]:
    """What `curate status` adds up per input."""
    with Lake.open(Location.under(home / "lake"), read_only=True) as lake:
        assert_reconciled(lake)
        return lake.rows(
            """SELECT part, sum(rows_in), sum(rows_kept), sum(rows_duplicate), sum(rows_dropped)
            FROM runs GROUP BY part ORDER BY part"""
        )


def write_inputs(home: Path) -> None:
    rows: list[Any] = [native(i) if i % 37 else b"broken\n" for i in range(1, 800)]
    rows += rows[:150]
    (home / "data.jsonl").write_bytes(lines(*rows))
    verdicts = [
        {"prompt": f"q{i}", "a": "r0", "b": "r1", "annotator": f"x{i % 2}", "kind": "llm", "winner": winner}
        for i in range(1, 120)
        for winner in ("a", "tie", "a")
    ]
    (home / "said.jsonl").write_bytes(lines(*verdicts))


@pytest.mark.e2e
def test_a_killed_ingest_that_is_repeated_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    names = ("data.jsonl", "said.jsonl")
    process = start(tmp_path, *names)
    duration = opened(process)
    finish(process)
    duration = time.monotonic() - duration
    expected, expected_totals = contents(tmp_path), totals(tmp_path)

    # Again into an empty lake beside the same files, since the tables name their paths.
    (tmp_path / "lake").rename(tmp_path / "undisturbed")
    rng = random.Random(7)
    kills = 0
    for _ in range(6):
        process = start(tmp_path, *names)
        opened(process)  # what follows is the ingest itself
        time.sleep(rng.uniform(0.0, duration / 2))
        kills += process.poll() is None
        process.kill()
        process.communicate()
    finish(start(tmp_path, *names))
    assert kills > 0
    assert contents(tmp_path) == expected
    assert totals(tmp_path) == expected_totals


def opened(process: subprocess.Popen[bytes]) -> float:
    """Wait until the process has opened its lake; when that was."""
    assert process.stdout is not None
    process.stdout.readline()
    return time.monotonic()


@pytest.mark.e2e
def test_processes_that_ingest_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    """Three files of which each shares a third with each other one, and one file that two processes read."""
    for number in range(3):
        first = 200 * number
        rows = [native(i % 600) for i in range(first, first + 400)]
        (tmp_path / f"part{number}.jsonl").write_bytes(lines(*rows, b"broken\n"))
    processes = [start(tmp_path, f"part{number}.jsonl", "part0.jsonl") for number in range(3)]
    for process in processes:
        finish(process)
    found = contents(tmp_path)
    assert len(found["prompts"]) == 600
    assert len(found["responses"]) == 1200
    assert len(found["quarantine"]) == 3
    with Lake.open(Location.under(tmp_path / "lake"), read_only=True) as lake:
        assert lake.value("SELECT sum(rows_kept) FROM runs") == 600
        assert lake.value("SELECT bool_and(rows_in = rows_kept + rows_duplicate + rows_dropped) FROM runs")


def test_two_writers_in_turn_see_each_others_rows(tmp_path: Path) -> None:
    """The same interleaving without processes: a second lake writes while the first is between two chunks."""
    location = Location.under(tmp_path / "lake")
    (tmp_path / "one.jsonl").write_bytes(lines(*(native(i) for i in range(60))))
    (tmp_path / "two.jsonl").write_bytes(lines(*(native(i) for i in range(30, 90))))
    pair = {"prompt": "q1", "a": "r0", "b": "r1", "annotator": "x", "kind": "llm"}
    said = lines({**pair, "winner": "a"}, {**pair, "winner": "b"}, {**pair, "winner": "tie"})
    (tmp_path / "said.jsonl").write_bytes(said)
    (tmp_path / "again.jsonl").write_bytes(said + lines({**pair, "winner": "abstain"}))

    def sources(name: str, size: int = 10) -> list[Source]:
        return [Source(source=str(tmp_path / name), chunk=size)]

    import contextlib
    from collections.abc import Callable, Iterator

    from curate.core.progress import Advance

    def meanwhile(act: Callable[[], object]) -> Any:
        @contextlib.contextmanager
        def track(label: str, total: int | None) -> Iterator[Advance]:
            pending = [act]
            yield lambda _: pending.pop()() and None if pending else None  # type: ignore[func-returns-value]

        return track

    with Lake.open(location) as first, Lake.open(location) as second:
        counts = ingest_responses(
            first,
            sources("one.jsonl"),
            Config(),
            track=meanwhile(lambda: ingest_responses(second, sources("two.jsonl"), Config())),
        ).counts
        assert (counts.rows_kept, counts.rows_duplicate) == (30, 30)
        counts = ingest_judgments(
            first,
            sources("said.jsonl", 1),
            Config(),
            track=meanwhile(lambda: ingest_judgments(second, sources("again.jsonl", 4), Config())),
        ).counts
        assert (counts.rows_kept, counts.rows_duplicate) == (1, 2)
        assert first.rows("SELECT sample FROM judgments ORDER BY 1") == [(0,), (1,), (2,), (3,)]
        assert first.rows("SELECT count(*), count(DISTINCT prompt_id) FROM prompts") == [(90, 90)]
        assert first.rows("SELECT count(*), count(DISTINCT response_id) FROM responses") == [(180, 180)]
