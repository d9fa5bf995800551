"""`curate init`: a project folder that runs as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.documents import Written
from curate.core.errors import CurateError
from curate.core.resources import find_resource
from curate.core.terminal import print_line


def init_project(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the new project; it is created if it is missing.")
    ],
) -> Written:
    """Start a project: a commented curate.yaml and a few rows of data to try it on."""
    files = create_project(folder)
    for path in files:
        print_line(f"wrote {path}")
    print_line(
        f"Next: cd {folder} && curate run; or, with data of your own, curate ingest FILE && curate run"
    )
    return Written(str(folder), [str(path) for path in files])


def create_project(folder: Path) -> list[Path]:
    """Write the template files into `folder`; files that exist already are left alone.

    Returns:
        The files that were written, sorted.

    Raises:
        CurateError: The folder holds a curate.yaml already, or cannot be written.
    """
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
