"""What leaves a data folder can be taken back for a while, and a failed commit takes nothing along."""

from __future__ import annotations

import errno
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from curate.lake.check.run import check_lake
from curate.lake.lake import Lake, Location
from curate.lake.maintenance import collect_garbage, forget_snapshots
from curate.lake.trash import PENDING, TRASH

NOW = timedelta(0)
WEEK = timedelta(days=7)


@pytest.fixture
def location(tmp_path: Path) -> Location:
    """A lake with two data files, the first of which no longer holds a row."""
    location = Location.under(tmp_path / "lake")
    with Lake.open(location) as lake:
        for start in (0, 1000):
            with lake.write("x") as writer:
                ids = [f"{start + i:06}" for i in range(1000)]
                writer.append("quarantine", pa.table({"quarantine_id": ids}))
        shutil.copy(location.catalog, tmp_path / "before.sqlite")
        with lake.write("x") as writer:
            writer.delete("quarantine", "quarantine_id < '001000'")
    return location


def count_rows(location: Location) -> int:
    with Lake.open(location, read_only=True) as lake:
        return int(lake.value("SELECT count(DISTINCT quarantine_id) FROM quarantine"))


def list_names(location: Location, folder: str = "main/quarantine") -> set[str]:
    return {path.name for path in (Path(location.data) / folder).glob("*.parquet")}


def lose_file(location: Location, folder: str) -> str:
    """Leave a listed file in a folder of kept files alone."""
    with Lake.open(location) as lake:
        path = next(Path(file.path) for file in lake.files.list_data_files() if file.current)
    (Path(location.data) / folder).mkdir(exist_ok=True)
    path.rename(Path(location.data) / folder / path.name)
    return path.name


def test_gc_moves_files_to_the_trash_and_deletes_them_after_the_grace(location: Location) -> None:
    before = list_names(location)
    with Lake.open(location) as lake:
        removed = collect_garbage(lake, keep=NOW, grace=WEEK)
        assert (removed.files, removed.emptied, removed.trash) == (1, 0, 1)
        gone = list_names(location, TRASH)
        assert gone == before - list_names(location)
        assert removed.trash_bytes == (Path(location.data) / TRASH / gone.pop()).stat().st_size
        assert collect_garbage(lake, keep=NOW, grace=WEEK).emptied == 0
        counted = collect_garbage(lake, keep=NOW, grace=NOW, dry_run=True)
        assert (counted.emptied, counted.trash) == (1, 1)
        emptied = collect_garbage(lake, keep=NOW, grace=NOW)
        assert (emptied.emptied, emptied.trash) == (1, 0)
    assert count_rows(location) == 1000
    assert check_lake(location).findings == []


def test_a_dry_run_without_grace_counts_what_would_pass_through_the_trash(location: Location) -> None:
    with Lake.open(location) as lake:
        counted = collect_garbage(lake, keep=NOW, grace=NOW, dry_run=True)
        assert collect_garbage(lake, keep=NOW, grace=NOW).emptied == counted.emptied == 1


def test_an_older_catalog_gets_its_files_back_from_the_trash(location: Location, tmp_path: Path) -> None:
    with Lake.open(location) as lake:
        collect_garbage(lake, keep=NOW)
    shutil.copy(tmp_path / "before.sqlite", location.catalog)
    Path(f"{location.catalog}.seal").unlink()
    [finding] = check_lake(location, files_only=True).findings
    assert "is missing, and is in the trash: `curate check --repair` takes it back" in finding.sentence
    with Lake.open(location) as lake:
        assert (
            collect_garbage(lake, keep=WEEK, grace=NOW).emptied == 0
        )  # nor does gc empty it of what is listed
    report = check_lake(location, repair=True)
    assert report.findings == []
    assert "took 1 missing files back from the trash" in report.repairs[0]
    assert count_rows(location) == 2000


@pytest.mark.parametrize("read_only", [True, False])
def test_what_a_failed_commit_took_along_is_put_back_when_the_lake_is_opened(
    location: Location, read_only: bool
) -> None:
    name = lose_file(location, PENDING)
    with Lake.open(location, read_only=read_only) as lake:
        assert lake.value("SELECT count(DISTINCT quarantine_id) FROM quarantine") == 1000
    assert name in list_names(location)
    assert list_names(location, PENDING) == set()
    assert check_lake(location).findings == []


def test_what_the_catalog_never_took_goes_from_pending_to_the_trash(location: Location) -> None:
    pending = Path(location.data) / PENDING
    pending.mkdir(exist_ok=True)
    (pending / "ducklake-never-listed.parquet").write_bytes(b"rows of a commit that failed")
    Lake.open(location, read_only=True).close()
    assert list_names(location, PENDING)
    with Lake.open(location) as lake:
        assert lake.files.list_orphans() == []
    assert list_names(location, PENDING) == set()
    assert list_names(location, TRASH) == {"ducklake-never-listed.parquet"}


class CommitError(Exception):
    """Stands for an error of the catalog after it has kept the commit."""


@pytest.fixture(params=["links", "copies"])
def file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows second names of a file, and one that knows none."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if request.param == "copies":
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("file_system")
def test_files_have_a_second_name_while_their_commit_is_at_work(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckLake deletes its new files when a step after SQLite's commit fails, as this stand-in for it does."""
    from curate.lake.new_files import NewFiles

    def fail_after_commit(files: NewFiles) -> None:
        [path] = files._kept
        (Path(location.data) / "main" / "quarantine" / path.name).unlink()
        monkeypatch.undo()
        raise CommitError

    with Lake.open(location) as lake:
        monkeypatch.setattr(NewFiles, "release_files", fail_after_commit)
        with pytest.raises(CommitError), lake.write("x") as writer:
            ids = [f"{i:06}" for i in range(5000, 6000)]
            writer.append("quarantine", pa.table({"quarantine_id": ids}))
        assert lake.value("SELECT count(DISTINCT quarantine_id) FROM quarantine") == 2000
    assert list_names(location, PENDING) == set()
    assert check_lake(location).findings == []


def test_nothing_is_left_of_a_commit_that_succeeds(location: Location) -> None:
    assert list_names(location, PENDING) == set()
    assert list_names(location, TRASH) == set()


def test_what_must_be_gone_at_once_is_in_no_trash_either(location: Location) -> None:
    """As `curate forget` needs it: texts that are erased are in no file of the data folder."""
    with Lake.open(location) as lake:
        collect_garbage(lake, keep=NOW, grace=WEEK)
        assert list_names(location, TRASH)
        with lake.write("x") as writer:
            writer.delete("quarantine", "true")
        with lake.lock():
            latest = lake.snapshot()
            old = [
                number
                for (number,) in lake.rows("SELECT snapshot_id FROM lake.snapshots()")
                if number != latest
            ]
            assert forget_snapshots(lake, old, dry_run=False) == 1
    assert list(Path(location.data).rglob("ducklake-*.parquet")) == []
