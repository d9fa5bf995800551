"""Settings of a project, or defaults where there is none, and files that `curate rubric` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.cli.opening import load_config
from curate.core.errors import CurateError

if TYPE_CHECKING:
    from curate.config.project import Config
    from curate.data.rubric import Rubric


def find_config(source: Path) -> Path | None:
    """Return the curate.yaml that `source` is or holds; None: it is data."""
    config = source / "curate.yaml" if source.is_dir() else source
    return config if config.suffix in (".yaml", ".yml") and config.is_file() else None


def load_settings(source: Path) -> Config:
    """Return the settings of the project that `source` is, or the defaults for data alone."""
    from curate.config.project import Config

    config = find_config(source)
    return Config() if config is None else load_config(config)


def write_new_rubric(path: Path, rubric: Rubric, *, comment: str, force: bool) -> None:
    """Write a rubric; a file that is there and that people may have edited is not replaced without `force`."""
    from curate.data.rubric import write_rubric

    if path.exists() and not force:
        raise CurateError(
            f"{path} is there already, and may have been edited: name another file, or use --force."
        )
    write_rubric(path, rubric, comment=comment)


def name_after(path: Path) -> str:
    """Return the name of a rubric that is written to `path`: the file's, in small letters with hyphens."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in path.stem.lower())
    name = "-".join(piece for piece in kept.split("-") if piece)[:80].rstrip("-")
    if not name:
        raise CurateError(f"{path} gives no name for a rubric: call the file by letters or numbers.")
    return name
