"""A lake on servers: its catalog in PostgreSQL, its files in a bucket of an S3-compatible server."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.lake.bucket import BucketAccess
from curate.lake.check.run import check_lake
from curate.lake.erasure import erase_history
from curate.lake.extensions import connect_duckdb
from curate.lake.forgotten import digest_name
from curate.lake.lake import Lake, Location
from curate.lake.lost_catalog import CatalogLostError, repeat_when_lost, wait_for_catalog
from curate.lake.runs import StageRun
from curate.lake.traces import Traces
from tests.lake.servers import PASSWORD, S3_KEY, S3_SECRET, PostgresServer, S3Server, find_postgres_programs

WRITERS = 4
SECONDS = float(os.environ.get("CURATE_WRITERS_SECONDS", "20"))


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory() as name:  # not pytest's folders: PostgreSQL runs as another user
        Path(name).chmod(0o755)
        with PostgresServer(Path(name) / "server") as server:
            yield server


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def write_project(folder: Path) -> Path:
    rows = [
        {"prompt": f"Question {number}?", "response": text, "model": f"m{index}"}
        for number in range(40)
        for index, text in enumerate(("No.", "Yes, because it is so in all cases known.", "Perhaps."))
    ]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = folder / "curate.yaml"
    file.write_text(
        "lake: {catalog: '${CATALOG_URL}', data: 's3://lake/project'}\n"
        "ingest: [{source: data.jsonl, fields: {prompt: prompt, response: response, response_model: model}}]\n"
        "judge: {judges: [{name: length, kind: rule, rule: length}]}\n"
    )
    return file


def run_curate(config: Path, *arguments: str, code: int = 0) -> str:
    command = [
        sys.executable,
        "-c",
        "from curate.cli.app import main; main()",
        *arguments,
        "--config",
        str(config),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == code, done.stderr + done.stdout
    text = done.stdout + done.stderr
    for secret in (PASSWORD, S3_KEY, S3_SECRET):
        assert secret not in text
    return text


def _write_rows(location: Location, name: str, ready: Barrier, stop: Event) -> None:
    """Commit until told to stop: rows of its own, every time one that all writers share, and its record."""
    with Lake.open(location) as lake:
        run = StageRun(lake, "ingest", config_hash="0")
        number = 0
        ready.wait(120)
        while not stop.is_set():
            repeat_when_lost(partial(_commit_rows, run, name, number))
            number += 1


def _commit_rows(run: StageRun, name: str, number: int) -> None:
    ids = [*(f"{name}-{number}-{row}" for row in range(19)), f"shared-{number}"]
    with run.chunk(name, fingerprint=name, index=number) as (writer, counts):
        counts.rows_in = 20
        counts.rows_kept = writer.append(
            "quarantine", pa.table({"quarantine_id": ids}), unique="quarantine_id"
        )
        counts.rows_duplicate = 20 - counts.rows_kept


@pytest.mark.e2e
def test_writers_lose_and_double_nothing_while_the_catalog_is_restarted(
    postgres: PostgresServer, bucket: S3Server
) -> None:
    location = Location(postgres.url, f"s3://{bucket.bucket}/lake")
    Lake.open(location).close()
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Barrier(WRITERS + 1), context.Event()
    names = [f"w{number}" for number in range(WRITERS)]
    workers = [context.Process(target=_write_rows, args=(location, name, ready, stop)) for name in names]
    for worker in workers:
        worker.start()
    ready.wait(120)  # a command that starts while the catalog is away ends at once
    for mode in ("fast", "immediate"):  # an orderly stop, and one like a crash
        time.sleep(SECONDS / 3)
        postgres.stop(mode)
        time.sleep(1)
        postgres.start()
    time.sleep(SECONDS / 3)
    stop.set()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * WRITERS
    with Lake.open(location, read_only=True) as lake:
        commits = dict(lake.rows("SELECT part, count(*) FROM runs GROUP BY part"))
        assert sorted(commits) == names
        numbers = "SELECT part, count(DISTINCT chunk), max(chunk) + 1 FROM runs GROUP BY part ORDER BY part"
        assert lake.rows(numbers) == [(name, commits[name], commits[name]) for name in names]
        shared = max(commits.values())
        total = 19 * sum(commits.values()) + shared
        assert lake.rows("SELECT count(*), count(DISTINCT quarantine_id) FROM quarantine") == [(total, total)]
        assert lake.value("SELECT sum(rows_kept) FROM runs") == total
    print(f"{sum(commits.values())} commits of {WRITERS} writers in {SECONDS:g} s: {commits}")


class _LostAnswers:
    """A connection whose answers to COMMIT are lost on the way; `is_kept`: after the catalog has kept it, or before."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, is_kept: bool) -> None:
        self._connection, self._is_kept = connection, is_kept

    def execute(self, query: str, parameters: Sequence[object] = ()) -> duckdb.DuckDBPyConnection:
        if query == "COMMIT":
            self._connection.execute("COMMIT" if self._is_kept else "ROLLBACK")
            raise duckdb.IOException("server closed the connection unexpectedly")
        return self._connection.execute(query, parameters)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


