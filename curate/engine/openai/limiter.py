"""How many requests a server gets at a time: more while it answers, half as many when it says that it is too busy.

Additive increase, multiplicative decrease, as TCP does it (Chiu and Jain 1989): one more for every round of answers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class AimdLimiter:
    """Used as `async with pace:` around each request; `most`: never more than so many at a time.

    Times are of `time.monotonic`. Belongs to one event loop at a time.
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
        self.record_answer()
        self.limit = min(self.limit + 1.0 / self.limit, float(self.most))

    def record_overload(self, began: float) -> None:
        """A request that began at `began` was turned away. Those that were sent together cut the limit once."""
        if began >= self._last_halved:
            self.limit, self._last_halved = max(1.0, self.limit / 2), time.monotonic()

    def pause_for(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._resume = max(self._resume, time.monotonic() + seconds)

    def record_answer(self) -> None:
        """The server does answer."""
        self._last_answer = time.monotonic()

    def seconds_since_answer(self) -> float:
        """Seconds since the server last answered anything of use."""
        return time.monotonic() - self._last_answer

    def _wake_waiting(self) -> None:
        free = int(self.limit - self._active)
        while self._queue and free > 0:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
