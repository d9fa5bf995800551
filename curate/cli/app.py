"""The command line `curate`: every command is registered here, and defined in a module of its own."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from curate import __version__
from curate.cli.aggregate import combine_judgments
from curate.cli.backup import restore_backup, write_backup
from curate.cli.check import check_project
from curate.cli.evaluate import evaluate_models
from curate.cli.explain import explain_labels
from curate.cli.export import write_exports
from curate.cli.failures import explain_failure
from curate.cli.ingest import ingest_app
from curate.cli.init import init_project
from curate.cli.interrupts import print_interruption
from curate.cli.judge import ask_judges
from curate.cli.maintenance import clean_lake, compact_files
from curate.cli.rank import show_ranking
from curate.cli.report import write_page
from curate.cli.run import run_project
from curate.cli.serve_reward import serve_model
from curate.cli.snapshot import snapshot_app
from curate.cli.sql import query_lake
from curate.cli.status import show_status
from curate.cli.train import train_model
from curate.cli.verify import verify_app
from curate.core.errors import CurateError

_DEBUG = "CURATE_DEBUG"  # an environment variable, for child processes too

app = typer.Typer(
    help="Turn raw model responses into preference data with a known error rate, and train a reward model on it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init_project)
app.command("run")(run_project)
app.add_typer(ingest_app, name="ingest", invoke_without_command=True)
app.command("judge")(ask_judges)
app.command("aggregate")(combine_judgments)
app.add_typer(verify_app, name="verify")
app.command("export")(write_exports)
app.command("train")(train_model)
app.command("evaluate")(evaluate_models)
app.command("report")(write_page)
app.command("rank")(show_ranking)
app.command("explain")(explain_labels)
app.command("serve-reward")(serve_model)
app.command("status")(show_status)
app.command("sql")(query_lake)
app.add_typer(snapshot_app, name="snapshot")
app.command("check")(check_project)
app.command("backup")(write_backup)
app.command("restore")(restore_backup)
app.command("compact")(compact_files)
app.command("gc")(clean_lake)


def main() -> None:
    """Run the command line; print a user's mistake, or what the machine refused, as one sentence on standard error."""
    # Before torch is imported: threads that spin while they wait make models many times slower on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app(prog_name="curate")
    except CurateError as error:
        if _DEBUG in os.environ:
            raise
        _print_error(str(error))
    except KeyboardInterrupt:
        print_interruption()
        sys.exit(130)
    except BrokenPipeError:  # `curate sql … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if _DEBUG in os.environ:
            raise
        _print_error(f"{explain_failure(error)}.")


def _print_error(sentence: str) -> None:
    from rich.console import Console

    Console(stderr=True, highlight=False).print(
        f"[bold red]error:[/] {_escape_markup(sentence)}", soft_wrap=True
    )
    sys.exit(1)


def _set_debug(wanted: bool) -> None:
    if wanted:
        os.environ[_DEBUG] = "1"


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"curate {__version__}")
        raise typer.Exit


@app.callback()
def _add_root_options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", callback=_set_debug, help="Show the traceback of an error."),
    ] = False,
) -> None:
    pass  # a docstring here would replace the help text of the application


def _escape_markup(text: str) -> str:
    return text.replace("[", r"\[")  # rich reads brackets as markup
