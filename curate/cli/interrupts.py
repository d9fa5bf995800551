"""Stop a command cleanly when the user presses Ctrl-C."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import typer


@contextlib.contextmanager
def exit_when_interrupted() -> Iterator[None]:
    """On Ctrl-C print that the work is kept, and exit with status 130; typer would end silently."""
    try:
        yield
    except KeyboardInterrupt:
        print_interruption()
        raise typer.Exit(130) from None


@contextlib.contextmanager
def raise_interruptions() -> Iterator[None]:
    """Raise what Python raises at Ctrl-C: DuckDB answers it with an error of its own while a query runs."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


def print_interruption() -> None:
    """Print that nothing is lost, and how to go on."""
    from curate.core.terminal import new_console

    new_console(stderr=True).print("interrupted; what was committed is kept, run the same command to go on")
