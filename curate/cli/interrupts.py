"""What a command does when the user stops it with Ctrl-C."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import typer


@contextlib.contextmanager
def exit_when_interrupted() -> Iterator[None]:
    """Print what becomes of a run that Ctrl-C stops, and exit with 130; typer would end without a word."""
    try:
        yield
    except KeyboardInterrupt:
        print_interrupted()
        raise typer.Exit(130) from None


def print_interrupted() -> None:
    """Print that nothing is lost, and how to go on."""
    from rich.console import Console

    Console(stderr=True).print("interrupted; what was committed is kept, run the same command to go on")
