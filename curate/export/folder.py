"""The folder of an export: replaced as a whole, and only where nothing but an export stands."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from curate.errors import CurateError
from curate.identity import content_id

MANIFEST = "manifest.json"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an export; None where there is none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and "curate_export" in manifest else None


def is_intact(folder: Path, fingerprint: str) -> bool:
    """Whether the folder holds the export of that fingerprint, no file of which is missing or cut."""
    manifest = read_manifest(folder)
    if manifest is None or manifest["fingerprint"] != fingerprint:
        return False
    sizes = {folder / file["path"]: file["bytes"] for file in manifest["files"]}
    return all(path.is_file() and path.stat().st_size == size for path, size in sizes.items())


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new folder that takes the target's place when the block ends well; otherwise nothing changes.

    A process that is killed leaves a hidden folder beside the target, which the next export removes. One that is
    killed between the two renames leaves no target, never half of one.
    """
    # The lock lies among the machine's temporary files: a lock beside the target would litter the user's folder.
    lock = Path(tempfile.gettempdir()) / f"curate-export-{content_id(str(target))}.lock"
    with FileLock(lock):
        refuse_foreign(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        staging, previous, spill = (_beside(target, what) for what in ("exporting", "previous", "spill"))
        for leftover in (staging, previous, spill):
            shutil.rmtree(leftover, ignore_errors=True)
        staging.mkdir()
        try:
            yield staging
            if target.exists():
                target.rename(previous)
            staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            shutil.rmtree(spill, ignore_errors=True)
            if target.exists():
                shutil.rmtree(previous, ignore_errors=True)


def spill_of(target: Path) -> Path:
    """Where the database may put what its memory cannot hold while `replacing` runs; removed with it."""
    return _beside(target, "spill")


def refuse_foreign(target: Path) -> None:
    """Raise unless the target is free, empty, or an export with nothing added to it."""
    if not target.exists():
        return
    if not target.is_dir():
        raise CurateError(
            f"{target} is a file, and an export is a folder: name another path or remove the file."
        )
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}
    manifest = read_manifest(target)
    ours = {file["path"] for file in manifest["files"]} | {MANIFEST} if manifest else set()
    foreign = sorted(found - ours)
    if foreign:
        raise CurateError(
            f"{target} holds files that are not part of an export ({foreign[0]}), so it is left alone: "
            "name another folder or empty this one."
        )


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f".{target.name}.{what}")
