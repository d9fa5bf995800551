"""`curate status`: the contents of the lake at a glance, once or as a page that follows it."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.documents import StatusDocument
from curate.cli.interrupts import raise_interruptions
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.program_output import print_document
from curate.cli.tables import print_status
from curate.core.terminal import new_console

if TYPE_CHECKING:
    from curate.config.project import Config


def show_status(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay, and show it anew as runs commit; Ctrl-C ends it.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="With --watch: seconds between two looks.")] = 2.0,
    config: ConfigPath = DEFAULT_CONFIG,
) -> StatusDocument | None:
    """Show what is in the lake, check that every count adds up, and list the last runs."""
    from curate.lake.status import read_status

    settings = load_config(config)
    if watch:
        _watch_status(settings, every)
        return None
    with open_lake(settings, read_only=True) as lake:
        return print_status(read_status(lake))


def _watch_status(settings: Config, every: float) -> None:
    """Print the status whenever the lake has a new snapshot; with `--json` each as one line."""
    from curate.lake.status import read_status

    seen = -1
    try:
        while True:
            with raise_interruptions(), open_lake(settings, read_only=True) as lake:
                if (snapshot := lake.snapshot()) != seen:
                    seen = snapshot
                    status = read_status(lake)
                    if sys.stdout.isatty():
                        new_console().clear()
                    print_document(print_status(status))
                    new_console().print(f"{datetime.now().astimezone():%H:%M:%S}; Ctrl-C ends this")
            time.sleep(every)
    except KeyboardInterrupt:
        return