@pytest.mark.e2e
def test_a_commit_whose_answer_is_lost_is_looked_up(postgres: PostgresServer, tmp_path: Path) -> None:
    rows = pa.table({"quarantine_id": [f"{number:04}" for number in range(500)]})
    with Lake.open(Location(postgres.url, str(tmp_path / "data"))) as lake:
        connection = lake._connection
        lake._connection = _LostAnswers(connection, is_kept=True)  # type: ignore[assignment]
        with lake.write("kept") as writer:
            writer.append("quarantine", rows)
        assert lake.value("SELECT count(*) FROM quarantine") == 500
        lake._connection = _LostAnswers(connection, is_kept=False)  # type: ignore[assignment]
        with (
            pytest.raises(CatalogLostError, match="nothing of this transaction was kept") as error,
            lake.write("lost") as writer,
        ):
            writer.append("quarantine", rows)
        assert PASSWORD not in str(error.value)
        lake._connection = connection
        assert lake.value("SELECT count(*) FROM quarantine") == 500
    assert check_lake(Location(postgres.url, str(tmp_path / "data"))).findings == []


@pytest.mark.e2e
def test_a_session_that_has_lost_the_lock_commits_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    location = Location(postgres.url, str(tmp_path / "data"))
    with Lake.open(location) as lake, pytest.raises(CatalogLostError), lake.write("x") as writer:
        with connect_duckdb(
            "postgres_scanner"
        ) as other:  # what a limit of the server, or its administrator, does
            _end_lock_session(other, postgres.url)
        writer.append("quarantine", pa.table({"quarantine_id": ["a"]}))
    with Lake.open(location, read_only=True) as lake:
        assert lake.value("SELECT count(*) FROM quarantine") == 0


def _end_lock_session(connection: duckdb.DuckDBPyConnection, url: str) -> None:
    connection.execute(f"ATTACH '{url}' AS catalog (TYPE postgres)")
    query = (
        "SELECT pg_terminate_backend(pid) AS ended FROM pg_locks WHERE locktype = ''advisory'' AND granted"
    )
    assert connection.execute(f"SELECT * FROM postgres_query('catalog', '{query}')").fetchall() == [(True,)]


def test_a_catalog_that_stays_away_is_said_in_one_sentence_without_its_password() -> None:
    url = f"postgresql://curate:{PASSWORD}@127.0.0.1:1/postgres"

    def fail() -> None:
        raise duckdb.IOException(f'Unable to connect to Postgres at "{url}": connection refused')

    with pytest.raises(CurateError, match=r"127\.0\.0\.1:1/postgres has not answered for 0 s") as error:
        wait_for_catalog(url, fail, patience=0)
    assert PASSWORD not in str(error.value)

    def refuse() -> None:
        raise duckdb.IOException("Unable to connect to Postgres: password authentication failed")

    with pytest.raises(duckdb.Error, match="password"):  # waiting would not help
        wait_for_catalog(url, refuse, patience=60)


