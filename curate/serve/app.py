"""The HTTP server: paths of `wire.py`, limits, /health and /metrics."""

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

from curate.reward.scorer import PromptResponses, RewardScorer
from curate.serve.batching import Batcher, OverloadedError
from curate.serve.metrics import RequestMetrics
from curate.serve.protocol import PATHS, RequestBody


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """`responses`: of one request; `bytes`: of its body; `queue`: responses waiting; `batch`, `wait`: see Batcher."""

    responses: int = 256
    bytes: int = 8 << 20
    queue: int = 2048
    batch: int = 64
    wait: float = 0.004


class RefusedError(Exception):
    """A request that is answered with a status and one sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def make_app(scorer: RewardScorer, limits: ServerLimits) -> FastAPI:
    """The application for a model that has been opened. Every refusal is {"error": one sentence}."""
    batcher = Batcher(scorer.score, most=limits.batch, wait=limits.wait, limit=limits.queue)
    metrics = RequestMetrics()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(batcher.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app = FastAPI(title="curate serve-reward", lifespan=lifespan, docs_url=None, redoc_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "model": scorer.name, "revision": scorer.revision}

    @app.get("/metrics")
    async def prometheus() -> PlainTextResponse:
        gauges = {
            "curate_responses_scored_total": ("counter", "Responses scored.", batcher.scored),
            "curate_batches_total": ("counter", "Batches computed.", batcher.batches),
            "curate_responses_waiting": ("gauge", "Responses in the queue.", batcher.waiting),
            "curate_texts_cut_total": (
                "counter",
                "Texts that were too long for the model.",
                getattr(scorer, "cut", 0),
            ),
        }
        return PlainTextResponse(metrics.text(gauges), media_type="text/plain; version=0.0.4")

    async def answer(path: str, request: Request) -> JSONResponse:
        content = await _read_body(request, limits.bytes)
        # In a thread: a request of megabytes takes a while to read, and others (and /health) are answered meanwhile.
        body, items = await asyncio.to_thread(_parse_request, path, content, limits.responses)
        try:
            scores = await batcher.submit(items)
        except OverloadedError:
            raise RefusedError(
                429, f"{batcher.waiting} responses are waiting already: ask again later."
            ) from None
        unread = [place for place, score in enumerate(scores) if not math.isfinite(score)]
        if unread:
            raise RefusedError(422, f"The model cannot read response {unread[0]}: it is too long for it.")
        return JSONResponse(body.answer(scores, scorer.name))

    for path in PATHS:
        app.add_api_route(path, _make_route(path, answer, metrics), methods=["POST"])
    return app


AnswerRequest = Callable[[str, Request], Awaitable[JSONResponse]]


def _make_route(
    path: str, answer: AnswerRequest, metrics: RequestMetrics
) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        started = time.monotonic()
        try:
            response = await answer(path, request)
        except RefusedError as refused:
            headers = {"Retry-After": "1"} if refused.status == 429 else None
            response = JSONResponse({"error": str(refused)}, refused.status, headers)
        except Exception as error:
            metrics.count(path, 500, 0.0)
            return JSONResponse({"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}, 500)
        metrics.count(path, response.status_code, time.monotonic() - started)
        return response

    return route


async def _read_body(request: Request, most: int) -> bytes:
    """The body, read no further than it may go."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise RefusedError(
                413, f"The request is larger than {most:,} bytes: send fewer responses at a time."
            )
    return bytes(body)


def _parse_request(path: str, content: bytes, most: int) -> tuple[RequestBody, list[PromptResponses]]:
    """Read a request and what it asks; RefusedError where it cannot be read or asks for more than `most` responses."""
    try:
        body = PATHS[path].model_validate_json(content)
        items = body.asked()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise RefusedError(422, f"{where}: {said}" if where else said) from None
    except ValueError as error:
        raise RefusedError(422, str(error)) from None
    count = sum(len(item.responses) for item in items)
    if count > most:
        raise RefusedError(413, f"{count} responses in one request, of {most} allowed: send fewer at a time.")
    return body, items
