"""No clean-up deletes what its own catalog has not listed, whatever catalog stands over a data folder."""

from __future__ import annotations

import os
import shutil
import time
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from curate.core.errors import CurateError
from curate.lake.data_folder import Claim, has_claim, has_files, hide_password, list_claims, write_claim
from curate.lake.lake import Lake, Location
from curate.lake.maintenance import collect_garbage

EVERYTHING = timedelta(0)


def fill(lake: Lake, *starts: int) -> None:
    for start in starts:
        with lake.write("x") as writer:
            writer.append("quarantine", pa.table({"quarantine_id": [f"{start + i:06}" for i in range(1000)]}))


def count_rows(location: Location) -> int:
    with Lake.open(location, read_only=True) as lake:
        return int(lake.value("SELECT count(DISTINCT quarantine_id) FROM quarantine"))


def list_parquet(location: Location) -> list[Path]:
    return sorted(Path(location.data).glob("main/*/*.parquet"))


def make_older(folder: Path, *, days: float = 3) -> None:
    """Orphans are files older than a day."""
    then = time.time() - days * 86_400
    for path in folder.rglob("*.parquet"):
        os.utime(path, (then, then))


@pytest.fixture
def full(tmp_path: Path) -> Location:
    """A lake with four data files that are days old."""
    location = Location.under(tmp_path / "lake")
    with Lake.open(location) as lake:
        fill(lake, 0, 1000, 2000, 3000)
    make_older(tmp_path)
    return location


def forget_claims(location: Location) -> None:
    """As in a lake from before there were any."""
    for file in Path(location.data).glob("curate-catalog-*.json"):
        file.unlink()


