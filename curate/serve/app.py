"""The HTTP server: the paths of `protocol.py` with their limits, /health and /metrics."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import ValidationError

from curate.core.network import is_same_key
from curate.reward.scorer import PromptResponses, RewardScorer
from curate.serve.batching import Batcher, OverloadedError
from curate.serve.metrics import RequestMetrics
from curate.serve.protocol import PATHS, RequestBody


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of a request (number of responses, size of its body) and of the queue (see `Batcher`).

    `multi_turn`: rendered chats may hold several answers, of which the last one is scored.
    """

    max_responses: int = 256
    max_bytes: int = 8 << 20
    max_queue: int = 2048  # responses
    max_batch: int = 64  # responses
    max_wait: float = 0.004  # seconds
    max_body_seconds: float = 30.0  # in which a client must have sent its request
    max_buffered: int = 256 << 20  # bytes of all requests that are being received
    multi_turn: bool = False


_NO_KEY = "The key is missing or wrong: send it as `Authorization: Bearer KEY`."


class RefusedError(Exception):
    """A request cannot be served: the HTTP status, and the reason in one sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def make_app(scorer: RewardScorer, limits: ServerLimits, *, key: str | None = None) -> FastAPI:
    """Return the application that serves an open model; a refusal is {"error": one sentence}.

    Args:
        scorer: The model.
        limits: What a request and the queue may hold.
        key: Key that every request but /health has to carry, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
    """
    batcher = Batcher(
        scorer.score, max_batch=limits.max_batch, max_wait=limits.max_wait, max_queue=limits.max_queue
    )
    metrics = RequestMetrics()
    received = ReceivedBytes(limits.max_buffered)

    @contextlib.asynccontextmanager
    async def run_batcher(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(batcher.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

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
        try:
            async with asyncio.timeout(limits.max_body_seconds):
                content = await _read_body(request, limits.max_bytes, received)
        except TimeoutError:
            raise RefusedError(
                408, f"The request did not arrive in {limits.max_body_seconds:g} seconds: send it faster."
            ) from None
        # In a thread: parsing megabytes takes a while, and others (and /health) are answered meanwhile.
        body, prompts = await asyncio.to_thread(_parse_request, path, content, limits)
        try:
            scores = await batcher.submit(prompts)
        except OverloadedError:
            raise RefusedError(
                429, f"{batcher.responses_waiting} responses are waiting already: ask again later."
            ) from None
        unreadable = [number for number, score in enumerate(scores) if not math.isfinite(score)]
        if unreadable:
            raise RefusedError(422, f"The model cannot read response {unreadable[0]}: it is too long for it.")
        return JSONResponse(body.build_answer(scores, scorer.name))

    for path in PATHS:
        app.add_api_route(path, _make_route(path, answer_request, metrics), methods=["POST"])
    return app


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
class ReceivedBytes:
    """The bytes of all requests that are being received, so that many slow clients cannot take all memory."""

    most: int
    held: int = 0

    def add(self, number: int) -> None:
        """Count bytes of a request, or refuse it where there are too many of all requests."""
        if self.held + number > self.most:
            raise RefusedError(429, "Too many requests are being received: ask again later.")
        self.held += number


async def _read_body(request: Request, most: int, received: ReceivedBytes) -> bytes:
    """Read the body of a request, and refuse it as soon as it exceeds `most` bytes."""
    body = bytearray()
    try:
        async for part in request.stream():
            received.add(len(part))
            body += part
            if len(body) > most:
                raise RefusedError(
                    413, f"The request is larger than {most:,} bytes: send fewer responses at a time."
                )
    finally:
        received.held -= len(body)
    return bytes(body)


def _parse_request(
    path: str, content: bytes, limits: ServerLimits
) -> tuple[RequestBody, list[PromptResponses]]:
    """Parse the body of a request.

    Raises:
        RefusedError: The body is no valid request of this path, or it holds too many responses.
    """
    try:
        body = PATHS[path].model_validate_json(content)
        if limits.multi_turn:
            body.allow_several_answers()
        prompts = body.list_prompts()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        problem = first["msg"].removeprefix("Value error, ")
        raise RefusedError(422, f"{where}: {problem}" if where else problem) from None
    except ValueError as error:
        raise RefusedError(422, str(error)) from None
    count, most = sum(len(prompt.responses) for prompt in prompts), limits.max_responses
    if count > most:
        raise RefusedError(413, f"{count} responses in one request, of {most} allowed: send fewer at a time.")
    return body, prompts
