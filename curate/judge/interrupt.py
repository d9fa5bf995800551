"""Ctrl-C while judges work: the first one lets the chunk in flight finish and be committed, the second one does not."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def defer_sigint() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether the user wants to stop. Outside the main thread it never does."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked: list[bool] = []

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nfinishing the chunk in flight; Ctrl-C again to drop it", file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
