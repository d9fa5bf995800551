"""Open the configuration and the lake of a command.

The imports are inside the functions, so that `curate --help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curate.config.project import Config
    from curate.lake.lake import Lake


def load_config(path: Path) -> Config:
    """Read a project's file; see `curate.config.project.load_config`."""
    from curate.config.project import load_config as load

    return load(path)


def open_lake(
    config: Config, *, read_only: bool = False, snapshot: int | None = None, create: bool = True
) -> Lake:
    """Open a project's lake; see `curate.lake.lake.Lake.open`."""
    from curate.lake.lake import Lake

    if not read_only and snapshot is None:
        config.start_telemetry()
    return Lake.open(config.location, read_only=read_only, snapshot=snapshot, create=create)
