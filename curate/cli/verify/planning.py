"""`curate verify plan`, `loop` and `status`: which questions people get, and how far they are."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.documents import LoopDocument, Stages
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.prefect_flows import is_prefect_wanted, run_flow
from curate.cli.tables import print_summaries
from curate.core.errors import CurateError
from curate.core.human_forms import AskedAs, name_filter_aspect
from curate.core.progress import progress_bars
from curate.core.terminal import print_line

if TYPE_CHECKING:
    from curate.pipeline.verification_loop import LoopRun
    from curate.verify.status import VerifyStatus


def choose_questions(
    budget: Annotated[
        int, typer.Option("--budget", "-n", help="Most questions that may wait for an answer at a time.")
    ],
    form: Annotated[
        AskedAs | None,
        typer.Option("--form", help="Form of the questions; default: `verify.form` (pairwise)."),
    ] = None,
    aspect: Annotated[
        str | None,
        typer.Option("--aspect", help="The one criterion to ask about; default: `verify.aspect`, or none."),
    ] = None,
    of_filter: Annotated[
        str | None,
        typer.Option(
            "--filter",
            help="Ask whether the responses may stay that this filter (`action: route`) has found.",
        ),
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Stages:
    """Choose questions for people, and forecast what their answers would bring."""
    from curate.verify.plan import plan_questions

    if of_filter is not None:
        if form is not None or aspect is not None:
            raise CurateError(
                "`--filter` asks whether responses may stay: leave out `--form` and `--aspect`."
            )
        form, aspect = "pass-fail", name_filter_aspect(of_filter)
    with open_lake(settings := load_config(config)) as lake:
        return print_summaries([plan_questions(lake, settings, budget=budget, form=form, aspect=aspect)])


def run_loop(config: ConfigPath = DEFAULT_CONFIG) -> LoopDocument:
    """Continue the two-stage loop: train, ask people where the model errs, then label the rest without them."""
    from curate.pipeline.verification_loop import run_verification_loop
    from curate.verify.loop_table import print_loop_state

    settings = load_config(config)
    if is_prefect_wanted():
        run: LoopRun = run_flow("verify", "verification", config)
    else:
        with open_lake(settings) as lake:
            run = run_verification_loop(lake, settings, track=progress_bars)
    done = print_summaries(run.summaries)
    print_loop_state(run.state)
    turns = [asdict(turn) for turn in run.state.turns]
    return LoopDocument(done.stages, turns, run.state.waiting, run.state.rules, str(run.state))


def show_verify_status(config: ConfigPath = DEFAULT_CONFIG) -> VerifyStatus:
    """Show how many questions are planned, asked and answered, and the work of each person."""
    from curate.verify.server import TOKEN_VARIABLE
    from curate.verify.status import read_verify_status

    with open_lake(settings := load_config(config)) as lake:
        status = read_verify_status(lake, settings)
    print_line(f"{status.planned} tasks planned, {status.answered} answered, {status.begun} begun")
    for title, (tasks, finished) in (status.asked or {}).items():
        print_line(f"{title}: {tasks} asked, {finished} finished")
    for person in status.people:
        print_line(
            f"{person.annotator_id}: {person.answered} answered, {person.skipped} skipped, "
            f"{person.taken_back} taken back"
            + (f", {person.seconds:.0f} s each" if person.seconds else "")  # a sheet may say no times
        )
    is_server_wanted = settings.verify.model_fields_set & {"url", "project"} or TOKEN_VARIABLE in os.environ
    if status.trouble and is_server_wanted:  # who works with sheets or in the terminal needs no server
        print_line(status.trouble, file=sys.stderr)
    return status
