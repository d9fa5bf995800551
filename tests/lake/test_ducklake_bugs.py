"""Open faults of DuckLake that lose, double or bring back rows, tried in the ways in which `curate` uses it.

| issue of duckdb/ducklake | why it does not happen here |
| --- | --- |
| 1084, 1215, 1329: a row that two writers delete at once, few rows and many, comes back | writers take turns |
| 917, 1364: rows that are deleted and come again, with flushes between, are double or uncounted | tried below |
| 1406: `ducklake_flush_inlined_data` changes older snapshots of rewritten files | tried below |
| 1055: wrong statistics of columns that are added with a default in the transaction of an insert | no migration does |
| 1354: a file that two tables list is deleted with one of them | a staged file has a name and a table of its own |
| 1420: a step after the commit fails, and the files that the catalog names are deleted | `test_trash.py` |
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pyarrow as pa
import pytest

from curate.lake.check.run import check_lake
from curate.lake.compaction import compact_lake
from curate.lake.lake import Lake

FEW = range(50, 55)  # DuckLake keeps the deletion of so few rows in the catalog
MANY = range(50, 80)  # and of so many in a file


def insert_rows(lake: Lake, numbers: Iterable[int]) -> None:
    with lake.write("insert") as writer:
        ids = [f"{number:06}" for number in numbers]
        writer.append("quarantine", pa.table({"quarantine_id": ids}), unique="quarantine_id")


def delete_rows(lake: Lake, numbers: range) -> int:
    with lake.write("delete") as writer:
        bounds = [f"{numbers.start:06}", f"{numbers.stop:06}"]
        return writer.delete("quarantine", "quarantine_id >= ? AND quarantine_id < ?", bounds)


def list_rows(lake: Lake) -> list[int]:
    """Return the rows by a scan, which must be as many as DuckLake counts without one."""
    rows = sorted(int(value) for (value,) in lake.rows("SELECT quarantine_id FROM quarantine"))
    assert lake.value("SELECT count(*) FROM quarantine") == len(rows)
    return rows


@pytest.mark.parametrize("is_compacted", [False, True])
def test_rows_that_two_writers_delete_at_once_stay_away(lake: Lake, is_compacted: bool) -> None:
    for start in (0, 1000, 2000):
        insert_rows(lake, range(start, start + 100))
        barrier = threading.Barrier(2)
        deleted: list[int] = []

        def delete_at_once(numbers: range, barrier: threading.Barrier, deleted: list[int]) -> None:
            with Lake.open(lake.location) as own:
                barrier.wait()
                deleted.append(delete_rows(own, numbers))

        shifted = [range(part.start + start, part.stop + start) for part in (FEW, MANY)]
        threads = [
            threading.Thread(target=delete_at_once, args=(numbers, barrier, deleted)) for numbers in shifted
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(deleted) == len(MANY)
        if is_compacted:
            compact_lake(lake)
    expected = [start + i for start in (0, 1000, 2000) for i in range(100) if i not in MANY]
    assert list_rows(lake) == expected
    assert check_lake(lake.location).findings == []


def test_rows_that_are_deleted_and_come_again_are_there_once(lake: Lake) -> None:
    insert_rows(lake, range(1000))
    for number in range(12):
        for part in (FEW, MANY, range(990, 1010)):
            delete_rows(lake, part)
            insert_rows(lake, part)
        if number % 3 == 0:
            lake.call("ducklake_flush_inlined_data('lake')")
        if number % 4 == 3:
            compact_lake(lake)
        assert list_rows(lake) == list(range(1010))
    assert delete_rows(lake, range(2000)) == 1010
    compact_lake(lake)
    assert list_rows(lake) == []
    assert check_lake(lake.location).findings == []


def test_older_snapshots_stay_as_they_were_whatever_compaction_rewrites(lake: Lake) -> None:
    expected: dict[int, list[int]] = {}

    def remember_snapshot() -> None:
        expected[lake.snapshot()] = list_rows(lake)

    for start in (0, 5000, 10_000):
        insert_rows(lake, range(start, start + 1000))
        remember_snapshot()
        insert_rows(lake, range(start + 1000, start + 1005))
        remember_snapshot()
        delete_rows(lake, range(start + 10, start + 13))
        remember_snapshot()
        delete_rows(lake, range(start + 20, start + 995))  # so much that the file is rewritten
        remember_snapshot()
        compact_lake(lake)
        remember_snapshot()
        delete_rows(lake, range(start, start + 3))
        insert_rows(lake, range(start + 1005, start + 1008))
        remember_snapshot()
        lake.call("ducklake_flush_inlined_data('lake')")
        remember_snapshot()
    for snapshot, rows in expected.items():
        with Lake.open(lake.location, snapshot=snapshot) as then:
            assert list_rows(then) == rows, snapshot
    assert check_lake(lake.location).findings == []
