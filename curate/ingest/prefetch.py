"""A generator in a thread of its own, some items ahead of its reader."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_PATIENCE = 0.1  # seconds between looks at whether the reader has left


@contextlib.contextmanager
def prefetch_items(items: Iterable[T], *, ahead: int) -> Iterator[Iterator[T]]:
    """Make items in another thread while the reader works on earlier ones; errors of that thread are raised here.

    Decoding holds the interpreter, but writing to the lake does not, so the two overlap.
    """
    ready: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(maxsize=ahead)
    left = threading.Event()

    def offer_item(item: tuple[T] | BaseException | None) -> bool:
        while not left.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=_PATIENCE)
                return True
        return False

    def produce() -> None:
        try:
            for item in items:
                if not offer_item((item,)):
                    return
            offer_item(None)
        except BaseException as error:
            offer_item(error)

    def consume() -> Iterator[T]:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]

    thread = threading.Thread(target=produce, name="ingest-decode", daemon=True)
    thread.start()
    try:
        yield consume()
    finally:
        left.set()
        thread.join()