def test_a_bucket_is_reached_by_the_variables_that_other_programs_read() -> None:
    keys = {"AWS_ACCESS_KEY_ID": S3_KEY, "AWS_SECRET_ACCESS_KEY": S3_SECRET}
    access = BucketAccess.read({**keys, "AWS_DEFAULT_REGION": "eu-1", "AWS_ENDPOINT_URL": "http://s3:9000/"})
    assert (access.region, access.endpoint, access.token) == ("eu-1", "http://s3:9000", "")
    assert S3_KEY not in repr(access)
    assert S3_SECRET not in repr(access)
    with pytest.raises(CurateError, match="AWS_SECRET_ACCESS_KEY is not set"):
        BucketAccess.read({"AWS_ACCESS_KEY_ID": S3_KEY})
    with pytest.raises(CurateError, match="AWS_ENDPOINT_URL must be like"):
        BucketAccess.read({**keys, "AWS_ENDPOINT_URL": "s3:9000"})
    with pytest.raises(CurateError, match="S3-compatible"):
        Lake.open(Location("catalog.sqlite", "gs://bucket/lake"))


@pytest.mark.e2e
def test_a_project_on_servers_runs_and_is_checked(
    tmp_path: Path, postgres: PostgresServer, bucket: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_URL", postgres.url)
    config = write_project(tmp_path)
    found = run_curate(config, "doctor", "--json", code=0)
    assert "PostgreSQL 1" in found
    assert f"s3://lake/project at {bucket.url} can be listed" in found
    run_curate(config, "run")
    run_curate(config, "run")  # finds all of it done
    with Lake.open(load_config(config).location, read_only=True) as lake:
        assert lake.value("SELECT count(*) FROM responses") == 120
        assert lake.rows("SELECT count(*), count(DISTINCT judgment_id) FROM judgments") == [(120, 120)]
        assert {file.path.partition("/main/")[0] for file in lake.files.list_data_files()} == {
            "s3://lake/project"
        }
    query = "SELECT current_setting('s3_secret_access_key') AS a, current_setting('s3_access_key_id') AS b"
    run_curate(config, "sql", query)
    run_curate(config, "compact")
    run_curate(config, "gc", "--keep-days", "0")
    run_curate(config, "check")
    postgres.stop("fast")
    assert "start that server" in run_curate(config, "doctor", code=1)
    run_curate(config, "status", code=1)


@pytest.mark.e2e
def test_check_finds_what_was_changed_in_a_bucket(tmp_path: Path, bucket: S3Server) -> None:
    from pyarrow import fs

    location = Location(str(tmp_path / "catalog.sqlite"), f"s3://{bucket.bucket}/d")
    with Lake.open(location) as lake:
        for start in range(0, 6000, 1000):
            ids = [f"{number:06}" for number in range(start, start + 1000)]
            with lake.write("x") as writer:
                writer.append("quarantine", pa.table({"quarantine_id": ids}))
        with lake.write("x") as writer:
            assert writer.delete("quarantine", "quarantine_id LIKE '%7'") == 600
        lake.call("ducklake_flush_inlined_data('lake')")
        files = [file.path for file in lake.files.list_data_files()]
        assert set(lake.files.read_checksums()) == {path.rpartition("/")[2] for path in files}
    report = check_lake(location)
    assert (report.findings, report.files) == ([], len(files))
    store = fs.S3FileSystem(access_key=S3_KEY, secret_key=S3_SECRET, endpoint_override=bucket.url)
    for path in files:
        with store.open_input_stream(path.removeprefix("s3://")) as stream:
            content = bytearray(stream.read())
        content[len(content) // 2] ^= 1
        with store.open_output_stream(path.removeprefix("s3://")) as stream:
            stream.write(bytes(content))
    assert {finding.where for finding in check_lake(location, files_only=True).findings} == set(files)
    store.delete_file(files[0].removeprefix("s3://"))
    assert "it is missing" in {finding.sentence for finding in check_lake(location, files_only=True).findings}


@pytest.mark.e2e
def test_files_of_a_commit_whose_answer_is_lost_stay_in_the_bucket(
    postgres: PostgresServer, bucket: S3Server
) -> None:
    location = Location(postgres.url, f"s3://{bucket.bucket}/d")
    with Lake.open(location) as lake:
        with lake.write("x") as writer:
            writer.append("quarantine", pa.table({"quarantine_id": [f"{i:04}" for i in range(900)]}))
        files: list[str] = []
        connection = lake._connection
        lake._connection = _LostAnswers(connection, is_kept=True)  # type: ignore[assignment]
        with lake.write("y") as writer:
            writer.delete("quarantine", "quarantine_id < '0100'")
        lake._connection = connection
        files = [file.path for file in lake.files.list_data_files() if file.deletes]
        assert len(files) == 1
        assert lake.value("SELECT count(*) FROM quarantine") == 800
    assert check_lake(location).findings == []


@pytest.mark.e2e
def test_a_lake_in_a_bucket_is_backed_up_and_restored_to_a_bucket_or_a_folder(
    tmp_path: Path, postgres: PostgresServer, bucket: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_URL", postgres.url)
    monkeypatch.setenv("PATH", f"{find_postgres_programs()}", prepend=":")
    config = write_project(tmp_path)
    run_curate(config, "ingest")
    run_curate(config, "judge")
    run_curate(config, "backup", str(tmp_path / "backup"))
    for name, data in (("second", "s3://lake/second"), ("third", str(tmp_path / "third"))):
        monkeypatch.setenv("CATALOG_URL", postgres.create_database(name))
        text = config.read_text().replace("s3://lake/project", data)
        other = tmp_path / f"{name}.yaml"
        other.write_text(f"workspace: .{name}\n{text}")
        run_curate(other, "restore", str(tmp_path / "backup"))
        run_curate(other, "check")
        with Lake.open(load_config(other).location) as lake:
            assert lake.value("SELECT count(*) FROM judgments") == 120
            assert list(lake.files.list_claims().values()) == [lake.files.claim]
        assert "already" in run_curate(other, "restore", str(tmp_path / "backup"), code=1)


@pytest.mark.e2e
def test_what_a_killed_run_left_in_a_bucket_is_erased_too(tmp_path: Path, bucket: S3Server) -> None:
    location = Location(str(tmp_path / "catalog.sqlite"), f"s3://{bucket.bucket}/erased")
    with Lake.open(location) as lake:
        columns = lake.arrow("SELECT * FROM quarantine LIMIT 0").schema
        rows = [{"quarantine_id": f"{number:06}"} for number in range(1500)]
        lake.stage("quarantine", pa.Table.from_pylist(rows, schema=columns))  # never adopted
        digest = digest_name("row:salt", "000042")
        assert erase_history(lake, Traces.of("salt", [digest])).files == 1
        assert not any("quarantine" in file for file in lake.files.list_stored_files())


@pytest.mark.e2e
def test_a_backup_of_a_folder_is_restored_into_a_bucket(tmp_path: Path, bucket: S3Server) -> None:
    config = write_project(tmp_path)
    text = config.read_text().replace("lake: {catalog: '${CATALOG_URL}', data: 's3://lake/project'}\n", "")
    config.write_text(text)
    run_curate(config, "ingest")
    run_curate(config, "judge")
    run_curate(config, "backup", str(tmp_path / "backup"))
    address = f"{bucket.url}/{bucket.bucket}/theirs/thesis.txt"
    urllib.request.urlopen(urllib.request.Request(address, data=b"mine", method="PUT"), timeout=9).close()
    other = tmp_path / "bucket.yaml"
    other.write_text(f"workspace: .bucket\nlake: {{data: 's3://lake/theirs'}}\n{text}")
    assert "thesis.txt" in run_curate(other, "restore", str(tmp_path / "backup"), code=1)
    other.write_text(f"workspace: .bucket\nlake: {{data: 's3://lake/ours'}}\n{text}")
    run_curate(other, "restore", str(tmp_path / "backup"))
    run_curate(other, "check")
    with Lake.open(load_config(other).location) as lake:
        assert lake.value("SELECT count(*) FROM judgments") == 120
    assert "already" in run_curate(other, "restore", str(tmp_path / "backup"), code=1)
    damaged = next(file for file in sorted((tmp_path / "backup").rglob("*.parquet")))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    third = tmp_path / "third.yaml"
    third.write_text(f"workspace: .third\nlake: {{data: 's3://lake/third'}}\n{text}")
    assert damaged.name in run_curate(third, "restore", str(tmp_path / "backup"), code=1).replace("\n", "")
    assert not Path(load_config(third).location.catalog).exists()
