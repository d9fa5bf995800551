"""A limit of requests at a time: it grows while the server answers, and halves when the server is too busy.

Additive increase, multiplicative decrease (AIMD), as in TCP (Chiu and Jain 1989): one more for every round of answers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class AimdLimiter:
    """A limit to hold around each request, as `async with limiter:`, in one event loop at a time.

    Times are of `time.monotonic`.

    Args:
        most: Most requests at a time.
    """

    most: int
    limit: float = field(init=False)
    _active: int = field(init=False, default=0)
    _queue: deque[asyncio.Future[None]] = field(init=False, default_factory=deque)
    _last_halved: float = field(init=False, default=0.0)  # when the limit was last halved
    _resume: float = field(init=False, default=0.0)
    _last_answer: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.limit = float(self.most)

    async def __aenter__(self) -> None:
        while (pause := self._resume - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        while self._active >= self.limit:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            await turn
        self._active += 1

    async def __aexit__(self, *error: object) -> None:
        self._active -= 1
        self._wake_waiting()

    def record_success(self) -> None:
        """Note that a request was answered, and raise the limit a little."""
        self.record_answer()
        self.limit = min(self.limit + 1.0 / self.limit, float(self.most))

    def record_overload(self, began: float) -> None:
        """Note that the server was too busy for a request that began at `began`.

        Requests that were sent together halve the limit once.
        """
        if began >= self._last_halved:
            self.limit, self._last_halved = max(1.0, self.limit / 2), time.monotonic()

    def pause_for(self, seconds: float) -> None:
        """Send nothing for so many seconds."""
        self._resume = max(self._resume, time.monotonic() + seconds)

    def record_answer(self) -> None:
        """Note that the server does answer."""
        self._last_answer = time.monotonic()

    def seconds_since_answer(self) -> float:
        """Return the seconds since the server last answered anything of use."""
        return time.monotonic() - self._last_answer

    def _wake_waiting(self) -> None:
        free = int(self.limit - self._active)
        while self._queue and free > 0:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
