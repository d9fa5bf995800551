"""`curate export`: training sets from the labels."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli.documents import Exported
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath, SnapshotOption
from curate.cli.push import DryRun, Public, Replace, push_one
from curate.cli.tables import print_summaries
from curate.core.errors import CurateError
from curate.core.progress import progress_bars
from curate.core.terminal import print_line

if TYPE_CHECKING:
    from curate.config.export import ExportEntry
    from curate.config.project import Config


def write_exports(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder to write; without it, every export of curate.yaml is written."),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="trl-preference (default), ranking, parquet, …: see docs/formats.md; or your own: ./file.py:Class.",
        ),
    ] = None,
    consumer: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="Who reads it, rather than a format: trl, openrlhf, llama-factory, ms-swift, verl, …",
        ),
    ] = None,
    splits: Annotated[
        str | None,
        typer.Option(help="Shares of prompts, as train=0.9,test=0.1; near duplicates stay together."),
    ] = None,
    license: Annotated[str | None, typer.Option(help="SPDX licence name for the dataset card.")] = None,
    snapshot: SnapshotOption = None,
    push: Annotated[
        str | None,
        typer.Option("--push", metavar="OWNER/NAME", help="Push the export to this repository of the hub."),
    ] = None,
    public: Public = False,
    replace: Replace = False,
    dry_run: DryRun = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Exported:
    """Write training sets, each with a dataset card and a manifest; with --push, bring them to the hub."""
    from curate.config.export import ExportEntry
    from curate.config.validation import validate_options
    from curate.export.consumers import find_consumer
    from curate.export.stage import read_serious_doubts
    from curate.pipeline.export import export_labels

    settings = load_config(config)
    _check_push(settings, folder, push, needs_push=public or replace or dry_run)
    entries: Sequence[ExportEntry] | None = None
    if folder is None and (format or consumer or splits):
        raise CurateError(
            "Name a folder to write: `--format`, `--for` and `--splits` are about one data set."
        )
    if format and consumer:
        raise CurateError("`--format` and `--for` both name a format: leave one of them out.")
    reader = find_consumer(consumer) if consumer else None
    if folder is not None:
        options: dict[str, Any] = {
            "path": str(folder.resolve()),
            "license": license,
            "splits": _read_splits(splits),
        }
        options |= (
            {"format": reader.choice, **reader.settings} if reader else {"format": format or "trl-preference"}
        )
        entries = [validate_options(ExportEntry, options)]
    with open_lake(settings, snapshot=snapshot) as lake:
        summary = export_labels(lake, settings, entries=entries, track=progress_bars)
        doubts: list[str] = []
        done = print_summaries([summary])
        if reader is not None:
            print_line(reader.use.format(folder=folder))
        if entries or settings.export:
            doubts = list(read_serious_doubts(lake))
            for sentence in doubts:
                print_line(f"warning: {sentence}", file=sys.stderr)
    pushed = None
    if push is not None:
        from curate.config.hub import PushTarget

        (entry,) = entries or settings.export
        target = PushTarget(repository=push)
        pushed = push_one(
            settings, settings.resolve(entry.path), target, public=public, replace=replace, dry_run=dry_run
        )
    return Exported(done.stages, doubts, pushed)


def _read_splits(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and value.strip() for name, _, value in pairs):
        raise CurateError(
            f"`--splits` is {text!r}, but should name shares of prompts, as train=0.9,test=0.1."
        )
    return {name.strip(): value.strip() for name, _, value in pairs}


def _check_push(settings: Config, folder: Path | None, push: str | None, *, needs_push: bool) -> None:
    """Refuse what cannot be pushed before anything is written."""
    from curate.hub.publication import check_repository_name

    if push is None:
        if needs_push:
            raise CurateError(
                "--public, --replace and --dry-run are about --push: say where, as --push OWNER/NAME."
            )
        return
    check_repository_name(push)
    if folder is None and len(settings.export) != 1:
        raise CurateError(
            f"--push takes one export to {push}, and curate.yaml has {len(settings.export)}: name a folder, or list "
            "folders and repositories under `hub.push` and run `curate push`."
        )
