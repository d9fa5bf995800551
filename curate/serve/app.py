"""The HTTP server: the paths of `protocol.py` with their limits, /health and /metrics."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from curate.core.errors import CurateError
from curate.core.network import is_same_key
from curate.engine.base import Failure
from curate.reward.scorer import PromptResponses, RewardScorer, SteppingScorer
from curate.serve.batching import Batcher, OverloadedError
from curate.serve.cohorts import Cohorts, IncompleteCohortError, transform_cohort
from curate.serve.criteria import PATHS as CRITERIA_PATHS
from curate.serve.criteria import CriterionRewards
from curate.serve.lanes import Lanes
from curate.serve.limits import RefusedError, ServerLimits
from curate.serve.metrics import RequestMetrics
from curate.serve.protocol import Answered
from curate.serve.protocol_gym import VerifyRequest
from curate.serve.request_reader import PATHS, RequestReader

CLIENT_GONE = 499  # the status under which clients that hang up are counted (nginx' number)
_NO_KEY = "The key is missing or wrong: send it as `Authorization: Bearer KEY`."


def make_app(
    scorer: RewardScorer,
    limits: ServerLimits,
    *,
    key: str | None = None,
    criteria: CriterionRewards | None = None,
) -> FastAPI:
    """Return the application that serves an open model; a refusal is {"error": one sentence}.

    Args:
        scorer: The model.
        limits: What a request and the queue may hold.
        key: Key that every request but /health has to carry, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
        criteria: Features of a rubric, whose rewards stand beside the score.
    """
    batcher = Batcher(
        scorer.score,
        max_batch=limits.max_batch,
        max_wait=limits.max_wait,
        max_queue=limits.max_queue,
        in_steps=scorer.score_in_steps if isinstance(scorer, SteppingScorer) else None,
    )
    reader = RequestReader(scorer, limits)
    lanes = Lanes()

    async def reward_scores(scores: Sequence[float]) -> list[float]:
        return transform_cohort(scores, limits.transform)

    cohorts = Cohorts[float](limits.cohort, reward_scores, limits.cohort_seconds)
    metrics = RequestMetrics()
    held = HeldBytes(limits.max_buffered)

    @contextlib.asynccontextmanager
    async def run_batcher(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(batcher.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        lanes.close()

    app = FastAPI(title="curate serve-reward", lifespan=run_batcher, docs_url=None, redoc_url=None)

    @app.get("/health")
    async def report_health() -> dict[str, str]:
        return {"status": "ok", "model": scorer.name, "revision": scorer.revision}

    @app.get("/metrics")
    async def report_metrics(request: Request) -> Response:
        if not _has_key(request, key):
            return JSONResponse({"error": _NO_KEY}, 401)
        values = {
            "curate_responses_scored_total": ("counter", "Responses scored.", batcher.responses_scored),
            "curate_batches_total": ("counter", "Batches computed.", batcher.batches_scored),
            "curate_responses_waiting": ("gauge", "Responses in the queue.", batcher.responses_waiting),
            "curate_texts_cut_total": (
                "counter",
                "Texts that were too long for the model.",
                getattr(scorer, "n_texts_cut", 0),
            ),
        }
        return PlainTextResponse(metrics.format_text(values), media_type="text/plain; version=0.0.4")

    async def answer_request(path: str, request: Request) -> JSONResponse:
        if not _has_key(request, key):
            raise RefusedError(401, _NO_KEY)
        with held.count_request() as count:
            return await answer_body(path, request, count)

    async def answer_body(path: str, request: Request, count: Callable[[int], None]) -> JSONResponse:
        try:
            async with asyncio.timeout(limits.max_body_seconds):
                content = await _read_body(request, limits.max_bytes, count)
        except TimeoutError:
            raise RefusedError(
                408, f"The request did not arrive in {limits.max_body_seconds:g} seconds: send it faster."
            ) from None
        size = len(content)
        body, grouped = await lanes.run(size, partial(reader.parse, path, content))
        del content  # the texts are there twice no longer than needed
        prompts = grouped.prompts
        is_rollout = isinstance(body, VerifyRequest) and limits.cohort > 1
        if isinstance(body, VerifyRequest) and is_rollout and reader.compares_responses:
            return await answer_compared_rollout(body, prompts)
        try:
            scores = await _unless_client_leaves(
                request, batcher.submit([prompt for prompt in prompts if not _is_unreadable(prompt)])
            )
        except OverloadedError:
            raise RefusedError(
                429, f"{batcher.responses_waiting} responses are waiting already: ask again later."
            ) from None
        scores, errors = await lanes.run(size, lambda: reader.explain(prompts, scores))
        if errors and not body.admits_missing:
            place, reason = next(iter(grouped.restore_order(scores, errors)[1].items()))
            raise RefusedError(422, f"The model cannot read response {place}: {reason}.")
        if isinstance(body, VerifyRequest) and is_rollout:
            try:
                scores = [await cohorts.join(body.cohort_key, scores[0])]
            except IncompleteCohortError as error:
                scores, errors = [math.nan], {0: str(error)}
        else:
            scores = await lanes.run(size, lambda: reader.transform(prompts, scores))
        scores, errors = grouped.restore_order(scores, errors)
        answer = body.build_answer(scores, Answered(scorer.name, reader.count_tokens(prompts), errors))
        if criteria is not None and path in CRITERIA_PATHS:
            answer["criteria"] = await lanes.run(size, lambda: criteria.measure(grouped))
        return JSONResponse(answer)

    async def answer_compared_rollout(body: VerifyRequest, prompts: list[PromptResponses]) -> JSONResponse:
        """Answer a rollout of a cohort with a model that scores the whole cohort together."""
        errors: dict[int, str] = {}
        try:
            reward = await rollouts.join(body.cohort_key, prompts[0])
            if math.isnan(reward):
                errors = (await lanes.run(0, lambda: reader.explain(prompts, [math.nan])))[1]
        except IncompleteCohortError as error:
            reward, errors = math.nan, {0: str(error)}
        return JSONResponse(
            body.build_answer([reward], Answered(scorer.name, reader.count_tokens(prompts), errors))
        )

    async def reward_rollouts(prompts: Sequence[PromptResponses]) -> list[float]:
        """Score the rollouts of a cohort together; one that cannot be read has no reward."""
        readable = [place for place, prompt in enumerate(prompts) if not _is_unreadable(prompt)]
        rewards = [math.nan] * len(prompts)
        if readable:
            merged = await lanes.run(0, lambda: reader.merge([prompts[place] for place in readable]))
            try:
                scores = [] if _is_unreadable(merged) else await batcher.submit([merged])
            except OverloadedError:
                raise CurateError("too many responses are waiting already: ask again later") from None
            for place, score in zip(readable, scores, strict=False):
                rewards[place] = score
        return transform_cohort(rewards, limits.transform)

    rollouts = Cohorts[PromptResponses](limits.cohort, reward_rollouts, limits.cohort_seconds)

    app.add_middleware(RefuseTwoLengths)
    for path in PATHS:
        app.add_api_route(path, _make_route(path, answer_request, metrics), methods=["POST"])
    return app


class RefuseTwoLengths:
    """Refuses requests that say their length in two ways: a proxy before this server may believe the other one.

    What follows such a request would be read as one of the next client's (RFC 9112, section 6.3).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name.lower() for name, _ in scope.get("headers", ())}
        if {b"content-length", b"transfer-encoding"} <= names:
            reason = {"error": "The request has both Content-Length and Transfer-Encoding: send one of them."}
            await JSONResponse(reason, 400, {"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, receive, send)


AnswerRequest = Callable[[str, Request], Awaitable[JSONResponse]]


def _make_route(
    path: str, answer: AnswerRequest, metrics: RequestMetrics
) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of a path, which turns errors into answers and counts requests."""

    async def handle_request(request: Request) -> Response:
        start = time.monotonic()
        try:
            response = await answer(path, request)
        except RefusedError as error:
            headers = {"Retry-After": "1"} if error.status == 429 else None
            response = JSONResponse({"error": str(error)}, error.status, headers)
        except ClientDisconnect:  # nobody reads this answer; it is no fault of the server
            metrics.count_request(path, CLIENT_GONE, 0.0)
            return Response(status_code=CLIENT_GONE)
        except Exception as error:
            metrics.count_request(path, 500, 0.0)
            return JSONResponse({"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}, 500)
        metrics.count_request(path, response.status_code, time.monotonic() - start)
        return response

    return handle_request


def _has_key(request: Request, key: str | None) -> bool:
    if key is None:
        return True
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        given = request.headers.get("x-api-key", "")
    return is_same_key(given.strip(), key)


@dataclass(slots=True)
class HeldBytes:
    """The bytes of all requests from their first byte to their answer, so that many cannot take all memory."""

    most: int
    held: int = 0

    @contextlib.contextmanager
    def count_request(self) -> Iterator[Callable[[int], None]]:
        """Give a function that counts bytes of one request, or refuses it where there are too many of all."""
        own = 0

        def count(number: int) -> None:
            nonlocal own
            if self.held + number > self.most:
                raise RefusedError(
                    429, "Too many large requests are being received and answered: ask again later."
                )
            self.held += number
            own += number

        try:
            yield count
        finally:
            self.held -= own


async def _read_body(request: Request, most: int, count: Callable[[int], None]) -> bytes:
    """Read the body of a request, and refuse it as soon as it exceeds `most` bytes."""
    body = bytearray()
    async for part in request.stream():
        count(len(part))
        body += part
        if len(body) > most:
            raise RefusedError(
                413, f"The request is larger than {most:,} bytes: send fewer responses at a time."
            )
    return bytes(body)


async def _unless_client_leaves(request: Request, submit: Awaitable[list[float]]) -> list[float]:
    """Wait for scores; a request whose client hangs up leaves the queue.

    Raises:
        ClientDisconnect: The client has gone.
    """
    scored = asyncio.ensure_future(submit)
    gone = asyncio.ensure_future(
        request.receive()
    )  # the body is read: the next message says that the client has gone
    try:
        await asyncio.wait({scored, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not scored.done() and gone.done() and gone.result()["type"] == "http.disconnect":
            raise ClientDisconnect
        return await scored
    finally:
        for task in (scored, gone):
            task.cancel()


def _is_unreadable(prompt: PromptResponses) -> bool:
    return isinstance(prompt.encoded, Failure)
