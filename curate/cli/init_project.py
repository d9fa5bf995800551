"""`curate init`: a project folder that runs as it is."""

from __future__ import annotations

from pathlib import Path

from curate.core.errors import CurateError
from curate.core.resources import find_resource


def create_project(folder: Path) -> list[Path]:
    """Write the template files into `folder`; a project that is already there is left alone."""
    if (folder / "curate.yaml").exists():
        raise CurateError(
            f"{folder / 'curate.yaml'} exists already: choose another folder, or edit that file."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for file in find_resource("cli/project_template").iterdir():
            path = folder / file.name
            if not path.exists():
                path.write_bytes(file.read_bytes())
                written.append(path)
    except OSError as error:
        raise CurateError(f"Cannot write the project into {folder}: {error.strerror}.") from error
    return sorted(written)
