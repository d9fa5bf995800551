"""`curate report`: one HTML page about the project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.documents import Stages
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath, SnapshotOption
from curate.cli.tables import print_summaries
from curate.core.progress import progress_bars


def write_page(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; default: `report.path` of curate.yaml."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the file even if it is not a report of curate.")
    ] = False,
    snapshot: SnapshotOption = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Stages:
    """Write one self-contained HTML page about all that is in the lake."""
    from curate.report import write_report_if_stale

    with open_lake(settings := load_config(config), read_only=True, snapshot=snapshot) as lake:
        return print_summaries(
            [write_report_if_stale(lake, settings, path=output, force=force, track=progress_bars)]
        )
