"""How stages say how far they are, without knowing who listens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

Advance = Callable[[int], None]
Track = Callable[[str, int | None], AbstractContextManager[Advance]]
"""`with track("ingest data.jsonl", total) as advance: advance(64)`; `total` is None where nobody knows."""


@contextlib.contextmanager
def silent(label: str, total: int | None) -> Iterator[Advance]:
    """The listener that shows nothing: for tests, pipes and servers."""
    yield lambda _: None


@contextlib.contextmanager
def bars(label: str, total: int | None) -> Iterator[Advance]:
    """A `rich` progress bar on standard error; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=total)
        yield lambda rows: progress.advance(task, rows)
