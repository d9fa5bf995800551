"""Run records: written with their rows or not at all, and only if the counts add up."""

from __future__ import annotations

import pyarrow as pa
import pytest

from curate.lake.lake import Lake
from curate.lake.runs import StageRun, find_newest_run, is_done, list_committed_chunks
from curate.lake.status import read_status

ROWS = pa.table({"quarantine_id": ["a", "b"]})


def test_rows_and_record_are_one_commit(lake: Lake) -> None:
    run = StageRun(lake, "ingest", config_hash="c")
    before = lake.snapshot()
    with run.chunk("file", fingerprint="f", index=3, status="done") as (writer, counts):
        counts.rows_in, counts.rows_kept, counts.dropped = 3, writer.append("quarantine", ROWS), {"broken": 1}
    assert lake.snapshot() == before + 1
    assert lake.rows("SELECT stage, part, chunk, rows_in, rows_kept, rows_dropped FROM runs") == [
        ("ingest", "file", 3, 3, 2, 1)
    ]
    assert is_done(lake, "ingest", "file", "f")
    assert not is_done(lake, "ingest", "file", "other")
    assert list_committed_chunks(lake, "ingest", "file", "f") == {3: "done"}
    assert run.summary().counts.rows_in == 3


def test_counts_that_do_not_add_up_are_not_committed(lake: Lake) -> None:
    with (
        pytest.raises(AssertionError, match="do not reconcile"),
        StageRun(lake, "ingest", config_hash="c").chunk("file", fingerprint="f") as (writer, counts),
    ):
        writer.append("quarantine", ROWS)
        counts.rows_in = 5
    assert lake.value("SELECT count(*) FROM quarantine") == lake.value("SELECT count(*) FROM runs") == 0


def test_status_sees_runs_and_reconciles(lake: Lake) -> None:
    run = StageRun(lake, "ingest", config_hash="c")
    for index in range(2):
        with run.chunk("file", fingerprint="f", index=index) as (_, counts):
            counts.rows_in, counts.rows_duplicate = 2, 2
    found = read_status(lake)
    assert found.reconciles
    assert found.stages.select("rows_in", "duplicates").row(0) == (4, 4)
    assert found.runs.row(0, named=True)["status"] == "unfinished"


def test_the_newest_work_is_the_last_in_the_lake_whatever_the_clock_said(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for work, time in (("A", "2031-01-01T00:00:00.000+00:00"), ("B", "2030-01-01T00:00:00.000+00:00")):
        monkeypatch.setattr("curate.lake.runs._read_clock", lambda time=time: time)
        with StageRun(lake, "aggregate", config_hash="c").chunk(
            "iteration-0", fingerprint=work, status="done"
        ):
            pass
    assert find_newest_run(lake, "aggregate", "iteration-0") == "B"
