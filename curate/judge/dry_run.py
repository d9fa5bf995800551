"""Estimate the questions of judges and their cost without asking: the judges' own code runs on engines that only count.

Since the judge itself makes the requests, every step is counted: criteria, reasoning and verdict. The engine in its
place notes each request and returns an empty answer. Tokens read are counted by the model's tokenizer where the engine
has one without loading weights, else at four characters a token. Tokens written are the most that the judge allows, so
the cost is rather too high than too low.
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
from curate.judge.plan import Plan, WorkChunk
from curate.judge.reader import ChunkReader
from curate.lake.lake import Lake
from curate.records import plain_text

_CHARACTERS = 4  # per token, where there is no tokenizer: usual for English text
_PICTURE_TOKENS = 1000  # of a picture, roughly: a megapixel takes some hundreds to some thousands
_SAMPLE = 256  # questions of a judge that are counted; the others are taken to be like them


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """The expected effort of some questions of a judge.

    Attributes:
        judge: Name of the judge.
        questions: Number of questions.
        calls: Requests to engines.
        tokens_in: Tokens read.
        tokens_out: Tokens written, at most.
        cost: Cost; None: an engine states no price.
        counted: Tokens read are counted, not estimated from characters.
        at_most: There may be fewer questions, since some depend on answers.
        cost_at_once: What it would cost without the provider's batch API; None: there is none, or no price.
        cost_as_batch: What it would cost through it.
    """

    judge: str
    questions: int
    calls: int
    tokens_in: int
    tokens_out: int
    cost: float | None
    counted: bool = True
    at_most: bool = False
    cost_at_once: float | None = None
    cost_as_batch: float | None = None


def estimate_plan(lake: Lake, panel: Panel, plan: Plan) -> CostEstimate:
    """Estimate the cost of a judge's pending questions from a sample spread over all."""
    return _estimate_judge(lake, panel, plan.configured, plan.chunks)


def estimate_chunk(lake: Lake, panel: Panel, work: WorkChunk) -> CostEstimate:
    """Estimate the cost of one chunk."""
    return _estimate_judge(lake, panel, panel.judges[work.judge], [work])


def _estimate_judge(
    lake: Lake, panel: Panel, configured: ConfiguredJudge, chunks: Sequence[WorkChunk]
) -> CostEstimate:
    total = sum(work.pending for work in chunks)
    uncertain = configured.asks_in_rounds or bool(configured.after)
    if not total or not configured.engines:
        return CostEstimate(
            judge=configured.name,
            questions=total,
            calls=0,
            tokens_in=0,
            tokens_out=0,
            cost=0.0,
            at_most=uncertain,
        )
    engines = CountingEngines(panel.engines)
    counting = Panel(panel.config, only=[configured.name], engines=engines).judges[configured.name]
    asked = 0
    for work in _spread_chunks(chunks):
        pending = ChunkReader(lake, panel, [work]).read_questions(work)
        questions = [question.question for question in pending[: _SAMPLE - asked]]
        readable = [
            question for question in questions if question.item.text_only or configured.judge.sees_images
        ]
        _ask_dry(counting, readable)
        asked += len(questions)
        if asked >= _SAMPLE:
            break
    share = total / max(1, asked)
    calls, tokens_in, tokens_out = (
        round(share * sum(getattr(engine, name) for engine in engines.by_id.values()))
        for name in ("calls", "tokens_in", "tokens_out")
    )
    return CostEstimate(
        judge=configured.name,
        questions=total,
        calls=calls,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost=configured.price(tokens_in, tokens_out),
        counted=all(engine.counted for engine in engines.by_id.values()),
        at_most=uncertain,
        cost_at_once=configured.price_as_batch(tokens_in, tokens_out, batch=False),
        cost_as_batch=configured.price_as_batch(tokens_in, tokens_out, batch=True),
    )


def _ask_dry(configured: ConfiguredJudge, questions: Sequence[Question]) -> None:
    try:
        if questions:
            configured.judge.answer(questions)
    except CurateError:
        raise
    except Exception as error:
        raise CurateError(
            f"Judge {configured.name!r} cannot be estimated: on an engine that only counts, its code breaks with "
            f"{type(error).__name__}: {error}. Name the other judges with --judge."
        ) from error


def _spread_chunks(chunks: Sequence[WorkChunk]) -> Sequence[WorkChunk]:
    """Return the chunks in an order in which the first ones are spread over all."""
    step = max(1, len(chunks) // 4)
    return [*chunks[::step], *(chunk for number, chunk in enumerate(chunks) if number % step)]


class CountingEngines(Engines):
    """Engines that count, in place of those of a panel."""

    def __init__(self, engines: Engines) -> None:
        super().__init__(
            engines._declared, engines.folder, images=engines.images, workspace=engines.workspace
        )
        self._engines = engines
        self.by_id: dict[int, CountingEngine] = {}

    def make_engine(
        self, name: str, options: Mapping[str, Any], *, where: str, needs: Capability | None = None
    ) -> Engine:
        real = self._engines.make_engine(name, options, where=where, needs=needs)
        return self.by_id.setdefault(id(real), CountingEngine(real))

    def check_all(self) -> None:
        """Do nothing: the panel's own engines have been checked."""


class CountingEngine(Engine):
    """An engine that counts requests and tokens, and answers nothing."""

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
        for request in requests:
            tokens_in = self._count_request(request.messages, request.prefill)
            n = request.sampling.n
            tokens_out = request.sampling.max_tokens * n
            self.tokens_out += tokens_out
            answers.append(Generation((Completion("", (), "stop"),) * n, tokens_in, tokens_out))
        return answers

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        return [
            Choice(
                (-math.log(len(request.choices)),) * len(request.choices),
                self._count_request(request.messages, request.prefill),
                0,
            )
            for request in requests
        ]

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        return [
            LogLikelihood(
                -1.0, 1, self._count_request(request.messages, request.prefill + request.continuation)
            )
            for request in requests
        ]

    def score(self, chats: Sequence[Chat], tools: Sequence[str | None] = ()) -> list[Score | Failure]:
        return [Score(0.0, self._count_request(chat, "")) for chat in chats]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        for text in texts:
            self._count_request((), text)
        return np.ones((len(texts), 1), np.float32)

    def embed_tokens(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        return list(self.embed(texts)[:, None])

    def _count_request(self, messages: Chat, prefill: str) -> int:
        self.calls += 1
        if self._count is None:
            counter = self._real.make_token_counter() if isinstance(self._real, ConfiguredEngine) else None
            self.counted = counter is not None
            self._count = counter or _count_by_characters
        pictures = sum(part.type == "image" for turn in messages for part in turn.content)
        if pictures:  # what a picture takes is known to the model's processor alone
            self.counted = False
            tokens = _count_by_characters(messages, prefill) + pictures * _PICTURE_TOKENS
        else:
            tokens = self._count(messages, prefill)
        self.tokens_in += tokens
        return tokens


def _count_by_characters(messages: Chat, prefill: str) -> int:
    text = sum(len(plain_text(turn.content)) for turn in messages) + len(prefill)
    return -(-text // _CHARACTERS)
