"""Fair queuing: however large some requests are, each gets its own answer once, and none waits without limit."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate.core.steps import Steps
from curate.data.conversation import render_text, text_answer
from curate.engine.base import build_chat
from curate.reward.scorer import Float64, PromptResponses
from curate.serve.batching import Batcher, count_tokens

WINDOW = 40  # characters, a second of work each


@dataclass
class Windows:
    """Scores a response by its length, one window a step, and keeps a clock of the work that it has done."""

    now: float = 0.0
    log: list[tuple[str, float]] = field(default_factory=list)  # first word of a text, and when it was read
    read: list[str] = field(default_factory=list)  # windows
    go: threading.Event = field(default_factory=threading.Event)

    def score(self, asked: Sequence[PromptResponses]) -> list[Float64]:
        self.go.wait(30)
        texts = [[render_text(answer) for answer in item.responses] for item in asked]
        for words in texts:
            self.log.append((words[0].split()[0], self.now))
            self.now += sum(map(len, words)) / WINDOW
        return [np.array([float(len(text)) for text in words]) for words in texts]

    def in_steps(self, asked: Sequence[PromptResponses]) -> Steps[list[Float64]]:
        self.go.wait(30)
        scores = []
        for item in asked:
            lengths = []
            for text in map(render_text, item.responses):
                windows = [text[start : start + WINDOW] for start in range(0, len(text), WINDOW)]
                for window in windows:
                    self.log.append((text.split()[0], self.now))
                    self.read.append(window)
                    self.now += 1.0
                    yield
                lengths.append(float(sum(map(len, windows))))
            scores.append(np.array(lengths))
        return scores


def ask(*responses: str) -> list[PromptResponses]:
    return [PromptResponses(build_chat(("user", "?")), tuple(map(text_answer, responses)))]


def make_batcher(model: Windows) -> Batcher:
    return Batcher(
        model.score,
        max_batch=4,
        max_wait=0.0,
        max_queue=10_000,
        large=WINDOW // 4,
        in_steps=model.in_steps,
        clock=lambda: model.now,
    )


TEXTS = st.lists(
    st.lists(st.integers(1, 12 * WINDOW), min_size=1, max_size=6),  # lengths of the responses of a request
    min_size=1,
    max_size=30,
)


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.lists(st.booleans(), min_size=30, max_size=30))
@example(
    [[WINDOW + 2], [WINDOW + 3]], [False] * 30
)  # small, and with the one letter of its prompt just large
def test_each_request_has_its_answer_once_and_no_side_starves(
    lengths: list[list[int]], leaving: list[bool]
) -> None:
    model = Windows()
    names = [f"r{number}" for number in range(len(lengths))]
    requests = [
        [f"{name} ".ljust(max(length, 5), "x") for length in of_request]
        for name, of_request in zip(names, lengths, strict=True)
    ]
    small = [count_tokens(ask(*texts)) <= WINDOW // 4 and len(texts) <= 4 for texts in requests]

    async def main() -> list[list[float] | None]:
        batcher = make_batcher(model)
        running = asyncio.create_task(batcher.run())
        tasks = [asyncio.create_task(batcher.submit(ask(*texts))) for texts in requests]
        await asyncio.sleep(0)
        for task, leaves, is_small in zip(tasks, leaving, small, strict=False):
            if leaves and not is_small:
                task.cancel()
        model.go.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        while batcher.responses_waiting:  # what has left leaves the queue with the next turn
            await asyncio.sleep(0)
        running.cancel()
        return [None if isinstance(result, BaseException) else result for result in results]

    results = asyncio.run(main())
    for texts, result, leaves, is_small in zip(requests, results, leaving, small, strict=False):
        assert result == (None if leaves and not is_small else [float(len(text)) for text in texts])
    whole = [
        text[start : start + WINDOW]
        for texts, result, is_small in zip(requests, results, small, strict=True)
        if not is_small and result is not None
        for text in texts
        for start in range(0, len(text), WINDOW)
    ]
    assert sorted(model.read) == sorted(whole)  # each window once, and none of a request that has left
    check_turns(model, dict(zip(names, small, strict=True)))


def check_turns(model: Windows, is_small: dict[str, bool]) -> None:
    """While small requests wait, a step of a large one is followed by its multiple of work on small ones, no more."""
    last_small = max((place for place, (name, _) in enumerate(model.log) if is_small[name]), default=-1)
    steps = [time for name, time in model.log[: last_small + 1] if not is_small[name]]
    for earlier, later in itertools.pairwise(steps):
        assert later - earlier >= 1.0 + 7.0  # small ones had seven eighths of the time,
        assert later - earlier <= 1.0 + 7.0 + 4.0  # and no more than that and one batch


def test_large_requests_share_their_time_and_a_late_one_does_not_wait_for_the_first() -> None:
    model = Windows()

    async def main() -> list[str]:
        batcher, done = make_batcher(model), list[str]()
        running = asyncio.create_task(batcher.run())

        async def submit(name: str, windows: int) -> None:
            await batcher.submit(ask(name.ljust(windows * WINDOW, "x")))
            done.append(name)

        first = asyncio.create_task(submit("huge ", 200))
        await asyncio.sleep(0)
        model.go.set()
        while len(model.read) < 20:
            await asyncio.sleep(0)
        await asyncio.gather(first, submit("long ", 10), submit("longer ", 30))
        running.cancel()
        return done

    assert asyncio.run(main()) == ["long ", "longer ", "huge "]
    turns = [name for name, _ in model.log]
    start = turns.index("long")
    assert abs(turns[start : start + 30].count("huge") - 10) <= 1  # a third each


def test_a_model_that_fails_ends_one_large_request_alone() -> None:
    class Failing(Windows):
        def in_steps(self, asked: Sequence[PromptResponses]) -> Steps[list[Float64]]:
            yield from super().in_steps(asked)
            if "bad" in render_text(asked[0].responses[0]):
                raise RuntimeError("out of memory")
            return [np.array([1.0])]

    model = Failing()
    model.go.set()

    async def main() -> None:
        batcher = make_batcher(model)
        running = asyncio.create_task(batcher.run())
        bad = asyncio.create_task(batcher.submit(ask("bad ".ljust(90, "x"))))
        good = asyncio.create_task(batcher.submit(ask("good ".ljust(90, "x"))))
        with pytest.raises(RuntimeError, match="memory"):
            await bad
        assert await good == [1.0]
        assert await batcher.submit(ask("short")) == [5.0]
        assert batcher.responses_waiting == 0
        running.cancel()

    asyncio.run(main())
