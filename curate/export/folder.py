"""The folder of an export: its manifest, and which of its files may be replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
