"""Folders that are replaced as a whole: a reader finds the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """`with replaced(folder) as made:` fill `made`, which then takes the place of `folder`.

    A process that is killed leaves `folder` as it was; what else it left here is cleared by the next one.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left)
    made, old = (folder.parent / f".{folder.name}.{uuid.uuid4().hex}" for _ in range(2))
    made.mkdir()
    yield made
    if folder.exists():
        os.rename(folder, old)  # noqa: PTH104
    os.rename(made, folder)  # noqa: PTH104
    shutil.rmtree(old, ignore_errors=True)
