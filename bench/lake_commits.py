"""Commits to a lake: how many a second one writer and four make, by where the catalog and the files are.

    python bench/lake_commits.py
    python bench/lake_commits.py --seconds 30 --writers 1 8

PostgreSQL and an S3-compatible server (moto's, in Python) are started here, where they are installed.

A commit is one transaction of the product's own write path (`StageRun.chunk`): 20 rows without those that the table has
(one of them is shared by all writers), and the record of the work. Writers are processes. Every lake is counted in the
end: all rows are there, none twice.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pytest

from curate.lake.lake import Lake, Location
from curate.lake.runs import StageRun
from tests.lake.servers import PostgresServer, S3Server

Server = TypeVar("Server")

ROWS = 20
PLACES = (("SQLite", "PostgreSQL"), ("disk", "S3"))


def write_rows(location: Location, name: str, seconds: float, barrier: Barrier) -> None:
    with Lake.open(location) as lake:
        run = StageRun(lake, "ingest", config_hash="0")
        barrier.wait()
        end, number = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            ids = [*(f"{name}-{number}-{row}" for row in range(ROWS - 1)), f"shared-{number}"]
            with run.chunk(name, fingerprint=name, index=number) as (writer, counts):
                counts.rows_in = ROWS
                rows = pa.table({"quarantine_id": ids})
                counts.rows_kept = writer.append("quarantine", rows, unique="quarantine_id")
                counts.rows_duplicate = ROWS - counts.rows_kept
            number += 1


def measure(location: Location, writers: int, seconds: float) -> float:
    """Return commits a second of all writers together."""
    Lake.open(location).close()
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(writers)
    names = [f"w{number}" for number in range(writers)]
    workers = [context.Process(target=write_rows, args=(location, name, seconds, barrier)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a writer failed")
    with Lake.open(location, read_only=True) as lake:
        commits = dict(lake.rows("SELECT part, count(*) FROM runs GROUP BY part"))
        total = (ROWS - 1) * sum(commits.values()) + max(commits.values())
        counted = lake.rows("SELECT count(*), count(DISTINCT quarantine_id) FROM quarantine")
        if counted != [(total, total)]:
            raise SystemExit(f"{counted} rows in place of {total}")
    return sum(commits.values()) / seconds


@contextlib.contextmanager
def start_servers(folder: Path) -> Iterator[tuple[PostgresServer | None, S3Server | None]]:
    """Yield the servers that can be started here."""
    folder.chmod(0o755)  # PostgreSQL runs as another user
    with contextlib.ExitStack() as stack:
        postgres = _start(stack, PostgresServer(folder / "postgres"))
        bucket = _start(stack, S3Server())
        if bucket is not None:
            os.environ.update(bucket.environment)
        yield postgres, bucket


def _start(stack: contextlib.ExitStack, server: contextlib.AbstractContextManager[Server]) -> Server | None:
    try:
        return stack.enter_context(server)
    except pytest.skip.Exception as reason:
        print(f"left out: {reason}")
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 4])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, start_servers(Path(name)) as (postgres, bucket):
        for files, catalog, writers in itertools.product(PLACES[1], PLACES[0], options.writers):
            if (catalog == "PostgreSQL" and not postgres) or (files == "S3" and not bucket):
                continue
            place = f"{catalog}_{files}_{writers}".lower()
            data = f"s3://{bucket.bucket}/{place}" if files == "S3" and bucket else f"{name}/{place}"
            url = f"{name}/{place}.sqlite"
            if catalog == "PostgreSQL" and postgres:
                url = postgres.create_database(place)
            rate = measure(Location(url, data), writers, options.seconds)
            print(f"{catalog:10} {files:4} {writers} writers: {rate:6.1f} commits/s", flush=True)


if __name__ == "__main__":
    main()