def test_gc_makes_no_lake(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="There is no lake at"):
        Lake.open(Location.under(tmp_path / "lake"), create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("claimed", [True, False])
def test_a_catalog_that_is_away_for_a_moment_loses_nothing(
    full: Location, tmp_path: Path, claimed: bool
) -> None:
    if not claimed:
        forget_claims(full)
    catalog = Path(full.catalog)
    catalog.rename(tmp_path / "away.sqlite")
    with pytest.raises(CurateError, match="There is no lake at"):
        Lake.open(full, create=False)
    with pytest.raises(CurateError, match="holds the files of a lake: put its catalog back"):
        Lake.open(full)  # as any stage opens it
    assert not catalog.exists()
    (tmp_path / "away.sqlite").rename(catalog)
    with Lake.open(full, create=False) as lake:
        assert collect_garbage(lake, keep=EVERYTHING, orphans=True).orphans == ()
    assert count_rows(full) == 4000


@pytest.mark.parametrize("claimed", [True, False])
@pytest.mark.parametrize("content", ["no tables", "an empty lake"])
def test_an_empty_catalog_deletes_nothing(
    full: Location, tmp_path: Path, claimed: bool, content: str
) -> None:
    if not claimed:
        forget_claims(full)
    shutil.move(full.catalog, tmp_path / "away.sqlite")
    before = list_parquet(full)
    if content == "no tables":
        Path(full.catalog).touch()
        with pytest.raises(CurateError, match="There is no lake at"):
            Lake.open(full, create=False)
    else:
        Lake.open(Location(full.catalog, str(tmp_path / "elsewhere"))).close()
        with (
            Lake.open(full, create=False) as lake,
            pytest.raises(CurateError, match="not known to belong to the catalog"),
        ):
            collect_garbage(lake, keep=EVERYTHING, orphans=True)
    assert list_parquet(full) == before
    shutil.move(tmp_path / "away.sqlite", full.catalog)
    assert count_rows(full) == 4000


@pytest.mark.parametrize("claimed", [True, False])
def test_a_foreign_catalog_deletes_nothing(full: Location, tmp_path: Path, claimed: bool) -> None:
    if not claimed:
        forget_claims(full)
    foreign = Location.under(tmp_path / "foreign")
    with Lake.open(foreign) as lake:
        fill(lake, 0, 1000)
        with lake.write("x") as writer:
            writer.delete("quarantine", "true")
    mixed = Location(foreign.catalog, full.data)
    with (
        Lake.open(mixed, create=False) as lake,
        pytest.raises(CurateError, match="not known to belong to the catalog"),
    ):
        collect_garbage(lake, keep=EVERYTHING, orphans=True)
    assert count_rows(full) == 4000
    with Lake.open(foreign, create=False) as lake:  # nor did it forget what it may delete at home
        assert collect_garbage(lake, keep=EVERYTHING).files == 2


def test_a_lake_is_not_made_in_the_data_folder_of_another(full: Location, tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="holds the files of a lake"):
        Lake.open(Location(str(tmp_path / "second.sqlite"), full.data))


def test_two_older_lakes_in_one_data_folder_keep_their_files(full: Location, tmp_path: Path) -> None:
    forget_claims(full)
    second = Location.under(tmp_path / "second")
    with Lake.open(second) as lake:
        fill(lake, 10_000)
    forget_claims(second)
    shutil.copytree(second.data, full.data, dirs_exist_ok=True)
    make_older(tmp_path)
    second = Location(second.catalog, full.data)
    Lake.open(second).close()  # both leave their claim
    for location in (full, second):
        with (
            Lake.open(location, create=False) as lake,
            pytest.raises(CurateError, match=r"another lake .* keeps its files in the data folder"),
        ):
            collect_garbage(lake, keep=EVERYTHING, orphans=True)
    assert (count_rows(full), count_rows(second)) == (4000, 1000)


def test_a_copy_of_the_catalog_does_not_delete_what_the_other_needs(full: Location, tmp_path: Path) -> None:
    copy = Location(str(tmp_path / "copy.sqlite"), full.data)
    shutil.copy(full.catalog, copy.catalog)
    with Lake.open(copy) as lake, lake.write("x") as writer:
        writer.delete("quarantine", "true")
    for location in (copy, full):
        with (
            Lake.open(location, create=False) as lake,
            pytest.raises(CurateError, match=r"a copy of this catalog .* delete .*curate-catalog-"),
        ):
            collect_garbage(lake, keep=EVERYTHING)
    assert count_rows(full) == 4000
    for file, claim in list_claims(duckdb.connect(), full.data).items():
        if claim.catalog.endswith("copy.sqlite"):
            Path(file).unlink()  # as the sentence says
    Path(copy.catalog).unlink()
    with Lake.open(full, create=False) as lake:
        collect_garbage(lake, keep=EVERYTHING)
    assert count_rows(full) == 4000


def test_a_catalog_restored_from_a_backup_keeps_what_came_after_it(full: Location, tmp_path: Path) -> None:
    shutil.copy(full.catalog, tmp_path / "backup.sqlite")
    with Lake.open(full) as lake:
        fill(lake, 4000, 5000)
    shutil.copy(full.catalog, tmp_path / "newest.sqlite")
    shutil.copy(tmp_path / "backup.sqlite", full.catalog)
    with Lake.open(full, create=False) as lake:
        collect_garbage(lake, keep=EVERYTHING, orphans=True)
    shutil.copy(tmp_path / "newest.sqlite", full.catalog)
    assert count_rows(full) == 6000


def test_orphans_that_outnumber_the_known_files_are_refused(full: Location) -> None:
    table = Path(full.data) / "main" / "quarantine"
    for number in range(5):
        shutil.copy(list_parquet(full)[0], table / f"curate-{number:032x}.parquet")
    make_older(table)
    with (
        Lake.open(full, create=False) as lake,
        pytest.raises(CurateError, match=r"5 Parquet files that the catalog .* and 4 that it does"),
    ):
        collect_garbage(lake, keep=EVERYTHING, orphans=True)
    assert len(list_parquet(full)) == 9


def test_orphans_stay_unless_asked_for_and_others_files_always(full: Location) -> None:
    table = Path(full.data) / "main" / "quarantine"
    orphan, mine = table / f"curate-{0:032x}.parquet", table / "mine.parquet"
    shutil.copy(list_parquet(full)[0], orphan)
    shutil.copy(orphan, mine)
    make_older(table)
    with Lake.open(full, create=False) as lake:
        assert collect_garbage(lake, keep=EVERYTHING).orphans == (str(orphan), str(mine))
        assert collect_garbage(lake, keep=EVERYTHING, orphans=True, dry_run=True).files == 1
        assert orphan.exists()
        assert mine.exists()
        removed = collect_garbage(lake, keep=EVERYTHING, orphans=True)
    assert (removed.files, removed.orphans) == (1, (str(mine),))
    assert not orphan.exists()
    assert mine.exists()
    assert count_rows(full) == 4000


def test_gc_still_frees_superseded_files_and_a_dry_run_counts_them(full: Location) -> None:
    with Lake.open(full) as lake:
        with lake.write("x") as writer:
            writer.delete("quarantine", "quarantine_id < '002000'")
        snapshots = lake.value("SELECT count(*) FROM lake.snapshots()")
        counted = collect_garbage(lake, keep=EVERYTHING, dry_run=True)
        assert (counted.files, len(list_parquet(full))) == (2, 4)
        assert lake.value("SELECT count(*) FROM lake.snapshots()") == snapshots
        removed = collect_garbage(lake, keep=EVERYTHING)
        assert (removed.snapshots, removed.files) == (counted.snapshots, counted.files)
    assert len(list_parquet(full)) == 2
    assert count_rows(full) == 2000


def test_a_lake_whose_disk_is_not_there_is_not_cleaned(full: Location, tmp_path: Path) -> None:
    with Lake.open(full) as lake, lake.write("x") as writer:
        writer.delete("quarantine", "quarantine_id < '002000'")
    Path(full.data).rename(tmp_path / "unmounted")
    Path(full.data).mkdir()
    with (
        Lake.open(full, create=False) as lake,
        pytest.raises(CurateError, match="holds no file that this one lists"),
    ):
        collect_garbage(lake, keep=EVERYTHING)
    Path(full.data).rmdir()
    (tmp_path / "unmounted").rename(full.data)
    with Lake.open(full, create=False) as lake:
        assert collect_garbage(lake, keep=EVERYTHING).files == 2


def test_an_older_lake_gets_its_claim_when_it_is_opened_to_write(full: Location) -> None:
    forget_claims(full)
    with Lake.open(full, read_only=True) as lake:
        assert lake.files.list_claims() == {}
    with Lake.open(full) as lake:
        assert [*lake.files.list_claims().values()] == [lake.files.claim]


def test_a_lake_that_is_moved_whole_is_still_cleaned(full: Location, tmp_path: Path) -> None:
    (tmp_path / "lake").rename(tmp_path / "moved")
    with Lake.open(Location.under(tmp_path / "moved"), create=False) as lake:
        assert collect_garbage(lake, keep=EVERYTHING).orphans == ()
        assert len(lake.files.list_claims()) == 1


def test_claims_are_kept_in_buckets_through_the_database(tmp_path: Path) -> None:
    connection, url, claim = duckdb.connect(), f"file://{tmp_path}", Claim("lake", "it's there")
    assert list_claims(connection, url) == {}
    assert not has_files(connection, url)
    write_claim(connection, url, claim)
    assert has_claim(connection, url, claim)
    assert has_files(connection, url)
    assert [*list_claims(connection, url).values()] == [*list_claims(connection, str(tmp_path)).values()]


def test_a_claim_that_cannot_be_read_is_nobodys(full: Location) -> None:
    (Path(full.data) / "curate-catalog-broken.json").write_text("{")
    with (
        Lake.open(full, create=False) as lake,
        pytest.raises(CurateError, match=r"delete .*curate-catalog-broken\.json"),
    ):
        collect_garbage(lake, keep=EVERYTHING)


def test_the_password_of_a_catalog_is_not_shown() -> None:
    assert hide_password("postgresql://me:secret@host:5432/db?sslmode=x") == "postgresql://host:5432/db"
