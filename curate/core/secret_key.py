"""Keys that a workspace keeps for itself: made when first needed, readable by their owner, in no table."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def read_or_make_key(path: Path) -> bytes:
    """Return the key in the file `path`; it is made if it is not there. Of two processes that make it, one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    if not path.exists():
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_hex(32), encoding="ascii")
        with contextlib.suppress(FileExistsError):  # another process was first: its key counts
            os.link(fresh, path)
        fresh.unlink()
    return path.read_bytes()
