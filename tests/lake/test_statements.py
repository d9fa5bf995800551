"""Without --write, `curate sql` cannot change, attach, write, load or set anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.core.errors import CurateError
from curate.lake.lake import Lake, Location
from curate.lake.query import run_query
from tests.conftest import make_prompt, table

ATTEMPTS = [
    "ATTACH '{catalog}' AS c (TYPE sqlite); DELETE FROM c.ducklake_snapshot",
    "ATTACH '{catalog}' AS c (TYPE sqlite)",
    "SELECT * FROM sqlite_query('__ducklake_metadata_lake', 'DELETE FROM ducklake_snapshot RETURNING *')",
    "SELECT * FROM sqlite_attach('{catalog}')",
    "CALL ducklake_expire_snapshots('lake', older_than => now())",
    "SELECT * FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "COPY prompts TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '{folder}/out.parquet' (FORMAT parquet)",
    "EXPORT DATABASE '{folder}/out'",
    "EXPLAIN ANALYZE COPY prompts TO '{folder}/out.csv'",
    "EXPLAIN (ANALYZE) COPY prompts TO '{folder}/out.csv'",
    "EXPLAIN /* ( */ ANALYZE COPY prompts TO '{folder}/out.csv'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "DELETE FROM lake.prompts",
    "DROP TABLE lake.prompts",
    "CREATE TABLE memory.main.t AS SELECT 1",
    "SELECT 1; DELETE FROM __ducklake_metadata_lake.ducklake_snapshot",
    "/* PIVOT */ CREATE TABLE memory.main.t AS SELECT 1",
    "SET enable_external_access = true",
    "PREPARE p AS DELETE FROM lake.prompts; EXECUTE p",
    "DETACH lake",
    "BEGIN; DELETE FROM lake.prompts; COMMIT",
]


@pytest.fixture
def filled(lake: Lake) -> Location:
    with lake.write("x") as writer:
        writer.append("prompts", table([make_prompt(number) for number in range(20)]))
    lake.close()
    return lake.location


def list_contents(folder: Path) -> dict[str, bytes]:
    """Files by name, but for SQLite's own notes of who reads."""
    return {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_to_change_something_is_refused(filled: Location, tmp_path: Path, attempt: str) -> None:
    before = list_contents(tmp_path)
    query = attempt.format(catalog=filled.catalog, folder=tmp_path)
    with Lake.open(filled, read_only=True) as reader, pytest.raises(CurateError, match="without --write"):
        run_query(reader, query, as_format="table")
    assert list_contents(tmp_path) == before


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM prompts",
        "FROM prompts LIMIT 1",
        "-- DELETE is only said\nWITH p AS (SELECT * FROM prompts) SELECT 'COPY' FROM p",
        "SHOW TABLES",
        "DESCRIBE prompts",
        "SUMMARIZE prompts",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT count(*) FROM prompts",
        "PIVOT prompts ON source USING count(*)",
        "VALUES (1), (2)",
        "FROM lake.snapshots()",
    ],
)
def test_what_reads_runs(filled: Location, query: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Lake.open(filled, read_only=True) as reader:
        run_query(reader, query, as_format="csv")
    assert capsys.readouterr().out


def test_writing_holds_the_lock_and_leaves_checksums_and_a_seal(filled: Location, tmp_path: Path) -> None:
    from curate.lake.check.run import check_lake

    with Lake.open(filled) as lake:
        query = "INSERT INTO lake.quarantine (quarantine_id) SELECT 'q' || i FROM range(3000) AS t(i)"
        run_query(lake, query, as_format="csv", output=tmp_path / "out.csv", write=True)
    report = check_lake(filled)
    assert (report.findings, report.notes) == ([], [])
    assert report.files == 2
