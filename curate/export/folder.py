"""The folder of an export: its manifest, and which of its files may be replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.core.atomic import atomic_file

MANIFEST = "manifest.json"
NOUN = "an export"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of an export; None where there is none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and "curate_export" in manifest else None


def is_intact(folder: Path, fingerprint: str) -> bool:
    """Tell whether the folder holds the export of that fingerprint, no file of which is missing or cut."""
    manifest = read_manifest(folder)
    if manifest is None or manifest["fingerprint"] != fingerprint:
        return False
    sizes = {folder / file["path"]: file["bytes"] for file in manifest["files"]}
    return all(path.is_file() and path.stat().st_size == size for path, size in sizes.items())


def list_export_files(folder: Path) -> set[str]:
    """List the files of an export, as relative paths; none where the folder holds no export."""
    manifest = read_manifest(folder)
    return {file["path"] for file in manifest["files"]} | {MANIFEST} if manifest else set()


def is_export(folder: Path) -> bool:
    """Tell whether a folder holds an export."""
    return read_manifest(folder) is not None


def mark_forgotten(folder: Path, what: str) -> None:
    """Say in the manifest and on the card of an export that rows it was made of have been forgotten.

    The card is no longer as it was written, so that the next export to the folder writes it anew.
    """
    manifest = read_manifest(folder)
    if manifest is None or what in manifest.get("forgotten", []):
        return
    manifest["forgotten"] = [*manifest.get("forgotten", []), what]
    warning = f"\n> **Rows that this data set was made of have been forgotten ({what}). Make it again.**\n"
    card = folder / "README.md"
    if card.is_file():
        with atomic_file(card) as draft:
            draft.write_text(card.read_text(encoding="utf-8") + warning, encoding="utf-8")
    with atomic_file(folder / MANIFEST) as draft:
        draft.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
