"""`curate ingest`: take in responses and judgments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from curate.cli.documents import IngestRun
from curate.cli.ingest_files import FILES, IngestGroup, count_rows, ingest_files
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.program_output import ProgramTyper
from curate.cli.tables import print_summaries
from curate.core.progress import progress_bars

if TYPE_CHECKING:
    from curate.config.ingest import Source

ingest_app = ProgramTyper(
    cls=IngestGroup,
    help="Take in responses and judgments: all sources of curate.yaml, or with `curate ingest FILE…` files whose shape "
    "is recognised.",
)
ingest_app.command(FILES)(ingest_files)

Sources = Annotated[
    list[str], typer.Argument(help="Files, globs, folders that `datasets` wrote, or hf://owner/name.")
]
FormatName = Annotated[
    str,
    typer.Option(
        "--format", "-f", help="Shape of the rows: native, the name of a preset, or your own shape."
    ),
]
SplitName = Annotated[
    str | None, typer.Option("--split", help="Split to read; its name is stored in the column `split`.")
]


@ingest_app.callback()
def ingest_configured_sources(
    context: typer.Context,
    replace: Annotated[
        str | None,
        typer.Option("--replace", help="Read this source of curate.yaml anew, and forget its old rows."),
    ] = None,
    erase: Annotated[
        bool, typer.Option("--erase", help="With --replace: rewrite the lake's history too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; count the rows, or what --replace would do.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --replace: do not ask.")] = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> IngestRun | None:
    """Take in every source of curate.yaml."""
    if context.invoked_subcommand is None and replace is not None:
        from curate.cli.replace import replace_configured_source

        return replace_configured_source(replace, config, erase=erase, dry_run=dry_run, yes=yes)
    if context.invoked_subcommand is None and dry_run:
        settings = load_config(config)
        counts = [count for source in settings.ingest for count in count_rows(source, settings)]
        return IngestRun(inputs=counts)
    if context.invoked_subcommand is None:
        from curate.ingest import ingest_sources, refuse_wasted_inputs

        with open_lake(settings := load_config(config)) as lake:
            done = print_summaries([ingest_sources(lake, settings, track=progress_bars)])
            refuse_wasted_inputs(lake, settings.ingest, settings)
        return IngestRun(done.stages)
    return None


@ingest_app.command("responses")
def ingest_response_files(
    sources: Sources,
    format: FormatName = "native",
    split: SplitName = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> IngestRun:
    """Take in prompts with their responses."""
    from curate.ingest import ingest_responses, refuse_wasted_inputs

    entries = [_build_source(source, "responses", format, split) for source in sources]
    with open_lake(settings := load_config(config)) as lake:
        done = print_summaries([ingest_responses(lake, entries, settings, track=progress_bars)])
        refuse_wasted_inputs(lake, entries, settings)
    return IngestRun(done.stages)


@ingest_app.command("judgments")
def ingest_judgment_files(
    sources: Sources, format: FormatName = "native", config: ConfigPath = DEFAULT_CONFIG
) -> IngestRun:
    """Take in judgments of responses that are in the lake."""
    from curate.ingest import ingest_judgments, refuse_wasted_inputs

    entries = [_build_source(source, "judgments", format) for source in sources]
    with open_lake(settings := load_config(config)) as lake:
        done = print_summaries([ingest_judgments(lake, entries, settings, track=progress_bars)])
        refuse_wasted_inputs(lake, entries, settings)
    return IngestRun(done.stages)


@ingest_app.command("ratings")
def ingest_rating_files(sources: Sources, config: ConfigPath = DEFAULT_CONFIG) -> IngestRun:
    """Take in ratings of responses that are in the lake."""
    return _ingest_stated_files(sources, "ratings", config)


@ingest_app.command("rankings")
def ingest_ranking_files(sources: Sources, config: ConfigPath = DEFAULT_CONFIG) -> IngestRun:
    """Take in orders of responses that are in the lake."""
    return _ingest_stated_files(sources, "rankings", config)


def _ingest_stated_files(sources: list[str], kind: Literal["ratings", "rankings"], config: Path) -> IngestRun:
    from curate.ingest import ingest_judgments

    entries = [_build_source(source, kind, "native") for source in sources]
    with open_lake(settings := load_config(config)) as lake:
        done = print_summaries([ingest_judgments(lake, entries, settings, track=progress_bars)])
    return IngestRun(done.stages)


def _build_source(
    source: str,
    kind: Literal["responses", "judgments", "ratings", "rankings"],
    format: str,
    split: str | None = None,
) -> Source:
    from curate.config.ingest import Source
    from curate.config.validation import validate_options

    options = {"source": _resolve_source(source), "kind": kind, "format": format}
    return validate_options(Source, options if split is None else {**options, "split": split})


def _resolve_source(source: str) -> str:
    """Return a source's path from the current folder; relative paths of curate.yaml start at its own folder."""
    return source if "://" in source else str(Path.cwd() / source)
