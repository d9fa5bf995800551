"""Threads that read requests: a few for small ones, and one for large ones, which must not hold up the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
LARGE = 64 << 10  # bytes


@dataclass(slots=True)
class Lanes:
    """Runs work of requests in threads, off the event loop; large requests wait for each other alone."""

    _small: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "read"))
    _large: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "read large"))

    async def run(self, n_bytes: int, work: Callable[[], T]) -> T:
        """Run the work of a request of so many bytes, and return what it returns."""
        lane = self._large if n_bytes > LARGE else self._small
        return await asyncio.get_running_loop().run_in_executor(lane, work)

    def close(self) -> None:
        """Take no more work."""
        self._small.shutdown(wait=False)
        self._large.shutdown(wait=False)
