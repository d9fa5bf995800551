"""`curate verify …`: people answer what the panel cannot be trusted with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.config import Config, load_config
from curate.lake import Lake
from curate.progress import bars
from curate.runs import Summary

app = typer.Typer(help="Ask people, in Label Studio or without it.", no_args_is_help=True)

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The project's file.", envvar="CURATE_CONFIG")
]
DEFAULT = Path("curate.yaml")


@app.command()
def push(config: ConfigPath = DEFAULT) -> None:
    """Send what people were not asked yet to Label Studio; makes its projects where need be."""
    from curate.verify.push import push as send

    with open_lake(settings := load_config(config)) as lake:
        print_summary(send(lake, settings, track=bars))


@app.command()
def pull(config: ConfigPath = DEFAULT) -> None:
    """Take in what people have answered, changed, skipped or deleted since."""
    from curate.verify.pull import pull as take_in

    with open_lake(settings := load_config(config)) as lake:
        print_summary(take_in(lake, settings, track=bars))


def print_summary(summary: Summary) -> None:
    from curate.summary import print_summaries

    print_summaries([summary])


def open_lake(config: Config, *, read_only: bool = False) -> Lake:
    return Lake.open(config.location, read_only=read_only)
