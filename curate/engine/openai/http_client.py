"""JSON requests to a server that may be busy, slow or gone for a while: many at a time, each answered or explained.

    with HttpClient("http://127.0.0.1:8000", key=None, retry_policy=RetryPolicy()) as client:
        answers = client.post([Call("/v1/completions", {"prompt": "Hi"})])       # dicts or Failures, in this order

A fault of one request is its `Failure`; a fault of the server is a `CurateError` for the whole batch, so that no
10,000 failed judgments are recorded because a server was down for a minute.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from curate.core.errors import CurateError
from curate.engine.base import Failure
from curate.engine.openai.limiter import AimdLimiter

_BUSY = frozenset({429, 503, 529})  # the server asks to come back: not this request's fault
_AGAIN = frozenset({408, 409, 425, 500, 502, 504})  # may be this request's fault, and may pass
_LONGEST_PAUSE = 60.0  # seconds between two tries
_PERMANENT = ("insufficient_quota", "billing")  # a 429 that no waiting mends
_LOOK = 5.0  # seconds for the server to say that it is there
_SHOWN = 300  # characters of a server's message


@dataclass(frozen=True, slots=True)
class Call:
    """A POST of JSON to a path below the server's address."""

    path: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Limits of waiting for a server.

    Attributes:
        concurrency: Most requests at a time.
        timeout: Seconds to wait for one answer.
        retries: How often a request is sent again that failed by itself.
        outage: Seconds without any answer after which the server counts as gone.
    """

    concurrency: int = 64
    timeout: float = 600.0
    retries: int = 4
    outage: float = 300.0


@dataclass(slots=True)
class HttpClient:
    """Connections to one server, kept open between batches. Safe to use from several threads, one batch at a time."""

    root: str
    key: str | None
    retry_policy: RetryPolicy
    _runner: asyncio.Runner | None = field(init=False, default=None)
    _client: httpx.AsyncClient | None = field(init=False, default=None)
    _task: asyncio.Task[Any] | None = field(init=False, default=None)
    _limiter: AimdLimiter = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._limiter = AimdLimiter(self.retry_policy.concurrency)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def post_calls(self, calls: Sequence[Call]) -> list[dict[str, Any] | Failure]:
        """Return the answers to all calls, in their order. Ctrl-C cancels the requests that are on their way."""
        if not calls:
            return []
        with self._lock:
            answers: list[dict[str, Any] | Failure] = self._run_coroutine(self._post_all(calls))
            return answers

    def get_path(self, path: str, *, timeout: float = _LOOK) -> httpx.Response | None:
        """Send one GET without retries; None where there is no server."""
        return self.send_request("GET", path, timeout=timeout)

    def send_request(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """Send one request without retries; None where there is no server, or no answer of it."""

        async def send() -> httpx.Response | None:
            try:
                return await self._get_client().request(method, path, **options)
            except httpx.RequestError:
                return None

        with self._lock:
            response: httpx.Response | None = self._run_coroutine(send())
            return response

    def describe_response(self, response: httpx.Response) -> str:
        """Return status and message of a refusal, without the key."""
        return self._extract_message(response)

    def close(self) -> None:
        """Close the connections; requests of another thread that are on their way are cancelled."""
        while not self._lock.acquire(timeout=0.1):
            task = self._task
            if task is not None:
                task.get_loop().call_soon_threadsafe(task.cancel)
        try:
            if self._runner is not None and self._client is not None:
                self._runner.run(self._client.aclose())
                self._runner.close()
            self._runner = self._client = None
        finally:
            self._lock.release()

    def _run_coroutine(self, work: Any) -> Any:
        async def keep_task() -> Any:
            self._task = asyncio.current_task()
            try:
                return await work
            finally:
                self._task = None

        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(keep_task())

    def _get_client(self) -> httpx.AsyncClient:
        if self._client is None:
            most = self.retry_policy.concurrency
            self._client = httpx.AsyncClient(
                base_url=self.root,
                headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
                timeout=httpx.Timeout(self.retry_policy.timeout, connect=10.0, pool=None),
                limits=httpx.Limits(
                    max_connections=most, max_keepalive_connections=most, keepalive_expiry=30
                ),
                http2=True,  # where the server speaks it (over TLS)
            )
        return self._client

    # One batch --------------------------------------------------------------------------------------------

    async def _post_all(self, calls: Sequence[Call]) -> list[dict[str, Any] | Failure]:
        results: list[Any] = [None] * len(calls)
        numbers = iter(range(len(calls)))
        self._limiter.record_answer()  # the time since the last batch is no outage

        async def post_next() -> None:
            for number in numbers:
                results[number] = await self._post_one(calls[number])

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(len(calls), self.retry_policy.concurrency)):
                    group.create_task(post_next())
        except ExceptionGroup as errors:  # the others of the group were cancelled
            raise errors.exceptions[0] from None
        return results

    async def _post_one(self, call: Call) -> dict[str, Any] | Failure:
        """Return the answer to a call, after as many tries as it takes or is allowed."""
        failed, waits = 0, 0
        while True:
            async with self._limiter:
                began = time.monotonic()
                try:
                    response = await self._get_client().post(call.path, json=call.body)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # no server: wait for it
                    response, trouble = None, f"cannot be reached ({self._describe_error(error)})"
                except httpx.RequestError as error:  # it broke off, took too long, or cannot be unpacked
                    response, trouble = None, f"gave no answer ({type(error).__name__})"
                    failed += 1
                    odd = not isinstance(error, httpx.TransportError)
                    if odd or (isinstance(error, httpx.TimeoutException) and await self._is_reachable()):
                        self._limiter.record_answer()  # this request is at fault: the server is there
            if response is not None and response.status_code < 400:
                self._limiter.record_success()
                return self._decode_body(response)
            retry_after = None
            if response is not None:
                retry_after, trouble = _parse_retry_after(response), self._extract_message(response)
                if response.status_code in _BUSY and not any(word in trouble for word in _PERMANENT):
                    self._limiter.record_overload(began)
                elif response.status_code in _AGAIN:
                    self._limiter.record_answer()
                    failed += 1
                else:
                    return self._handle_refusal(response, trouble)
            if failed > self.retry_policy.retries:
                return Failure(f"the server failed {failed} times: {trouble}")
            waits += 1
            await self._wait_for_retry(waits, retry_after, trouble)

    async def _is_reachable(self) -> bool:
        """Tell whether the server answers anything at all."""
        try:
            await self._get_client().get("/models", timeout=_LOOK)
        except httpx.RequestError:
            return False
        return True

    async def _wait_for_retry(self, waits: int, retry_after: float | None, trouble: str) -> None:
        """Wait as long as the server asks, else twice as long each time; at random, so that not all return at once."""
        silence = self._limiter.seconds_since_answer()
        if silence > self.retry_policy.outage:
            raise CurateError(
                f"The server {self.root} has answered no request for {silence:.0f} seconds: {trouble}. What was "
                "judged so far is kept; run the same command again when the server is back."
            )
        pause = random.uniform(0.1, 1.0) * min(2.0 ** min(waits - 1, 10) * 0.5, _LONGEST_PAUSE)
        if retry_after is not None:
            pause = retry_after + random.uniform(0.0, 0.1) * (retry_after + 1.0)
            self._limiter.pause_for(min(retry_after, self.retry_policy.outage))
        await asyncio.sleep(min(pause, max(self.retry_policy.outage - silence, 0.0) + 0.05))

    def _handle_refusal(self, response: httpx.Response, message: str) -> Failure:
        """Return the Failure of a refused request; raise a CurateError where the server would refuse every request."""
        if response.status_code in (401, 402, 403, 404, 405, 429):
            hint = {401: "the key", 402: "the account", 403: "the key", 429: "the account"}
            remedy = hint.get(response.status_code, "the address and the model's name")
            raise CurateError(
                f"The server {self.root} refuses every request ({response.status_code}): {message}. Check {remedy}."
            )
        self._limiter.record_answer()
        return Failure(f"the server refuses the request: {message}", permanent=True)

    def _decode_body(self, response: httpx.Response) -> dict[str, Any] | Failure:
        try:
            body = response.json()
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict):
            return body
        return Failure("the server's answer is no JSON object", self._remove_key(response.text[:_SHOWN]))

    def _extract_message(self, response: httpx.Response) -> str:
        try:
            body = response.json()
            error = body.get("error", body)
            message: Any = error.get("message") or error.get("code") if isinstance(error, dict) else error
        except (ValueError, AttributeError, RecursionError):
            message = response.text
        shown = " ".join(str(message).split())[:_SHOWN].rstrip(".")
        return self._remove_key(f"{response.status_code} {shown or response.reason_phrase}")

    def _describe_error(self, error: Exception) -> str:
        return self._remove_key(str(error) or type(error).__name__)

    def _remove_key(self, message: str) -> str:
        """Replace the key in a message, where the server repeats it."""
        return message.replace(self.key, "***") if self.key else message


def _parse_retry_after(response: httpx.Response) -> float | None:
    """Return the seconds to wait by the header Retry-After, which holds seconds or a date."""
    header = response.headers.get("retry-after")
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), 3600.0)
