"""The command line `curate`: every command is registered here, and defined in a module of its own."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from typing import Annotated

import typer

from curate import __version__
from curate.cli.agent_context import print_agent_context
from curate.cli.aggregate import combine_judgments
from curate.cli.backup import restore_backup, write_backup
from curate.cli.certify import certify_labels
from curate.cli.check import check_project
from curate.cli.command_order import OrderedCommands
from curate.cli.deploy import deploy_project
from curate.cli.diff import compare_runs
from curate.cli.doctor import examine_machine
from curate.cli.evaluate import evaluate_models
from curate.cli.explain import explain_labels
from curate.cli.export import write_exports
from curate.cli.failures import is_debugging, print_failure
from curate.cli.filter import filter_texts
from curate.cli.forget import forget_app
from curate.cli.ingest import ingest_app
from curate.cli.init import init_project
from curate.cli.interrupts import print_interruption
from curate.cli.judge import ask_judges
from curate.cli.maintenance import clean_lake, compact_files
from curate.cli.program_output import ProgramTyper
from curate.cli.push import push_folders
from curate.cli.rank import show_ranking
from curate.cli.report import write_page
from curate.cli.rubric import rubric_app
from curate.cli.run import run_project
from curate.cli.runs import show_runs
from curate.cli.score import choose_best_of_n, score_rows_of_file
from curate.cli.serve_reward import serve_model
from curate.cli.snapshot import snapshot_app
from curate.cli.sql import query_lake
from curate.cli.status import show_status
from curate.cli.train import train_model
from curate.cli.up import start_stack, stop_stack
from curate.cli.verify import verify_app
from curate.core.log_lines import JsonLogHandler, is_json_log
from curate.core.log_scrubbing import install_log_scrubber
from curate.core.terminal import print_line

app = ProgramTyper(
    cls=OrderedCommands,
    help="Turn raw model responses into preference data with a known error rate, and train a reward model on it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init_project)
app.command("run")(run_project)
app.add_typer(ingest_app, name="ingest", invoke_without_command=True)
app.command("filter")(filter_texts)
app.command("judge")(ask_judges)
app.add_typer(rubric_app, name="rubric")
app.command("aggregate")(combine_judgments)
app.add_typer(verify_app, name="verify")
app.command("certify")(certify_labels)
app.command("export")(write_exports)
app.command("push")(push_folders)
app.command("train")(train_model)
app.command("evaluate")(evaluate_models)
app.command("report")(write_page)
app.command("rank")(show_ranking)
app.command("explain")(explain_labels)
app.command("score")(score_rows_of_file)
app.command("best-of-n")(choose_best_of_n)
app.command("serve-reward")(serve_model)
app.command("status")(show_status)
app.command("runs")(show_runs)
app.command("diff")(compare_runs)
app.command("sql")(query_lake)
app.add_typer(snapshot_app, name="snapshot")
app.command("agent-context")(print_agent_context)
app.command("check")(check_project)
app.command("deploy")(deploy_project)
app.command("up")(start_stack)
app.command("down")(stop_stack)
app.command("doctor")(examine_machine)
app.command("backup")(write_backup)
app.command("restore")(restore_backup)
app.command("compact")(compact_files)
app.command("gc")(clean_lake)
app.add_typer(forget_app, name="forget", invoke_without_command=True)


def main() -> None:
    """Run the command line; print what ends it as one sentence on standard error, without a traceback."""
    # Before torch is imported: threads that spin while they wait make models many times slower on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _write_utf8()
    install_log_scrubber()
    if is_json_log():
        logging.basicConfig(handlers=[JsonLogHandler()])
    arguments = sys.argv[1:]
    debug = is_debugging(arguments)
    try:
        try:
            app(arguments, prog_name="curate")
        finally:
            sys.stdout.flush()  # a full disk is told here, not by the interpreter's end
    except KeyboardInterrupt:
        print_interruption()
        sys.exit(130)
    except BrokenPipeError:  # `curate sql … | head`
        _drop_output()
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError):
            _drop_output()
        sys.exit(print_failure(error, debug=debug))


def _write_utf8() -> None:
    """Write UTF-8 whatever the locale says: a sign that it does not have would end a command, and data stay exact."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _drop_output() -> None:
    """Send what is still to be written to standard output nowhere: it cannot be written, and must not fail again."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_version(wanted: bool) -> None:
    if wanted:
        print_line(f"curate {__version__}")
        raise typer.Exit


@app.callback()
def _add_root_options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show the traceback of an error; so does CURATE_DEBUG=1."),
    ] = False,
) -> None:
    pass  # a docstring here would replace the help text of the application
