"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The project's configuration file.", envvar="CURATE_CONFIG")
]
SnapshotOption = Annotated[
    int | None,
    typer.Option(
        "--snapshot", help="Read the lake as it was at this snapshot; `curate snapshot list` shows all."
    ),
]
DEFAULT_CONFIG = Path("curate.yaml")
