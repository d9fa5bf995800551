"""The findings of checks of the machine and the project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "note", "warning", "missing"]
"""ok: it is there. note: it is not, and nothing here needs it. warning: it works, badly. missing: runs will fail."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `curate doctor`.

    Attributes:
        name: What was looked at.
        status: How it stands.
        message: What was seen.
        remedy: What to do; "" where nothing is to be done.
    """

    name: str
    status: Status
    message: str
    remedy: str = ""
