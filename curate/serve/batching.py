"""Dynamic batching: requests of a few milliseconds are scored together; a large one holds up no other."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from curate.core.steps import Steps
from curate.engine.base import Failure
from curate.reward.scorer import Float64, PromptResponses

T = TypeVar("T")
ScorePrompts = Callable[[Sequence[PromptResponses]], list[Float64]]
ScoreSteps = Callable[[Sequence[PromptResponses]], Steps[list[Float64]]]
_CHARACTERS = 4  # of a token, about, where tokens are not counted yet


class OverloadedError(Exception):
    """The queue is full; the client should ask again later."""


@dataclass(slots=True)
class PendingRequest:
    """A request in the queue, and the future that receives its scores.

    `steps` is the work on a large request, which is done in parts; `seconds` is what they have taken.
    """

    prompts: Sequence[PromptResponses]
    scores: asyncio.Future[list[float]]
    n_responses: int
    steps: Steps[list[Float64]] | None = None
    seconds: float = 0.0

    def answer(self, scores: Sequence[Float64]) -> None:
        """Hand over the scores, unless the client has gone."""
        if not self.scores.done():
            self.scores.set_result([float(score) for array in scores for score in array])

    def fail(self, error: Exception) -> None:
        """Hand over the model's error, unless the client has gone."""
        if not self.scores.done():
            self.scores.set_exception(error)


