"""Push exports and trained models to the hub: what a folder is, and what goes up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from curate.config.hub import PushTarget
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.export.folder import MANIFEST, read_manifest
from curate.hub import Publication, PushResult, push_publication
from curate.hub.publication import find_inside
from curate.lake.lake import Lake
from curate.pipeline.model_publication import build_model_publication
from curate.reward.model_folder import is_trained_model


def push_folder(
    config: Config,
    folder: Path,
    target: PushTarget,
    *,
    lake: Lake | None = None,
    private: bool | None = None,
    replace: bool = False,
    dry_run: bool = False,
) -> PushResult:
    """Bring a repository of the hub to the state of a folder.

    Args:
        config: The project's settings.
        folder: An export, or a model that `curate train` wrote.
        target: The repository, and what its card says of a model.
        lake: The lake, from which a model's card has its evaluations; None: the card has none.
        private: Overrides the settings.
        replace: Overwrite what others have put there, or changed.
        dry_run: Plan only.

    Raises:
        CurateError: The folder is neither of both, or the hub refuses.
    """
    choices = (private, target.private, config.hub.private)
    is_private = next(choice for choice in choices if choice is not None)
    publication = build_publication(config, folder, target, lake=lake)
    return push_publication(
        publication, target.repository, private=is_private, replace=replace, dry_run=dry_run
    )


def build_publication(
    config: Config, folder: Path, target: PushTarget, *, lake: Lake | None = None
) -> Publication:
    """Return what a folder publishes."""
    if is_trained_model(folder):
        return build_model_publication(config, folder, target, lake)
    manifest = read_manifest(folder)
    if manifest is None:
        raise CurateError(
            f"{folder} is neither an export of `curate` nor a model that `curate train` wrote, so it is not pushed: "
            "name the folder that `curate export` or `curate train` has written."
        )
    paths = [str(file["path"]) for file in manifest["files"]]
    rows = sum(int(table["rows"]) for table in manifest["tables"].values())
    return Publication(
        kind="dataset",
        files={path: find_inside(folder, path) for path in (*paths, MANIFEST)},
        manifest=manifest,
        message=f"Snapshot {manifest['snapshot']}: {rows:,} rows of {manifest['format']}",
        tag=f"snapshot-{manifest['snapshot']}",
        read_as_data=tuple(_list_data_patterns(folder / "README.md")),
    )


def _list_data_patterns(card: Path) -> list[str]:
    """List the patterns of data files in a card's front matter."""
    front = re.match(r"---\n(.*?)\n---\n", card.read_text(encoding="utf-8"), re.S)
    document: Mapping[str, Any] = yaml.safe_load(front[1]) if front else {}
    patterns: list[str] = []
    for section in document.get("configs", ()):
        for files in section.get("data_files", ()):
            path = files["path"]
            patterns += [path] if isinstance(path, str) else path
    return patterns
