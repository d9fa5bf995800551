"""Paths of this machine in texts that leave it: reports, cards and manifests."""

from __future__ import annotations

import re
from pathlib import Path


def hide_paths(text: str, folder: Path) -> str:
    """Make paths inside the project relative to it, and write `~` for the user's own folder.

    Args:
        text: Text that may name files.
        folder: Folder of the project.
    """
    for path, inside, itself in ((folder.resolve(), "", "."), (_find_home(), "~/", "~")):
        if path is not None and len(path.parts) > 2:  # not the root, nor /root or /tmp
            name = rf"(?<![\w.~-]){re.escape(str(path))}"
            text = re.sub(rf"{name}(?![\w./-])", itself, re.sub(rf"{name}/(?=\w)", inside, text))
    return text


def shorten_path(text: str, folder: Path) -> str:
    """Return an absolute path relative to the project, or its last two names; any other text as it is.

    >>> shorten_path("/data/of/mine/rows.jsonl", Path("/home/me/project"))
    '…/mine/rows.jsonl'
    """
    if not text.startswith("/") or "\n" in text:
        return text
    path, _, split = text.partition("#")
    inside = Path(path)
    if inside.is_relative_to(folder):
        short = inside.relative_to(folder).as_posix()
    else:
        short = "/".join(["…", *inside.parts[1:][-2:]])
    return f"{short}#{split}" if split else short


def _find_home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and no such user
        return None
