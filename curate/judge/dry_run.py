"""What judges would ask and what that would cost, without asking: their own code runs, on engines that only count.

Every step of a judge is counted (criteria, reasoning, verdict), since it is the judge itself that asks; the engine in
its place takes down the requests and answers with something that says nothing. Tokens read are counted by the model's
tokenizer where the engine has one at hand without loading weights; else at four characters a token. Tokens written
are what the judge allows at most, so a cost is rather too high than too low.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.core.errors import CurateError
from curate.engine.base import (
    Capability,
    Chat,
    Choice,
    Choose,
    Completion,
    Continuation,
    Engine,
    Failure,
    Generate,
    Generation,
    LogLikelihood,
    Score,
)
from curate.engine.registry import ConfiguredEngine, Engines
from curate.judge.base import Question
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.known_judgments import add_other_judgments
from curate.judge.pending import WorkChunk, find_pending_questions, read_items
from curate.lake.lake import Lake
from curate.records import plain_text

_CHARACTERS = 4  # per token, where there is no tokenizer: usual for English text
_SAMPLE = 256  # questions that are rehearsed per judge; what they take stands for the others


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """What some questions of a judge take: requests to engines, tokens, and the cost (None: no price is known).

    `counted`: tokens read are counted, not estimated from characters. `at_most`: there may be fewer questions, since
    which are asked depends on answers.
    """

    judge: str
    questions: int
    calls: int
    tokens_in: int
    tokens_out: int
    cost: float | None
    counted: bool = True
    at_most: bool = False


def estimate_judges(lake: Lake, panel: Panel, work: Mapping[str, Sequence[WorkChunk]]) -> list[CostEstimate]:
    """For each judge what its open chunks take, by a sample of them spread over all."""
    return [_estimate_judge(lake, panel, panel.seats[name], chunks) for name, chunks in work.items()]


def estimate_chunk(lake: Lake, panel: Panel, work: WorkChunk) -> CostEstimate:
    """What one chunk takes."""
    return _estimate_judge(lake, panel, panel.seats[work.judge], [work])


def _estimate_judge(lake: Lake, panel: Panel, seat: ConfiguredJudge, chunks: Sequence[WorkChunk]) -> CostEstimate:
    total = sum(each.open for each in chunks)
    uncertain = seat.in_rounds or bool(seat.after)
    if not total or not seat.engines:
        return CostEstimate(
            judge=seat.name, questions=total, calls=0, tokens_in=0, tokens_out=0, cost=0.0, at_most=uncertain
        )
    counters = CountingEngines(panel.engines)
    trial = Panel(panel.config, only=[seat.name], engines=counters).seats[seat.name]
    asked = 0
    for each in _spread_chunks(chunks):
        of = add_other_judgments(lake, panel, seat, read_items(lake, each.prompt_ids))
        found, _ = find_pending_questions(lake, panel, seat, of, ahead=True)
        questions = [opened.question for opened in found[: _SAMPLE - asked]]
        readable = [each for each in questions if each.contest.text_only or seat.judge.sees_images]
        _ask_dry(trial, readable)
        asked += len(questions)
        if asked >= _SAMPLE:
            break
    share = total / max(1, asked)
    calls, tokens_in, tokens_out = (
        round(share * sum(getattr(each, name) for each in counters.made.values()))
        for name in ("calls", "tokens_in", "tokens_out")
    )
    return CostEstimate(
        judge=seat.name,
        questions=total,
        calls=calls,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost=seat.price(tokens_in, tokens_out),
        counted=all(each.counted for each in counters.made.values()),
        at_most=uncertain,
    )


def _ask_dry(seat: ConfiguredJudge, questions: Sequence[Question]) -> None:
    try:
        if questions:
            seat.judge.answer(questions)
    except CurateError:
        raise
    except Exception as error:
        raise CurateError(
            f"Judge {seat.name!r} cannot be rehearsed: on an engine that only counts its code breaks with "
            f"{type(error).__name__}: {error}. Name the other judges with --judge."
        ) from error


def _spread_chunks(chunks: Sequence[WorkChunk]) -> Sequence[WorkChunk]:
    """Chunks from all over first, so that a sample is not all from one corner."""
    step = max(1, len(chunks) // 4)
    return [*chunks[::step], *(chunk for number, chunk in enumerate(chunks) if number % step)]


class CountingEngines(Engines):
    """Engines that count in place of those of a panel."""

    def __init__(self, engines: Engines) -> None:
        super().__init__(engines._declared, engines.folder)
        self._engines = engines
        self.made: dict[int, CountingEngine] = {}

    def make(
        self, name: str, options: Mapping[str, Any], *, where: str, needs: Capability | None = None
    ) -> Engine:
        real = self._engines.make(name, options, where=where, needs=needs)
        return self.made.setdefault(id(real), CountingEngine(real))

    def check_all(self) -> None:
        """The panel's own engines have been checked."""


class CountingEngine(Engine):
    def __init__(self, real: Engine) -> None:
        self.name = real.name
        self.calls = self.tokens_in = self.tokens_out = 0
        self.counted = True
        self._real = real
        self._count: Callable[[Chat, str], int] | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._real.capabilities

    @property
    def revision(self) -> str:
        return self._real.revision

    def price(self, tokens_in: int, tokens_out: int) -> float | None:
        return self._real.price(tokens_in, tokens_out)

    def generate(self, requests: Sequence[Generate]) -> list[Generation | Failure]:
        answers: list[Generation | Failure] = []
        for each in requests:
            tokens_in = self._read(each.messages, each.prefill)
            tokens_out = each.sampling.max_tokens * each.sampling.n
            self.tokens_out += tokens_out
            answers.append(Generation((Completion("", (), "stop"),) * each.sampling.n, tokens_in, tokens_out))
        return answers

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        return [
            Choice(
                (-math.log(len(each.choices)),) * len(each.choices),
                self._read(each.messages, each.prefill),
                0,
            )
            for each in requests
        ]

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        return [
            LogLikelihood(-1.0, 1, self._read(each.messages, each.prefill + each.continuation))
            for each in requests
        ]

    def score(self, chats: Sequence[Chat]) -> list[Score | Failure]:
        return [Score(0.0, self._read(each, "")) for each in chats]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        for text in texts:
            self._read((), text)
        return np.ones((len(texts), 1), np.float32)

    def embed_tokens(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        return list(self.embed(texts)[:, None])

    def _read(self, messages: Chat, prefill: str) -> int:
        self.calls += 1
        if self._count is None:
            found = self._real.make_token_counter() if isinstance(self._real, ConfiguredEngine) else None
            self.counted = found is not None
            self._count = found or _count_by_characters
        tokens = self._count(messages, prefill)
        self.tokens_in += tokens
        return tokens


def _count_by_characters(messages: Chat, prefill: str) -> int:
    text = sum(len(plain_text(turn.content)) for turn in messages) + len(prefill)
    return -(-text // _CHARACTERS)
