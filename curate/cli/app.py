"""The command line: parses, calls, prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from curate import __version__
from curate.cli import verify_plan
from curate.cli.evaluate import evaluate
from curate.cli.explain import explain_prompt
from curate.cli.interrupts import exit_when_interrupted, print_interrupted
from curate.cli.opening import load_config, open_lake
from curate.cli.rank import rank
from curate.cli.serve import serve_reward
from curate.core.errors import CurateError
from curate.core.progress import progress_bars

if TYPE_CHECKING:
    from curate.config.export import ExportEntry
    from curate.lake.runs import Summary

app = typer.Typer(
    help="Turn raw model responses into preference data with a known error rate, and train a reward model on it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
ingest_app = typer.Typer(help="Take in responses and judgments (all sources of curate.yaml, or those named).")
snapshot_app = typer.Typer(help="The lake's history.", no_args_is_help=True)
app.add_typer(ingest_app, name="ingest", invoke_without_command=True)
app.add_typer(snapshot_app, name="snapshot")
app.command()(rank)
app.command()(evaluate)
app.command("explain")(explain_prompt)
app.command("serve-reward")(serve_reward)
app.add_typer(verify_plan.app, name="verify")

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The project's file.", envvar="CURATE_CONFIG")
]
Snapshot = Annotated[int | None, typer.Option(help="Read the lake as it was at this snapshot.")]
DEFAULT = Path("curate.yaml")


def main() -> None:
    """Run the command line; a user's mistake is one sentence on standard error, never a traceback."""
    # Before torch is imported: threads that spin while they wait make models many times slower on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app(prog_name="curate")
    except CurateError as error:
        from rich.console import Console

        Console(stderr=True, highlight=False).print(
            f"[bold red]error:[/] {_escape(str(error))}", soft_wrap=True
        )
        sys.exit(1)
    except KeyboardInterrupt:
        print_interrupted()
        sys.exit(130)
    except BrokenPipeError:  # `curate sql … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"curate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass  # its docstring would replace the help text of the application


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Where to start a project; made if need be.")]) -> None:
    """Start a project: a commented curate.yaml and a few rows of data to try it on."""
    from curate.cli.init_project import create_project

    for path in create_project(folder):
        print(f"wrote {path}")
    print(f"Next: cd {folder} && curate run")


@app.command()
def run(config: ConfigPath = DEFAULT) -> None:
    """Do every stage of curate.yaml in order; what is already done is skipped."""
    from curate.cli.prefect_flows import is_prefect_wanted, run_flow
    from curate.cli.tables import print_scores
    from curate.pipeline.curation import run_curation

    settings = load_config(config)  # a mistake in the file is told before anything heavy starts
    through_prefect = is_prefect_wanted()
    with exit_when_interrupted():
        if through_prefect:
            _print(run_flow("curation", "curation", config))
        with open_lake(settings, read_only=through_prefect) as lake:
            if not through_prefect:
                _print(run_curation(lake, settings, track=progress_bars))
            print_scores(lake)


@ingest_app.callback()
def ingest(context: typer.Context, config: ConfigPath = DEFAULT) -> None:
    """Take in every source of curate.yaml."""
    if context.invoked_subcommand is None:
        from curate.ingest import ingest_sources as ingest_all

        with open_lake(settings := load_config(config)) as lake:
            _print([ingest_all(lake, settings, track=progress_bars)])


Sources = Annotated[list[str], typer.Argument(help="Files, globs, `datasets` folders or hf://owner/name.")]
FormatName = Annotated[str, typer.Option("--format", "-f", help="native, or a preset for a foreign shape.")]
Split = Annotated[str | None, typer.Option(help="Split to read, and name in the `split` column.")]


@ingest_app.command("responses")
def ingest_responses(
    sources: Sources, format: FormatName = "native", split: Split = None, config: ConfigPath = DEFAULT
) -> None:
    """Take in prompts with their responses."""
    from curate.config.ingest import Source
    from curate.config.validation import validate_options
    from curate.ingest import ingest_responses as take_in

    wanted = [
        validate_options(
            Source, {"source": _here(each), "kind": "responses", "format": format, "split": split}
        )
        for each in sources
    ]
    with open_lake(settings := load_config(config)) as lake:
        _print([take_in(lake, wanted, settings, track=progress_bars)])


@ingest_app.command("judgments")
def ingest_judgments(sources: Sources, format: FormatName = "native", config: ConfigPath = DEFAULT) -> None:
    """Take in judgments about responses that are in the lake."""
    from curate.config.ingest import Source
    from curate.config.validation import validate_options
    from curate.ingest import ingest_judgments as take_in

    wanted = [
        validate_options(Source, {"source": _here(each), "kind": "judgments", "format": format})
        for each in sources
    ]
    with open_lake(settings := load_config(config)) as lake:
        _print([take_in(lake, wanted, settings, track=progress_bars)])


