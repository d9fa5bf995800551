"""Paths as `curate.yaml` names them: what would silently be another file than the one meant is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

_VARIABLE = re.compile(r"\$\{\w*\}|(?:(?<=/)|^)\$[A-Za-z_]\w*")


def check_path(text: str) -> str:
    """Return a path with `~` written out.

    Raises:
        ValueError: No file can have this name, or it holds a variable that nothing would replace.
    """
    if not text.strip():
        raise ValueError("a path is empty: name a file or folder (`.` is that of curate.yaml)")
    if not text.isprintable() and any(
        character < " " or "\ud800" <= character <= "\udfff" for character in text
    ):
        raise ValueError("a path holds a character that no file's name has")
    if match := _VARIABLE.search(text):
        raise ValueError(
            f"{match[0]} is a variable, and those are read in `lake.catalog` alone: write the path itself"
        )
    if text.startswith("~"):
        try:
            return str(Path(text).expanduser())
        except RuntimeError as error:
            raise ValueError(
                f"{text.partition('/')[0]} is no folder of a user: write the whole path"
            ) from error
    return text


FilePath = Annotated[str, AfterValidator(check_path)]
"""A file or folder, relative to that of `curate.yaml`."""
