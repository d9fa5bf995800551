"""Dynamic batching: what many clients ask within a few milliseconds is scored together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from curate.reward.scorer import Float64, PromptResponses

ScorePrompts = Callable[[Sequence[PromptResponses]], list[Float64]]


class OverloadedError(Exception):
    """The queue is full: ask again later."""


@dataclass(slots=True)
class PendingRequest:
    """Of one request: what it asks, and where its scores are waited for."""

    asked: list[PromptResponses]
    done: asyncio.Future[list[float]]

    @property
    def size(self) -> int:
        return sum(len(each.responses) for each in self.asked)


@dataclass(slots=True)
class Batcher:
    """Collects requests until `most` responses wait or the oldest has waited `wait` seconds, and scores them in a
    thread of its own. `limit`: most responses that may wait; beyond, `submit` raises OverloadedError.

    While one batch is computed the next one gathers, so that under load batches are full without any waiting.
    """

    score: ScorePrompts
    most: int
    wait: float
    limit: int
    batches: int = 0
    scored: int = 0
    waiting: int = 0  # responses in the queue
    _queue: deque[PendingRequest] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "score"))

    async def submit(self, asked: list[PromptResponses]) -> list[float]:
        """One score per response, in order; not a number where the model cannot read one."""
        work = PendingRequest(asked, asyncio.get_running_loop().create_future())
        if self.waiting and self.waiting + work.size > self.limit:
            raise OverloadedError
        self._queue.append(work)
        self.waiting += work.size
        self._arrived.set()
        return await work.done

    async def run(self) -> None:
        """Serve until cancelled; what still waits then fails with CancelledError."""
        try:
            while True:
                await self._gather()
                batch = self._take()
                if batch:
                    await self._compute(batch)
        finally:
            for work in self._queue:
                work.done.cancel()
            self._thread.shutdown(wait=False)

    async def _gather(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        until = loop.time() + self.wait
        while self.waiting < self.most and (left := until - loop.time()) > 0:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                return

    def _take(self) -> list[PendingRequest]:
        """The oldest requests, `most` responses of them (at least one request; none whose client has gone)."""
        batch: list[PendingRequest] = []
        size = 0
        while self._queue and (not batch or size + self._queue[0].size <= self.most):
            work = self._queue.popleft()
            self.waiting -= work.size
            if not work.done.cancelled():
                batch.append(work)
                size += work.size
        return batch

    async def _compute(self, batch: list[PendingRequest]) -> None:
        asked = [each for work in batch for each in work.asked]
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self.score, asked)
        except Exception as error:  # whatever a model raises is its clients' to hear, and the server goes on
            for work in batch:
                if not work.done.done():
                    work.done.set_exception(error)
            return
        self.batches += 1
        rest = iter(found)
        for work in batch:
            scores = [float(value) for _ in work.asked for value in next(rest)]
            self.scored += len(scores)
            if not work.done.done():
                work.done.set_result(scores)
