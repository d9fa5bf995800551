"""`curate verify push`, `pull` and `watch`: questions to Label Studio, and answers from it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from curate.cli.documents import Stages
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.program_output import print_document
from curate.cli.tables import print_summaries
from curate.core.network import is_loopback
from curate.core.progress import progress_bars
from curate.core.terminal import print_line


def push_to_label_studio(config: ConfigPath = DEFAULT_CONFIG) -> Stages:
    """Send planned questions to Label Studio; missing projects are created there."""
    from curate.verify.push import push_tasks

    with open_lake(settings := load_config(config)) as lake:
        return print_summaries([push_tasks(lake, settings, track=progress_bars)])


def pull_from_label_studio(
    everything: Annotated[
        bool, typer.Option("--all", help="Look at every task, not only at those that changed.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Stages:
    """Take in answers that people gave, changed, skipped or deleted since the last pull."""
    from curate.verify.pull import pull_answers

    with open_lake(settings := load_config(config)) as lake:
        return print_summaries([pull_answers(lake, settings, everything=everything, track=progress_bars)])


def watch_label_studio(
    every: Annotated[
        float, typer.Option(min=1, help="Seconds between two pulls while Label Studio does not call.")
    ] = 60,
    host: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 0,
    address: Annotated[
        str | None,
        typer.Option(help="Address at which Label Studio reaches this machine, if it is another one."),
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Stages:
    """Pull as soon as people answer (Label Studio calls back), until interrupted."""
    from curate.verify.watch import watch_answers

    if not is_loopback(host):
        print_line(
            f"warning: other machines reach the receiver at {host}; it does nothing but look for answers when a call "
            "has its secret, but Label Studio's calls are not encrypted: keep it on a private network",
            file=sys.stderr,
        )
    with open_lake(settings := load_config(config)) as lake:
        watch_answers(
            lake,
            settings,
            every=every,
            host=host,
            port=port,
            address=address,
            on_pull=lambda summary: print_document(print_summaries([summary])),
            on_error=lambda error: print_line(str(error), file=sys.stderr),
        )
    return Stages([])
