"""The queue: what waits together is scored together, in order, and never without limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from curate.data.conversation import render_text, text_answer
from curate.engine.base import build_chat
from curate.reward.scorer import Float64, PromptResponses
from curate.serve.batching import Batcher, OverloadedError


class Model:
    """Scores a response by its length; remembers its batches, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go, self.entered = threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, asked: Sequence[PromptResponses]) -> list[Float64]:
        self.entered.set()
        self.go.wait(timeout=60)
        self.batches.append(sum(len(each.responses) for each in asked))
        if any(text_answer("bad") in each.responses for each in asked):
            raise RuntimeError("out of memory")
        return [np.array([float(len(render_text(answer))) for answer in each.responses]) for each in asked]


def ask(*responses: str) -> list[PromptResponses]:
    return [PromptResponses(build_chat(("user", "?")), tuple(map(text_answer, responses)))]


async def running(batcher: Batcher) -> asyncio.Task[None]:
    task = asyncio.create_task(batcher.run())
    await asyncio.sleep(0)
    return task


def test_requests_that_come_together_are_one_batch() -> None:
    model = Model()

    async def main() -> list[list[float]]:
        batcher = Batcher(model, max_batch=100, max_wait=0.2, max_queue=1000)
        task = await running(batcher)
        found = await asyncio.gather(*(batcher.submit(ask("x" * n, "y")) for n in range(20)))
        task.cancel()
        return found

    assert asyncio.run(main()) == [[float(n), 1.0] for n in range(20)]
    assert model.batches == [40]


def test_a_full_batch_does_not_wait_and_none_is_larger() -> None:
    model = Model()

    async def main() -> None:
        batcher = Batcher(model, max_batch=4, max_wait=60.0, max_queue=1000)
        task = await running(batcher)
        await asyncio.gather(*(batcher.submit(ask("a", "b")) for _ in range(6)))
        assert (batcher.responses_waiting, batcher.responses_scored, batcher.batches_scored) == (0, 12, 3)
        task.cancel()

    asyncio.run(main())
    assert model.batches == [4, 4, 4]


def test_a_request_larger_than_a_batch_is_served_alone() -> None:
    async def main() -> list[float]:
        batcher = Batcher(Model(), max_batch=2, max_wait=0.0, max_queue=3)
        task = await running(batcher)
        found = await batcher.submit(ask(*"abcde"))
        task.cancel()
        return found

    assert asyncio.run(main()) == [1.0] * 5


def test_a_full_queue_refuses_and_recovers() -> None:
    model = Model()
    model.go.clear()

    async def main() -> None:
        batcher = Batcher(model, max_batch=2, max_wait=0.0, max_queue=4)
        task = await running(batcher)
        first = asyncio.create_task(batcher.submit(ask("a", "b")))
        while not model.entered.is_set():  # until it is being computed, and waits no longer
            await asyncio.sleep(0.001)
        waiting = [asyncio.create_task(batcher.submit(ask("a", "b"))) for _ in range(2)]
        await asyncio.sleep(0.01)
        with pytest.raises(OverloadedError):
            await batcher.submit(ask("c"))
        model.go.set()
        assert await asyncio.gather(first, *waiting) == [[1.0, 1.0]] * 3
        assert await batcher.submit(ask("cc")) == [2.0]
        task.cancel()

    asyncio.run(main())


def test_a_batch_that_fails_harms_no_other() -> None:
    async def main() -> None:
        batcher = Batcher(Model(), max_batch=1, max_wait=0.0, max_queue=100)
        task = await running(batcher)
        found = await asyncio.gather(
            batcher.submit(ask("a")),
            batcher.submit(ask("bad")),
            batcher.submit(ask("ccc")),
            return_exceptions=True,
        )
        assert found[0] == [1.0]
        assert isinstance(found[1], RuntimeError)
        assert found[2] == [3.0]
        task.cancel()

    asyncio.run(main())


def test_who_still_waits_when_the_server_stops_is_told() -> None:
    async def main() -> None:
        batcher = Batcher(Model(), max_batch=10, max_wait=60.0, max_queue=100)
        task = await running(batcher)
        waiting = asyncio.create_task(batcher.submit(ask("a")))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())


def test_a_large_request_is_scored_in_parts_between_which_others_have_their_turn() -> None:
    model = Model()
    model.go.clear()
    done: list[str] = []

    async def main() -> None:
        batcher = Batcher(model, max_batch=2, max_wait=0.0, max_queue=1000, large=10)
        task = await running(batcher)

        async def submit(name: str, prompts: list[PromptResponses]) -> list[float]:
            scores = await batcher.submit(prompts)
            done.append(name)
            return scores

        first = asyncio.create_task(submit("first", ask("a")))
        while not model.entered.is_set():
            await asyncio.sleep(0.001)
        everything = [asyncio.create_task(submit("huge", [ask("x" * 100)[0] for _ in range(6)]))]
        await asyncio.sleep(0)
        everything += [asyncio.create_task(submit(f"small {n}", ask("b", "c"))) for n in range(4)]
        await asyncio.sleep(0)
        model.go.set()
        assert await asyncio.gather(first, *everything) == [[1.0], [100.0] * 6, *[[1.0, 1.0]] * 4]
        assert batcher.responses_waiting == 0
        task.cancel()

    asyncio.run(main())
    assert done.index("huge") > done.index("small 3")
    assert model.batches[0] == 1
    assert sorted(model.batches[1:]) == [1] * 6 + [2] * 4  # each part of the large one stands alone


def test_what_has_left_costs_nothing() -> None:
    model = Model()
    model.go.clear()

    async def main() -> None:
        batcher = Batcher(model, max_batch=2, max_wait=0.0, max_queue=1000)
        task = await running(batcher)
        first = asyncio.create_task(batcher.submit(ask("a")))
        while not model.entered.is_set():
            await asyncio.sleep(0.001)
        gone = asyncio.create_task(batcher.submit(ask("b")))
        await asyncio.sleep(0)
        gone.cancel()
        model.go.set()
        assert await first == [1.0]
        assert await batcher.submit(ask("cc")) == [2.0]
        assert batcher.responses_waiting == 0
        task.cancel()

    asyncio.run(main())
    assert model.batches == [1, 1]
