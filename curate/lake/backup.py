"""Copy a lake as it is at one moment to a folder, and make a lake of such a copy again.

A backup is a folder with `backup.json` (what it is, and the checksum of each file), `catalog.sqlite` or `catalog.dump`,
and `data/`. Writers wait while it is made.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from curate import __version__
from curate.core.atomic import atomic_directory
from curate.core.durable import sync_files
from curate.core.errors import CurateError
from curate.lake.catalog_file import copy_catalog, write_seal
from curate.lake.checksums import Checksum, compute_checksum
from curate.lake.data_folder import hide_password, is_local, list_claim_files
from curate.lake.lake import Lake, Location

_MANIFEST = "backup.json"
_CATALOGS = {False: "catalog.sqlite", True: "catalog.dump"}  # by whether it is PostgreSQL's


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup: `files` by their path in its folder, the `snapshot` of the lake, and when it was made."""

    folder: Path
    snapshot: int
    is_postgres: bool
    made_at: str
    files: dict[str, Checksum]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())


def back_up_lake(location: Location, folder: Path, *, dry_run: bool = False) -> Backup:
    """Copy catalog and data files to a folder, which must be new, empty, or an earlier backup that is replaced.

    Args:
        location: Where the lake is.
        folder: Where the backup goes. It appears whole or not at all.
        dry_run: Copy nothing, and say what would be copied.

    Raises:
        CurateError: There is no lake, it is damaged, its data is in a bucket, or the folder holds other files.
    """
    if not is_local(location.data):
        raise CurateError(
            f"The data of this lake is in a bucket ({location.data}): copy the bucket with its own tools, after the "
            "catalog."
        )
    _refuse_inside(location, folder)
    with Lake.open(location, create=False) as lake, lake.lock():
        if dry_run:
            paths = [Path(file.path) for file in lake.files.list_data_files()]
            files = {f"data/{path.name}": Checksum(path.name, path.stat().st_size, "") for path in paths}
            return Backup(folder, lake.snapshot(), location.is_postgres, "", files)
        with atomic_directory(folder, owned=_list_owned, noun="a backup of a lake") as new:
            backup = _copy_lake(lake, new)
            _write_manifest(backup)
            sync_files(path for path in new.rglob("*") if path.is_file())
    return Backup(folder, backup.snapshot, backup.is_postgres, backup.made_at, backup.files)