@app.command()
def judge(
    only: Annotated[list[str] | None, typer.Option("--judge", "-j", help="Only these judges.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print calls, tokens and cost by judge; send nothing.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many prompts.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop before this run costs more.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=0, help="Stop before it takes more tokens.")] = None,
    config: ConfigPath = DEFAULT,
) -> None:
    """Ask the panel what it has not been asked yet."""
    from curate.cli.tables import print_estimates
    from curate.judge import estimate_cost
    from curate.judge import judge as ask

    settings = load_config(config)
    limits = {"max_cost": max_cost, "max_tokens": max_tokens}
    given = {name: value for name, value in limits.items() if value is not None}
    settings = settings.model_copy(update={"judge": settings.judge.model_copy(update=given)})
    with open_lake(settings, read_only=dry_run) as lake:
        if dry_run:
            print_estimates(estimate_cost(lake, settings, only=only, limit=limit))
        else:
            with exit_when_interrupted():
                _print([ask(lake, settings, only=only, limit=limit, track=progress_bars)])


@app.command()
def aggregate(config: ConfigPath = DEFAULT) -> None:
    """Turn judgments into preferences, rankings and a profile of each annotator."""
    from curate.aggregate import aggregate_judgments as combine

    with open_lake(settings := load_config(config)) as lake:
        _print([combine(lake, settings, track=progress_bars)])


@app.command()
def export(
    folder: Annotated[
        Path | None, typer.Argument(help="Where to write; default: every export of curate.yaml.")
    ] = None,
    format: Annotated[
        str, typer.Option("--format", "-f", help="trl-preference, ranking, judge-sft or parquet.")
    ] = "trl-preference",
    license: Annotated[str | None, typer.Option(help="SPDX licence name for the dataset card.")] = None,
    snapshot: Snapshot = None,
    config: ConfigPath = DEFAULT,
) -> None:
    """Write training sets with a dataset card and a manifest."""
    from curate.config.export import ExportEntry
    from curate.config.validation import validate_options
    from curate.pipeline.export import export as write

    settings = load_config(config)
    entries: Sequence[ExportEntry] | None = None
    if folder is not None:
        entries = [
            validate_options(
                ExportEntry, {"path": str(folder.resolve()), "format": format, "license": license}
            )
        ]
    with open_lake(settings, snapshot=snapshot) as lake:
        _print([write(lake, settings, entries=entries, track=progress_bars)])


@app.command()
def train(
    data: Annotated[Path | None, typer.Argument(help="An export, or any TRL preference data set.")] = None,
    config: ConfigPath = DEFAULT,
) -> None:
    """Train the reward model (by default on what the panel says now)."""
    from curate.pipeline.train import train_on_panel
    from curate.train import train_reward_model

    with open_lake(settings := load_config(config)) as lake:
        _print(
            [
                train_reward_model(lake, settings, data, track=progress_bars)
                if data
                else train_on_panel(lake, settings, track=progress_bars)
            ]
        )


@app.command()
def report(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: report.path of curate.yaml.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is no report.")] = False,
    snapshot: Snapshot = None,
    config: ConfigPath = DEFAULT,
) -> None:
    """Write one self-contained HTML page about everything."""
    from curate.report import report as write

    with open_lake(settings := load_config(config), read_only=True, snapshot=snapshot) as lake:
        _print([write(lake, settings, path=output, force=force, track=progress_bars)])


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="SQL over the lake's tables; - reads it from standard input.")],
    format: Annotated[Literal["table", "json", "csv", "parquet"], typer.Option("--format", "-f")] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Allow statements that change the lake.")] = False,
    snapshot: Snapshot = None,
    config: ConfigPath = DEFAULT,
) -> None:
    """Run SQL over the lake (read-only unless --write)."""
    from curate.lake.query import run_query

    text = sys.stdin.read() if query == "-" else query
    with open_lake(load_config(config), read_only=not write, snapshot=snapshot) as lake:
        run_query(lake, text, as_format=format, output=output, force=force)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """What is in the lake, whether every count adds up, and what ran last."""
    from curate.cli.tables import print_status
    from curate.lake.status import read_status as look

    with open_lake(load_config(config), read_only=True) as lake:
        print_status(look(lake), as_json=as_json)


@snapshot_app.command("list")
def snapshot_list(config: ConfigPath = DEFAULT) -> None:
    """Every snapshot, with its time and the stage that made it."""
    from curate.core.resources import read_query as query
    from curate.lake.query import run_query

    with open_lake(load_config(config), read_only=True) as lake:
        run_query(lake, query("snapshots"), as_format="table")


@app.command()
def compact(config: ConfigPath = DEFAULT) -> None:
    """Merge the lake's small files."""
    from curate.lake.maintenance import compact_lake as merge

    with open_lake(load_config(config), create=False) as lake:
        before, after = merge(lake)
        print(
            f"{before} data files became {after}; `curate gc` removes the old ones once their snapshots are forgotten"
        )


@app.command()
def gc(
    keep_days: Annotated[float, typer.Option(min=0, help="Keep snapshots of this many days.")] = 30,
    orphans: Annotated[
        bool,
        typer.Option(
            "--orphans",
            help="Delete also files of killed runs, which the catalog does not list; see docs/lake.md.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only; delete nothing.")] = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Forget old snapshots and delete the files that only they used; what exports were made from is kept."""
    from curate.lake.maintenance import collect_garbage

    with open_lake(load_config(config), create=False) as lake:
        removed = collect_garbage(lake, keep=timedelta(days=keep_days), orphans=orphans, dry_run=dry_run)
    verbs = ("would forget", "would delete") if dry_run else ("forgot", "deleted")
    print(f"{verbs[0]} {removed.snapshots} snapshots, {verbs[1]} {removed.files} files")
    if removed.orphans:
        hint = "" if orphans else "; if killed runs left them, `curate gc --orphans` deletes them"
        print(
            f"{len(removed.orphans)} files in the data folder are not in the catalog and were left alone "
            f"(such as {removed.orphans[0]}){hint}"
        )


def _print(summaries: list[Summary]) -> None:
    from curate.cli.tables import print_summaries

    print_summaries(summaries)


def _here(source: str) -> str:
    """Paths on the command line start where the user is, not where curate.yaml is."""
    return source if "://" in source else str(Path.cwd() / source)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")  # rich reads brackets as markup
