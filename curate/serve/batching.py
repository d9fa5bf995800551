"""Dynamic batching: requests of a few milliseconds are scored together; a large one holds up no other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from curate.engine.base import Failure
from curate.reward.scorer import Float64, PromptResponses

ScorePrompts = Callable[[Sequence[PromptResponses]], list[Float64]]
_CHARACTERS = 4  # of a token, about, where tokens are not counted yet


class OverloadedError(Exception):
    """The queue is full; the client should ask again later."""


@dataclass(slots=True)
class PendingRequest:
    """A request in the queue: its prompts, how many tokens they are, and the future that receives its scores.

    A long request is scored in parts; `scored` holds the scores of the parts that are done.
    """

    prompts: deque[PromptResponses]
    scores: asyncio.Future[list[float]]
    n_tokens: int
    scored: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Batcher:
    """Collects requests into batches, and scores them in a thread of its own.

    A batch starts when `max_batch` responses wait, or the oldest has waited `max_wait` seconds. At most `max_queue`
    responses may wait. While one batch is computed the next one gathers, so that under load batches are full without
    any waiting.

    Requests of more than `large` tokens have a queue of their own. Batches come from both queues by turns, so however
    large a request is, others wait for one part of it and no more.
    """

    score: ScorePrompts
    max_batch: int
    max_wait: float
    max_queue: int
    large: int = 4096  # tokens
    batches_scored: int = 0
    responses_scored: int = 0
    responses_waiting: int = 0
    _queue: deque[PendingRequest] = field(default_factory=deque)
    _large_queue: deque[PendingRequest] = field(default_factory=deque)
    _large_is_next: bool = False
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "score"))

    async def submit(self, prompts: Sequence[PromptResponses]) -> list[float]:
        """Return one score a response, in order; NaN where the model cannot read one.

        Raises:
            OverloadedError: The queue is full. An empty queue takes a request of any size.
        """
        if not prompts:
            return []
        tokens = count_tokens(prompts)
        request = PendingRequest(deque(prompts), asyncio.get_running_loop().create_future(), tokens)
        count = _count_responses(prompts)
        if self.responses_waiting and self.responses_waiting + count > self.max_queue:
            raise OverloadedError
        (self._large_queue if tokens > self.large else self._queue).append(request)
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
            for request in (*self._queue, *self._large_queue):
                request.scores.cancel()
            self._thread.shutdown(wait=False)

    async def _wait_for_batch(self) -> None:
        """Wait for a first request, then until a batch is full or its time is over."""
        loop = asyncio.get_running_loop()
        while not (self._queue or self._large_queue):
            self._arrived.clear()
            await self._arrived.wait()
        deadline = loop.time() + self.max_wait
        while self.responses_waiting < self.max_batch and (seconds := deadline - loop.time()) > 0:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), seconds)
            except TimeoutError:
                return

    def _take_batch(self) -> list[tuple[PendingRequest, list[PromptResponses]]]:
        """Take the oldest requests with at most `max_batch` responses, or the next part of a large one."""
        if self._large_queue and (self._large_is_next or not self._queue):
            self._large_is_next = False
            return self._take_part(self._large_queue)
        self._large_is_next = True
        batch: list[tuple[PendingRequest, list[PromptResponses]]] = []
        room = self.max_batch
        while self._queue and (not batch or _count_responses(self._queue[0].prompts) <= room):
            for request, prompts in self._take_part(self._queue):
                room -= _count_responses(prompts)
                batch.append((request, prompts))
        return batch

    def _take_part(self, queue: deque[PendingRequest]) -> list[tuple[PendingRequest, list[PromptResponses]]]:
        """Take the first prompts of the oldest request; what is left of it waits behind the others of its queue.

        A request that has failed, or whose client has gone, is dropped.
        """
        request = queue.popleft()
        if request.scores.done():
            self.responses_waiting -= _count_responses(request.prompts)
            return []
        part: list[PromptResponses] = []
        count = tokens = 0
        while request.prompts and (not part or (count < self.max_batch and tokens < self.large)):
            part.append(request.prompts.popleft())
            count, tokens = _count_responses(part), count_tokens(part)
        self.responses_waiting -= count
        if request.prompts:
            queue.append(request)
        return [(request, part)]

    async def _score_batch(self, batch: list[tuple[PendingRequest, list[PromptResponses]]]) -> None:
        """Score a batch, and hand each request its scores or the model's error."""
        prompts = [prompt for _, part in batch for prompt in part]
        try:
            scores = await asyncio.get_running_loop().run_in_executor(self._thread, self.score, prompts)
        except Exception as error:  # the clients of this batch get the model's error, and the server goes on
            for request, _ in batch:
                if not request.scores.done():
                    request.scores.set_exception(error)
                    self.responses_waiting -= _count_responses(request.prompts)
                    request.prompts.clear()
            return
        self.batches_scored += 1
        remaining = iter(scores)
        for request, part in batch:
            part_scores = [float(score) for _ in part for score in next(remaining)]
            self.responses_scored += len(part_scores)
            request.scored += part_scores
            if not request.prompts and not request.scores.done():
                request.scores.set_result(request.scored)


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


def _count_responses(prompts: Sequence[PromptResponses] | deque[PromptResponses]) -> int:
    return sum(len(prompt.responses) for prompt in prompts)
