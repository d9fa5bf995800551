"""Compaction and collection change no content, and keep what exports need."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from curate.lake.compaction import compact_lake
from curate.lake.lake import Lake
from curate.lake.maintenance import collect_garbage
from curate.lake.runs import StageRun


def rows_of(start: int) -> pa.Table:
    return pa.table({"quarantine_id": [f"{i:06}" for i in range(start, start + 1000)]})


def test_compact_merges_files_and_keeps_rows_and_history(lake: Lake) -> None:
    for number in range(6):
        with lake.write("x") as writer:
            writer.append("quarantine", rows_of(1000 * number))
    past, digest = lake.snapshot() - 3, lake.digest("quarantine", "quarantine_id")
    before, after = compact_lake(lake)
    assert after < before
    assert lake.digest("quarantine", "quarantine_id") == digest
    with Lake.open(lake.location, snapshot=past) as then:
        assert then.value("SELECT count(*) FROM quarantine") == 3000


def test_collect_forgets_all_but_the_latest_and_what_exports_need(lake: Lake) -> None:
    with lake.write("x") as writer:
        writer.append("quarantine", rows_of(0))
    exported = lake.snapshot()
    with StageRun(lake, "export", config_hash="c").chunk("folder", fingerprint="f", status="done") as (
        _,
        counts,
    ):
        counts.details["snapshot"] = exported
    with lake.write("x") as writer:
        writer.delete("quarantine", "true")
        writer.append("quarantine", rows_of(5000))
    files = len(list(Path(lake.location.data).glob("main/*/*.parquet")))
    removed = collect_garbage(lake, keep=timedelta(0))
    assert removed.snapshots > 0
    assert lake.value("SELECT min(quarantine_id) FROM quarantine") == "005000"
    with Lake.open(lake.location, snapshot=exported) as then:  # pinned by the export
        assert then.value("SELECT max(quarantine_id) FROM quarantine") == "000999"
    assert len(list(Path(lake.location.data).glob("main/*/*.parquet"))) <= files
    assert collect_garbage(lake, keep=timedelta(days=1)).snapshots == 0


def test_collect_removes_what_a_killed_writer_left_behind_and_spares_the_new(lake: Lake) -> None:
    with lake.write("x") as writer:
        writer.append("quarantine", rows_of(0))
    old, new = lake.stage("quarantine", rows_of(1000)), lake.stage("quarantine", rows_of(2000))
    assert old is not None
    assert new is not None
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old.path, (two_days_ago, two_days_ago))
    assert collect_garbage(lake, keep=timedelta(days=30), orphans=True).files == 1
    assert not Path(old.path).exists()
    assert Path(new.path).exists()
    assert lake.value("SELECT count(*) FROM quarantine") == 1000
