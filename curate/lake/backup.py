"""Copy a lake as it is at one moment to a folder, and make a lake of such a copy again.

A backup is a folder with `backup.json` (what it is, and the checksum of each file), `catalog.sqlite` or `catalog.dump`,
and `data/`. Writers wait while it is made. The data of the lake may be in a folder or in a bucket, also where it is
restored to the other one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from curate import __version__
from curate.core.atomic import atomic_directory
from curate.core.durable import sync_files
from curate.core.errors import CurateError
from curate.lake.bucket_files import compute_object_checksum, download_object, list_objects, upload_file
from curate.lake.catalog_file import copy_catalog, write_seal
from curate.lake.checksums import Checksum, compute_checksum
from curate.lake.data_folder import CLAIMS, hide_password, is_local
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
        CurateError: There is no lake, it is damaged, or the folder holds other files.
    """
    _refuse_inside(location, folder)
    with Lake.open(location, create=False) as lake, lake.lock():
        if dry_run:
            sizes = {Path(file.path).name: file.bytes for file in lake.files.list_data_files()}
            files = {f"data/{name}": Checksum(name, size, "") for name, size in sizes.items()}
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
    names = [name for name in backup.files if _is_data(name)]
    for name in names:
        _place_file(folder / name, f"{location.data}{name.removeprefix('data')}", backup.files[name])
    if is_local(location.data):
        sync_files(Path(location.data) / name.removeprefix("data/") for name in names)
    _restore_catalog(
        backup, location
    )  # last: without a catalog there is no lake, and restoring can begin again
    with Lake.open(location, create=False) as lake, lake.lock():
        lake.files.write_claim()  # of the place where the catalog is now
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
        backup = Backup(folder, content["snapshot"], content["postgres"], content["made_at"], files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CurateError(
            f"{folder} is no backup that `curate backup` made: its {_MANIFEST} cannot be read ({error})."
        ) from error
    if bad := [name for name in files if ".." in Path(name).parts or Path(name).is_absolute()]:
        raise CurateError(
            f"{folder} is no backup that `curate backup` made: it names {bad[0]}, outside of it."
        )
    return backup


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
        files[f"data/{inside}"] = _copy_file(file.path, new / "data" / inside, known.get(path.name))
    catalog = new / _CATALOGS[lake.location.is_postgres]
    if lake.location.is_postgres:
        _dump_postgres(lake.location.catalog, catalog)
    else:
        copy_catalog(lake.location.catalog, catalog)
    files[catalog.name] = compute_checksum(catalog)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    return Backup(new, lake.snapshot(), lake.location.is_postgres, made_at, files)


def _copy_file(source: str, target: Path, known: Checksum | None) -> Checksum:
    """Copy a file or an object; the copy is read again and compared with what was written once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target) if is_local(source) else download_object(source, target)
    except FileNotFoundError:
        raise CurateError(
            f"No backup was made: {source} is missing; `curate check` says what else is."
        ) from None
    copied = compute_checksum(target)
    expected = known or (
        compute_checksum(Path(source)) if is_local(source) else compute_object_checksum(source)
    )
    if copied != expected:
        raise CurateError(
            f"No backup was made: {source} is not what was written; `curate check` says what else is damaged."
        )
    return copied


def _is_data(name: str) -> bool:
    """Tell whether a file of a backup is one of tables. The claim of the place that it came from stays behind."""
    return name.startswith("data/") and not Path(name).match(CLAIMS)


def _place_file(source: Path, target: str, expected: Checksum) -> None:
    """Copy a file of a backup to a folder or a bucket."""
    if is_local(target):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        _verify_copy(Path(target), expected, "The copy differs")
        return
    upload_file(source, target)
    copied = compute_object_checksum(target)
    if (copied.bytes, copied.sha256) != (expected.bytes, expected.sha256):
        raise CurateError(f"The copy differs: {target} is not what was written.")


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
    if not location.is_postgres and Path(location.catalog).exists():
        raise CurateError(
            f"There is a lake at {location.catalog} already, and nothing was restored: move it away, or name another "
            "`workspace` in curate.yaml."
        )
    theirs = {name.removeprefix("data/") for name in backup.files if name.startswith("data/")}
    others = [path for path in _list_files(location.data) if path not in theirs]
    if others:
        raise CurateError(
            f"The data folder {location.data} holds files already (such as {others[0]}), and nothing was restored: "
            "move it away, or name another folder under `lake.data` in curate.yaml."
        )


def _list_files(data: str) -> list[str]:
    """List all files of a data folder or a bucket, by their paths below it."""
    if not is_local(data):
        return list_objects(data)
    return [path.relative_to(data).as_posix() for path in Path(data).rglob("*") if path.is_file()]


def _restore_catalog(backup: Backup, location: Location) -> None:
    name = _CATALOGS[backup.is_postgres]
    if backup.is_postgres:
        _run_postgres(
            location.catalog, "pg_restore", "--exit-on-error", "--no-owner", str(backup.folder / name)
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
    _run_postgres(url, "pg_dump", "--format=custom", "--no-owner", "--file", str(target))


def _run_postgres(url: str, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL on a database; the password is no argument, since all users see those."""
    if shutil.which(program) is None:
        raise CurateError(
            f"The catalog is in PostgreSQL, and its program {program} is not installed here: install it "
            "(postgresql-client), or dump the database on its server and copy the data folder after that."
        )
    address, password = _take_password(url)
    done = subprocess.run(
        [program, "--dbname", address, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **({"PGPASSWORD": password} if password else {})},
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise CurateError(f"{program} failed: {reason[-1].replace(address, hide_password(url))}")


def _take_password(url: str) -> tuple[str, str]:
    """Return a database's URL without its password, and the password; "" where there is none."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    user, at, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    stated = [value for key, value in query if key == "password"]
    rest = urlencode([(key, value) for key, value in query if key != "password"], quote_via=quote)
    address = parts._replace(netloc=f"{name}{at}{host}", query=rest).geturl()
    return address, unquote(password) or "".join(stated[-1:])


def _refuse_inside(location: Location, folder: Path) -> None:
    if is_local(location.data) and folder.resolve().is_relative_to(Path(location.data).resolve()):
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
