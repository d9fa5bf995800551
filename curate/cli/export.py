"""`curate export`: training sets from the labels."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath, SnapshotOption
from curate.cli.tables import print_summaries
from curate.core.progress import progress_bars
from curate.core.terminal import print_line

if TYPE_CHECKING:
    from curate.config.export import ExportEntry


def write_exports(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder to write; without it, every export of curate.yaml is written."),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="trl-preference, ranking, judge-sft, parquet, or your own: ./file.py:Class.",
        ),
    ] = "trl-preference",
    license: Annotated[str | None, typer.Option(help="SPDX licence name for the dataset card.")] = None,
    snapshot: SnapshotOption = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Write training sets, each with a dataset card and a manifest."""
    from curate.config.export import ExportEntry
    from curate.config.validation import validate_options
    from curate.export.stage import read_serious_doubts
    from curate.pipeline.export import export_labels

    settings = load_config(config)
    entries: Sequence[ExportEntry] | None = None
    if folder is not None:
        options = {"path": str(folder.resolve()), "format": format, "license": license}
        entries = [validate_options(ExportEntry, options)]
    with open_lake(settings, snapshot=snapshot) as lake:
        summary = export_labels(lake, settings, entries=entries, track=progress_bars)
        print_summaries([summary])
        if entries or settings.export:
            for sentence in read_serious_doubts(lake):
                print_line(f"warning: {sentence}", file=sys.stderr)
