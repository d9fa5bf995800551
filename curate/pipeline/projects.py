"""Open a project for a notebook: a temporary one, or the project of a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from curate.config.ingest import Source
from curate.config.project import Config, load_config
from curate.config.validation import validate_options
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.ingest import ingest_judgments, ingest_responses
from curate.ingest.inputs import locate_inputs
from curate.lake.lake import Lake, Location

FILE = "curate.yaml"


@dataclass(frozen=True, slots=True)
class Project:
    """An open lake that may be written, and the configuration that stages read."""

    lake: Lake
    config: Config


@contextmanager
def open_project(
    workspace: Path | str | None, sections: Mapping[str, Mapping[str, Any]]
) -> Iterator[Project]:
    """Open a project: an existing folder's, or a new one that is deleted at the end.

    Args:
        workspace: A project's folder or its curate.yaml; a folder without one has the defaults. None: a temporary
            folder, while relative paths start where the program runs.
        sections: Options by section of curate.yaml, which win over those of the file.

    Yields:
        The project with its open lake.

    Raises:
        CurateError: The folder is not there, or an option is not as it should be.
    """
    if workspace is not None:
        config = load_project(Path(workspace), sections)
        with Lake.open(config.location) as lake:
            yield Project(lake, config)
        return
    with tempfile.TemporaryDirectory(prefix="curate-") as folder:
        config = _configure({"workspace": folder, **sections}, Path.cwd())
        with Lake.open(config.location) as lake:
            yield Project(lake, config)


def load_project(path: Path, sections: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """Read the configuration of a project's folder (or of its curate.yaml) with `sections` in place of what it says."""
    file = path if path.is_file() else path / FILE
    if not file.parent.is_dir():
        raise CurateError(
            f"There is no folder {path}: make it, or leave `workspace` out for a lake that is not kept."
        )
    document = load_config(file).model_dump(exclude_unset=True) if file.is_file() else {}
    for name, options in (sections or {}).items():
        document[name] = {**document.get(name, {}), **options}
    return _configure(document, file.parent)


def _configure(document: Mapping[str, Any], folder: Path) -> Config:
    config = validate_options(Config, document)
    object.__setattr__(config, "_folder", folder)
    return config


def ingest_rows(
    project: Project, rows: Sequence[Mapping[str, Any]], kind: Literal["responses", "judgments"]
) -> int:
    """Take native rows into the lake, from a file that stays in the workspace as any source does.

    Returns:
        The number of rows that repeat an earlier row or a row of the lake.

    Raises:
        CurateError: Rows were refused, such as votes on responses that are not in the lake.
    """
    config = project.config
    folder = config.resolve(config.workspace) / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    file = folder / f"{kind}-{content_id(lines.decode())[:16]}.jsonl"
    file.write_bytes(lines)
    source = Source(source=str(file), kind=kind, name=kind)
    take = ingest_responses if kind == "responses" else ingest_judgments
    counts = take(project.lake, [source], config).counts
    refused = project.lake.rows(
        "SELECT reason FROM quarantine WHERE source = ? ORDER BY line",
        [locate_inputs(source, config)[0].part],
    )
    if refused:
        noun = "votes" if kind == "judgments" else kind
        raise CurateError(
            f"{len(refused):,} of {len(rows):,} {noun} were not taken in; the first: {refused[0][0]}"
        )
    return counts.rows_duplicate


def find_lake(path: Path) -> Location:
    """Find the lake that a path stands for.

    Args:
        path: A project's folder, its curate.yaml, a workspace (`.curate`), a lake's folder, or its catalog.sqlite.

    Returns:
        Where the lake is.

    Raises:
        CurateError: There is no lake.
    """
    if path.suffix == ".sqlite" and path.is_file():
        return Location.under(path.parent)
    if path.is_file() or (path / FILE).is_file():
        return load_project(path).location
    for folder in (path, path / "lake", path / ".curate" / "lake"):
        location = Location.under(folder)
        if location.exists():
            return location
    raise CurateError(
        f"There is no lake in {path}: give a project's folder (with {FILE}), its workspace, or the lake's folder."
    )
