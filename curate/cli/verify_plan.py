"""More of `curate verify …`: what to ask people, answers without a server, and how far to trust them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.interrupts import exit_when_interrupted
from curate.cli.opening import load_config, open_lake
from curate.cli.prefect_flows import is_prefect_wanted, run_flow
from curate.cli.verify import DEFAULT, ConfigPath, print_summary
from curate.cli.verify import app as app  # grown by the commands below
from curate.core.progress import progress_bars

Person = Annotated[
    str, typer.Option("--annotator", "-a", help="Who answers; only a pseudonym of it enters the lake.")
]


@app.command()
def plan(
    budget: Annotated[int, typer.Option("--budget", "-n", help="Questions that may wait for an answer.")],
    config: ConfigPath = DEFAULT,
) -> None:
    """Choose what to ask people, and say what their answers would buy."""
    from curate.verify.plan import plan_questions as choose

    with open_lake(settings := load_config(config)) as lake:
        print_summary(choose(lake, settings, budget=budget))


@app.command()
def loop(config: ConfigPath = DEFAULT) -> None:
    """Go on with the two-stage loop: train, ask people what the model gets wrong, scale out without them."""
    from curate.cli.tables import print_summaries
    from curate.pipeline.verification_loop import LoopRun, run_verification_loop
    from curate.verify.loop_table import print_loop_state

    settings = load_config(config)
    with exit_when_interrupted():
        if is_prefect_wanted():
            done: LoopRun = run_flow("verify", "verification", config)
        else:
            with open_lake(settings) as lake:
                done = run_verification_loop(lake, settings, track=progress_bars)
    print_summaries(done.summaries)
    print_loop_state(done.standing)


@app.command()
def quality(config: ConfigPath = DEFAULT) -> None:
    """How good people's work is: gold questions, repeats, speed, agreement."""
    from curate.stats.reliability import measure_quality as measure
    from curate.verify.quality_table import print_quality

    settings = load_config(config)
    with open_lake(settings, read_only=True) as lake:
        print_quality(measure(lake, fast=settings.verify.quality.fast))


@app.command()
def groups(
    most: Annotated[int, typer.Option(min=1, help="Most groups to look for.")] = 4,
    config: ConfigPath = DEFAULT,
) -> None:
    """Whether people hold one view or several, who holds which, and where they part."""
    from curate.stats.groups import find_groups as find
    from curate.verify.quality_table import print_groups

    with open_lake(load_config(config), read_only=True) as lake:
        print_groups(find(lake, most=most))


@app.command("export-csv")
def export_csv(
    file: Annotated[Path, typer.Argument(help="CSV file to write.")],
    annotator: Person,
    limit: Annotated[int | None, typer.Option(min=1, help="Most questions.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the file, and the answers that are in it.")
    ] = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Write what one person may answer to a spreadsheet: random order, no model named."""
    from curate.data.pseudonym import Pseudonyms
    from curate.verify.answers import list_questions
    from curate.verify.spreadsheet import write_sheet

    settings = load_config(config)
    person = Pseudonyms.open(settings).of(annotator)
    with open_lake(settings, read_only=True) as lake:
        asked = list_questions(lake, person, overlap=settings.verify.overlap)[:limit]
    write_sheet(file, asked, force=force)
    print(f"{len(asked)} questions written to {file}; fill in `verdict`: first, second, tie or skip")


@app.command("import-csv")
def import_csv(
    file: Annotated[Path, typer.Argument(help="CSV file with verdicts.")],
    annotator: Person,
    config: ConfigPath = DEFAULT,
) -> None:
    """Take in the verdicts of a spreadsheet; again after edits, if you like."""
    from curate.data.pseudonym import Pseudonyms
    from curate.verify.answers import record_answers
    from curate.verify.spreadsheet import read_sheet

    settings = load_config(config)
    person = Pseudonyms.open(settings).of(annotator)
    with open_lake(settings) as lake:
        sheet = read_sheet(lake, file)
        new, same = record_answers(lake, person, sheet.answers, part=file.name)
    for mistake in sheet.mistakes:
        print(mistake, file=sys.stderr)
    print(
        f"{new} answers taken in, {same} known already, {sheet.empty} rows without a verdict, "
        f"{len(sheet.mistakes)} with a mistake"
    )
    if sheet.mistakes:
        raise typer.Exit(1)


@app.command()
def annotate(
    annotator: Person,
    limit: Annotated[int | None, typer.Option(min=1, help="Most questions.")] = None,
    config: ConfigPath = DEFAULT,
) -> None:
    """Answer questions in the terminal, one key each."""
    from curate.data.pseudonym import Pseudonyms
    from curate.verify.terminal import annotate_questions as ask

    settings = load_config(config)
    person = Pseudonyms.open(settings).of(annotator)
    with open_lake(settings) as lake:
        ask(lake, person, overlap=settings.verify.overlap, limit=limit)