@dataclass(slots=True)
class Batcher:
    """Collects requests into batches, and scores them in a thread of its own.

    A batch starts when `max_batch` responses wait, or the oldest has waited `max_wait` seconds. At most `max_queue`
    responses may wait. While one batch is computed the next one gathers, so that under load batches are full without
    any waiting.

    Requests of more than `large` tokens or `max_batch` responses have a queue of their own, and are scored in steps
    (`in_steps`; without it, prompt by prompt). While others wait, all of them together get a `large_share` of the time,
    otherwise all of it; among them, the one is next that has had the least time (weighted fair queuing). So however
    large a request is, others wait for one step of it and no more.
    """

    score: ScorePrompts
    max_batch: int
    max_wait: float
    max_queue: int
    large: int = 4096  # tokens
    large_share: float = 1 / 8
    in_steps: ScoreSteps | None = None
    clock: Callable[[], float] = time.monotonic
    batches_scored: int = 0
    responses_scored: int = 0
    responses_waiting: int = 0
    _queue: deque[PendingRequest] = field(default_factory=deque)
    _large: list[PendingRequest] = field(default_factory=list)
    _debt: float = 0.0  # seconds that the others have before the next step of a large request
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "score"))

    async def submit(self, prompts: Sequence[PromptResponses]) -> list[float]:
        """Return one score a response, in order; NaN where the model cannot read one.

        Raises:
            OverloadedError: The queue is full. An empty queue takes a request of any size.
        """
        if not prompts:
            return []
        count = _count_responses(prompts)
        if self.responses_waiting and self.responses_waiting + count > self.max_queue:
            raise OverloadedError
        request = PendingRequest(prompts, asyncio.get_running_loop().create_future(), count)
        if count > self.max_batch or count_tokens(prompts) > self.large:
            request.steps = (self.in_steps or self._score_by_prompt)(prompts)
            request.seconds = min((other.seconds for other in self._large), default=0.0)
            self._large.append(request)
        else:
            self._queue.append(request)
        self.responses_waiting += count
        self._arrived.set()
        return await request.scores

    async def run(self) -> None:
        """Score batches until cancelled; requests that still wait then fail with CancelledError."""
        try:
            while True:
                await self._wait_for_batch()
                self._drop_abandoned()
                if self._large and (self._debt <= 0 or not self._queue):
                    await self._take_step(min(self._large, key=lambda request: request.seconds))
                elif self._queue:
                    await self._score_batch(self._take_batch())
        finally:
            for request in (*self._queue, *self._large):
                request.scores.cancel()
            self._thread.shutdown(wait=False)

    async def _wait_for_batch(self) -> None:
        """Wait for a first request, then until a batch is full or its time is over."""
        loop = asyncio.get_running_loop()
        while not (self._queue or self._large):
            self._arrived.clear()
            await self._arrived.wait()
        deadline = loop.time() + self.max_wait
        while not self._large and self.responses_waiting < self.max_batch:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), deadline - loop.time())
            except TimeoutError:
                return

    def _drop_abandoned(self) -> None:
        """Drop the requests whose clients have gone, and what was computed of them."""
        for request in [request for request in (*self._queue, *self._large) if request.scores.done()]:
            self._remove(request)

    def _remove(self, request: PendingRequest) -> None:
        if request.steps is None:
            self._queue.remove(request)
        else:
            request.steps.close()
            self._large.remove(request)
        self.responses_waiting -= request.n_responses

    def _take_batch(self) -> list[PendingRequest]:
        """Take the oldest requests with at most `max_batch` responses."""
        batch: list[PendingRequest] = []
        room = self.max_batch
        while self._queue and self._queue[0].n_responses <= room:
            request = self._queue.popleft()
            room -= request.n_responses
            batch.append(request)
        self.responses_waiting -= self.max_batch - room
        return batch

    async def _score_batch(self, batch: Sequence[PendingRequest]) -> None:
        """Score a batch, and hand each request its scores or the model's error."""
        prompts = [prompt for request in batch for prompt in request.prompts]
        start = self.clock()
        try:
            scores = iter(await self._run_in_thread(lambda: self.score(prompts)))
        except Exception as error:  # the clients of this batch get the model's error, and the server goes on
            for request in batch:
                request.fail(error)
            return
        finally:
            self._debt -= self.clock() - start
        self.batches_scored += 1
        for request in batch:
            request.answer([next(scores) for _ in request.prompts])
            self.responses_scored += request.n_responses

    async def _take_step(self, request: PendingRequest) -> None:
        """Do the next step of a large request."""
        assert request.steps is not None
        steps, start = request.steps, self.clock()
        try:
            scores = await self._run_in_thread(lambda: _advance(steps))
        except Exception as error:
            request.fail(error)
            self._remove(request)
            return
        seconds = self.clock() - start
        request.seconds += seconds
        self._debt = seconds * (1 / self.large_share - 1)
        self.batches_scored += 1
        if scores is not None:
            request.answer(scores)
            self.responses_scored += request.n_responses
            self._remove(request)

    async def _run_in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _score_by_prompt(self, prompts: Sequence[PromptResponses]) -> Steps[list[Float64]]:
        """Score prompts that are a batch together at a time."""
        scores: list[Float64] = []
        for part in self._split_prompts(prompts):
            if scores:
                yield
            scores += self.score(part)
        return scores

    def _split_prompts(self, prompts: Sequence[PromptResponses]) -> Iterator[list[PromptResponses]]:
        part: list[PromptResponses] = []
        for prompt in prompts:
            if part and (_count_responses(part) >= self.max_batch or count_tokens(part) >= self.large):
                yield part
                part = []
            part.append(prompt)
        yield part


def count_tokens(prompts: Sequence[PromptResponses]) -> int:
    """Count the tokens of prompts with their responses, by their characters where there are no tokens yet."""
    return sum(map(_count_tokens_of, prompts))


def _count_tokens_of(prompt: PromptResponses) -> int:
    encoded = prompt.encoded
    if isinstance(encoded, Failure):
        return 0
    if encoded is not None:
        return encoded.count_tokens()
    messages = [message for turns in (prompt.context, *prompt.responses) for message in turns]
    return sum(len(part.text or "") for message in messages for part in message.content) // _CHARACTERS


def _count_responses(prompts: Sequence[PromptResponses]) -> int:
    return sum(len(prompt.responses) for prompt in prompts)


def _advance(steps: Steps[T]) -> T | None:
    """Do one step; return the result after the last one."""
    try:
        next(steps)
    except StopIteration as stop:
        result: T = stop.value
        return result
    return None
