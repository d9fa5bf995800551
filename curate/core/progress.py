"""Progress of stages: they report it through a callback, and do not know who shows it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

SECONDS_BETWEEN_LINES = 10.0  # of one task, in a log


class Advance(Protocol):
    """`advance(64)` or `advance(64, "1,200 tokens/s")`: so much more is done, and what there is to say of it."""

    def __call__(self, rows: int, note: str = "", /) -> None: ...


Track = Callable[[str, int | None], AbstractContextManager[Advance]]
"""`with track("ingest data.jsonl", total) as advance: advance(64)`; `total` is None where nobody knows."""


@contextlib.contextmanager
def no_progress(label: str, total: int | None) -> Iterator[Advance]:
    """The listener that shows nothing: for tests, pipes and servers."""
    yield lambda rows, note="": None


@contextlib.contextmanager
def progress_bars(label: str, total: int | None) -> Iterator[Advance]:
    """A `rich` progress bar on standard error; where that is no terminal, lines with the time."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from curate.core.terminal import escape_controls, new_console

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    console = new_console(stderr=True)
    if not console.is_terminal:
        with progress_lines(label, total) as advance_lines:
            yield advance_lines
        return
    with _share_bars(lambda: Progress(*columns, console=console, transient=True)) as progress:
        task = progress.add_task(escape_controls(label), total=total, note="")

        def advance(rows: int, note: str = "", /) -> None:
            progress.update(task, advance=rows, note=escape_controls(note))

        try:
            yield advance
        finally:
            progress.remove_task(task)


_shown: list[Any] = []  # the bars on the screen, once for each thread that uses them
_shown_lock = threading.Lock()


@contextlib.contextmanager
def _share_bars(make_bars: Callable[[], Any]) -> Iterator[Any]:
    """Yield the bars that another thread shows already, or else new ones: two would write over each other."""
    with _shown_lock:
        bars = _shown[0] if _shown else make_bars()
        if not _shown:
            bars.start()
        _shown.append(bars)
    try:
        yield bars
    finally:
        with _shown_lock:
            _shown.pop()
            if not _shown:
                bars.stop()


@contextlib.contextmanager
def progress_lines(label: str, total: int | None) -> Iterator[Advance]:
    """Lines in a log: at the beginning, at most every `SECONDS_BETWEEN_LINES`, and at the end."""
    from curate.core.log_lines import write_log_line

    begun = last = time.monotonic()
    done = 0

    def write(event: str, words: str) -> None:
        seconds = round(time.monotonic() - begun, 1)
        write_log_line(event, f"{label}: {words}", task=label, done=done, total=total, seconds=seconds)

    def advance(rows: int, note: str = "", /) -> None:
        nonlocal last, done
        done += rows
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            write("progress", ", ".join(filter(None, [_format_share(done, total), note])))

    write("begin", "begins" if total is None else f"begins, {total:,} to do")
    yield advance
    seconds = time.monotonic() - begun
    write("end", f"{f'{_format_share(done, total)} ' if done else ''}done in {seconds:,.1f} s")


def _format_share(done: int, total: int | None) -> str:
    return f"{done:,}" if not total else f"{done:,} of {total:,} ({done / total:.0%})"