def restore_lake(folder: Path, location: Location, *, dry_run: bool = False) -> Backup:
    """Make a lake from a backup, where there is none.

    Args:
        folder: The backup.
        location: Where the lake goes: no catalog and no data folder with files may be there.
        dry_run: Check the backup, and write nothing.

    Raises:
        CurateError: The folder is no backup, a file of it is damaged, or there is a lake already.
    """
    backup = read_backup(folder)
    for name in backup.files:
        _verify_copy(folder / name, backup.files[name], "The backup is damaged")
    _refuse_existing(backup, location)
    if dry_run:
        return backup
    data = Path(location.data)
    for name, checksum in backup.files.items():
        if name.startswith("data/"):
            target = data / name.removeprefix("data/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)
            _verify_copy(target, checksum, "The copy differs")
    sync_files(data / name.removeprefix("data/") for name in backup.files if name.startswith("data/"))
    _restore_catalog(
        backup, location
    )  # last: without a catalog there is no lake, and restoring can begin again
    with Lake.open(location, create=False) as lake, lake.lock():
        claim = (
            lake.files.claim
        )  # of the place where the catalog is now; the one of the old place names another
        for path in list_claim_files(location.data):
            if path.name != claim.file_name:
                path.unlink()
        lake.files.write_claim()
    return backup


def read_backup(folder: Path) -> Backup:
    """Read what a backup says of itself.

    Raises:
        CurateError: The folder is no backup.
    """
    try:
        content = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        files = {
            name: Checksum(Path(name).name, int(file["bytes"]), str(file["sha256"]))
            for name, file in content["files"].items()
        }
        return Backup(folder, content["snapshot"], content["postgres"], content["made_at"], files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CurateError(
            f"{folder} is no backup that `curate backup` made: its {_MANIFEST} cannot be read ({error})."
        ) from error


def _copy_lake(lake: Lake, new: Path) -> Backup:
    known = lake.files.read_checksums()
    data = Path(lake.location.data)
    files = {}
    for file in lake.files.list_data_files():
        path = Path(file.path)
        inside = (
            path.relative_to(data).as_posix()
            if path.is_relative_to(data)
            else f"main/{file.table}/{path.name}"
        )
        files[f"data/{inside}"] = _copy_file(path, new / "data" / inside, known.get(path.name))
    for path in list_claim_files(lake.location.data):
        files[f"data/{path.name}"] = _copy_file(path, new / "data" / path.name, None)
    catalog = new / _CATALOGS[lake.location.is_postgres]
    if lake.location.is_postgres:
        _dump_postgres(lake.location.catalog, catalog)
    else:
        copy_catalog(lake.location.catalog, catalog)
    files[catalog.name] = compute_checksum(catalog)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    return Backup(new, lake.snapshot(), lake.location.is_postgres, made_at, files)


def _copy_file(source: Path, target: Path, known: Checksum | None) -> Checksum:
    """Copy a file; the copy is read again and compared with what was written once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        raise CurateError(
            f"No backup was made: {source} is missing; `curate check` says what else is."
        ) from None
    copied = compute_checksum(target)
    expected = known or compute_checksum(source)
    if copied != expected:
        raise CurateError(
            f"No backup was made: {source} is not what was written; `curate check` says what else is damaged."
        )
    return copied


def _verify_copy(path: Path, expected: Checksum, reason: str) -> None:
    try:
        actual = compute_checksum(path)
    except OSError as error:
        raise CurateError(f"{reason}: {path} cannot be read ({error.strerror}).") from error
    if (actual.bytes, actual.sha256) != (expected.bytes, expected.sha256):
        raise CurateError(f"{reason}: {path} is not what was written.")


def _refuse_existing(backup: Backup, location: Location) -> None:
    if backup.is_postgres != location.is_postgres:
        kind = "a PostgreSQL database" if backup.is_postgres else "a SQLite file"
        raise CurateError(f"The catalog of {backup.folder} is {kind}: name such a one under `lake.catalog`.")
    if not is_local(location.data):
        raise CurateError("A backup is restored to a folder: `lake.data` names a bucket.")
    if not location.is_postgres and Path(location.catalog).exists():
        raise CurateError(
            f"There is a lake at {location.catalog} already, and nothing was restored: move it away, or name another "
            "`workspace` in curate.yaml."
        )
    theirs = {location.data + name.removeprefix("data") for name in backup.files if name.startswith("data/")}
    others = [
        str(path) for path in Path(location.data).rglob("*") if path.is_file() and str(path) not in theirs
    ]
    if others:
        raise CurateError(
            f"The data folder {location.data} holds files already (such as {others[0]}), and nothing was restored: "
            "move it away, or name another folder under `lake.data` in curate.yaml."
        )


def _restore_catalog(backup: Backup, location: Location) -> None:
    name = _CATALOGS[backup.is_postgres]
    if backup.is_postgres:
        _run_postgres(
            "pg_restore",
            "--exit-on-error",
            "--no-owner",
            "--dbname",
            location.catalog,
            str(backup.folder / name),
        )
        return
    target = Path(location.catalog)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.restoring")
    shutil.copyfile(backup.folder / name, new)
    _verify_copy(new, backup.files[name], "The copy differs")
    sync_files([new])
    new.replace(target)
    write_seal(location.catalog)


def _dump_postgres(url: str, target: Path) -> None:
    _run_postgres("pg_dump", "--format=custom", "--no-owner", "--file", str(target), "--dbname", url)


def _run_postgres(program: str, *arguments: str) -> None:
    if shutil.which(program) is None:
        raise CurateError(
            f"The catalog is in PostgreSQL, and its program {program} is not installed here: install it "
            "(postgresql-client), or dump the database on its server and copy the data folder after that."
        )
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        url = next((argument for argument in arguments if "://" in argument), "")
        sentence = reason[-1].replace(url, hide_password(url)) if url else reason[-1]
        raise CurateError(f"{program} failed: {sentence}")


def _refuse_inside(location: Location, folder: Path) -> None:
    if folder.resolve().is_relative_to(Path(location.data).resolve()):
        raise CurateError(
            f"{folder} is inside the data folder of the lake: name one outside, best on another disk."
        )


def _write_manifest(backup: Backup) -> None:
    content = {
        "made_by": f"curate {__version__}",
        "made_at": backup.made_at,
        "snapshot": backup.snapshot,
        "postgres": backup.is_postgres,
        "files": {
            name: {"bytes": file.bytes, "sha256": file.sha256} for name, file in sorted(backup.files.items())
        },
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (backup.folder / _MANIFEST).write_text(text, encoding="utf-8")


def _list_owned(folder: Path) -> list[str]:
    """List the files of an earlier backup, which a new one may replace."""
    try:
        return [_MANIFEST, *read_backup(folder).files]
    except CurateError:
        return []
