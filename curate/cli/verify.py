"""`curate verify …`: people answer what the panel cannot be trusted with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.opening import load_config, open_lake
from curate.core.progress import progress_bars

if TYPE_CHECKING:
    from curate.lake.runs import Summary

app = typer.Typer(help="Ask people, in Label Studio or without it.", no_args_is_help=True)

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The project's file.", envvar="CURATE_CONFIG")
]
DEFAULT = Path("curate.yaml")


@app.command()
def push(config: ConfigPath = DEFAULT) -> None:
    """Send what people were not asked yet to Label Studio; makes its projects where need be."""
    from curate.verify.push import push_tasks as send

    with open_lake(settings := load_config(config)) as lake:
        print_summary(send(lake, settings, track=progress_bars))


@app.command()
def pull(
    everything: Annotated[
        bool, typer.Option("--all", help="Look at every task, not only at those that changed.")
    ] = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Take in what people have answered, changed, skipped or deleted since."""
    from curate.verify.pull import pull_answers as take_in

    with open_lake(settings := load_config(config)) as lake:
        print_summary(take_in(lake, settings, everything=everything, track=progress_bars))


@app.command()
def watch(
    every: Annotated[float, typer.Option(min=1, help="Seconds between pulls when nobody calls.")] = 60,
    host: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: any free one.")] = 0,
    address: Annotated[str | None, typer.Option(help="Where Label Studio reaches us, if not there.")] = None,
    config: ConfigPath = DEFAULT,
) -> None:
    """Pull as soon as people answer (Label Studio calls back), until interrupted."""
    from curate.verify.watch import watch_answers as follow

    with open_lake(settings := load_config(config)) as lake:
        follow(
            lake,
            settings,
            every=every,
            host=host,
            port=port,
            address=address,
            on_pull=print_summary,
            on_error=lambda error: print(error, file=sys.stderr),
        )


@app.command()
def status(config: ConfigPath = DEFAULT) -> None:
    """How many tasks are planned, asked and answered, and what each person did."""
    from curate.verify.status import read_verify_status

    with open_lake(settings := load_config(config)) as lake:
        found = read_verify_status(lake, settings)
    print(f"{found.planned} tasks planned, {found.answered} answered, {found.begun} begun")
    for title, (tasks, finished) in (found.asked or {}).items():
        print(f"{title}: {tasks} asked, {finished} finished")
    for person in found.people:
        print(
            f"{person.annotator_id}: {person.answered} answered, {person.skipped} skipped, "
            f"{person.taken_back} taken back, {person.seconds:.0f} s each"
        )
    if found.trouble:
        print(found.trouble, file=sys.stderr)


def print_summary(summary: Summary) -> None:
    from curate.cli.tables import print_summaries

    print_summaries([summary])
