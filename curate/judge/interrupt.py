"""Ctrl-C while judges work: the first one lets the current chunk finish and be committed, the second one drops it."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def defer_sigint() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether the user has pressed Ctrl-C; outside the main thread it returns False."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    presses: list[bool] = []

    def note_press(number: int, frame: FrameType | None) -> None:
        presses.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nfinishing the chunk in flight; Ctrl-C again to drop it", file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, note_press)
    try:
        yield lambda: bool(presses)
    finally:
        signal.signal(signal.SIGINT, before)
