"""Dynamic batching: requests that arrive within a few milliseconds are scored together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from curate.reward.scorer import Float64, PromptResponses

ScorePrompts = Callable[[Sequence[PromptResponses]], list[Float64]]


class OverloadedError(Exception):
    """The queue is full; the client should ask again later."""


@dataclass(slots=True)
class PendingRequest:
    """A request in the queue: its prompts, and the future that receives its scores."""

    prompts: list[PromptResponses]
    scores: asyncio.Future[list[float]]

    @property
    def response_count(self) -> int:
        """Number of responses to score."""
        return sum(len(prompt.responses) for prompt in self.prompts)


@dataclass(slots=True)
class Batcher:
    """Collects requests into batches, and scores them in a thread of its own.

    A batch starts when `max_batch` responses wait, or the oldest has waited `max_wait` seconds. At most `max_queue`
    responses may wait. While one batch is computed the next one gathers, so that under load batches are full without
    any waiting.
    """

    score: ScorePrompts
    max_batch: int
    max_wait: float
    max_queue: int
    batches_scored: int = 0
    responses_scored: int = 0
    responses_waiting: int = 0
    _queue: deque[PendingRequest] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "score"))

    async def submit(self, prompts: list[PromptResponses]) -> list[float]:
        """Return one score a response, in order; NaN where the model cannot read one.

        Raises:
            OverloadedError: The queue is full. An empty queue takes a request of any size.
        """
        request = PendingRequest(prompts, asyncio.get_running_loop().create_future())
        count = request.response_count
        if self.responses_waiting and self.responses_waiting + count > self.max_queue:
            raise OverloadedError
        self._queue.append(request)
        self.responses_waiting += count
        self._arrived.set()
        return await request.scores

    async def run(self) -> None:
        """Score batches until cancelled; requests that still wait then fail with CancelledError."""
        try:
            while True:
                await self._wait_for_batch()
                batch = self._take_batch()
                if batch:
                    await self._score_batch(batch)
        finally:
            for request in self._queue:
                request.scores.cancel()
            self._thread.shutdown(wait=False)

    async def _wait_for_batch(self) -> None:
        """Wait for a first request, then until a batch is full or its time is over."""
        loop = asyncio.get_running_loop()
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        deadline = loop.time() + self.max_wait
        while self.responses_waiting < self.max_batch and (seconds := deadline - loop.time()) > 0:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), seconds)
            except TimeoutError:
                return

    def _take_batch(self) -> list[PendingRequest]:
        """Take the oldest requests with at most `max_batch` responses, at least one request.

        Requests whose client has gone are dropped.
        """
        batch: list[PendingRequest] = []
        size = 0
        while self._queue and (not batch or size + self._queue[0].response_count <= self.max_batch):
            request = self._queue.popleft()
            self.responses_waiting -= request.response_count
            if not request.scores.cancelled():
                batch.append(request)
                size += request.response_count
        return batch

    async def _score_batch(self, batch: list[PendingRequest]) -> None:
        """Score a batch, and hand each request its scores or the model's error."""
        prompts = [prompt for request in batch for prompt in request.prompts]
        try:
            scores = await asyncio.get_running_loop().run_in_executor(self._thread, self.score, prompts)
        except Exception as error:  # the clients of this batch get the model's error, and the server goes on
            for request in batch:
                if not request.scores.done():
                    request.scores.set_exception(error)
            return
        self.batches_scored += 1
        remaining = iter(scores)
        for request in batch:
            request_scores = [float(score) for _ in request.prompts for score in next(remaining)]
            self.responses_scored += len(request_scores)
            if not request.scores.done():
                request.scores.set_result(request_scores)
