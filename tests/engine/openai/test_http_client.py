"""Requests over HTTP, against a real server on a loopback socket that is busy, slow, rude or gone when told to be."""

from __future__ import annotations

import email.utils
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from curate.core.errors import CurateError
from curate.engine.base import Failure
from curate.engine.openai.http_client import Call, HttpClient, RetryPolicy
from curate.engine.openai.limiter import AimdLimiter

Reply = tuple[int, dict[str, str], bytes] | None  # None: hang up without a word
Behave = Callable[[dict[str, Any], int], Reply]


def ok(value: object) -> Reply:
    return 200, {}, json.dumps({"value": value}).encode()


class Rude:
    """A server that answers as `behave(body, how often it has seen this body)` says."""

    def __init__(self, behave: Behave, port: int = 0) -> None:
        self.behave, self.seen, self.active, self.most = behave, Counter[str](), 0, 0
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.models = b"{}"  # what GET /models says
        lock, outer = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                outer.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with lock:
                    outer.headers.append(dict(self.headers))
                    outer.seen[body.decode()] += 1
                    outer.active += 1
                    outer.most = max(outer.most, outer.active)
                reply = outer.behave(json.loads(body), outer.seen[body.decode()])
                with lock:
                    outer.active -= 1
                if reply is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, headers, content = reply
                self.send_response(status)
                for name, value in (headers | {"content-length": str(len(content))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(outer.models)))
                self.end_headers()
                self.wfile.write(outer.models)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign,assignment]
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Rude]]:
    started: list[Rude] = []

    def start(behave: Behave, port: int = 0) -> Rude:
        started.append(Rude(behave, port))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def wire(server: Rude, key: str | None = None, **patience: Any) -> HttpClient:
    return HttpClient(f"http://127.0.0.1:{server.port}", key, RetryPolicy(**patience))


def calls(n: int) -> list[Call]:
    return [Call("/x", {"number": number}) for number in range(n)]


def test_answers_come_in_the_order_of_requests_and_connections_are_kept(serve: Callable[..., Rude]) -> None:
    def behave(body: dict[str, Any], seen: int) -> Reply:
        time.sleep(0.02 * (body["number"] % 3))
        return ok(body["number"])

    server = serve(behave)
    with wire(server, concurrency=8) as line:
        for _ in range(2):
            assert [each["value"] for each in line.post_calls(calls(40))] == list(range(40))  # type: ignore[index]
    assert server.most <= 8
    assert server.connections <= 8


def test_one_refused_request_harms_no_other(serve: Callable[..., Rude]) -> None:
    def behave(body: dict[str, Any], seen: int) -> Reply:
        if body["number"] == 3:
            return 400, {}, b'{"error": {"message": "too long by far"}}'
        return (200, {}, b"<html>") if body["number"] == 5 else ok(body["number"])

    server = serve(behave)
    with wire(server) as line:
        found = line.post_calls(calls(8))
    assert found[3] == Failure("the server refuses the request: 400 too long by far", permanent=True)
    assert found[5] == Failure("the server's answer is no JSON object", "<html>")
    assert [each["value"] for each in found if not isinstance(each, Failure)] == [0, 1, 2, 4, 6, 7]
    assert max(server.seen.values()) == 1


@pytest.mark.parametrize("as_date", [False, True])
def test_a_busy_server_is_left_alone_for_as_long_as_it_says(
    serve: Callable[..., Rude], as_date: bool
) -> None:
    came: list[float] = []

    def behave(body: dict[str, Any], seen: int) -> Reply:
        came.append(time.monotonic())
        if seen == 1 and body["number"] == 0:
            pause = email.utils.formatdate(time.time() + 2, usegmt=True) if as_date else "1"
            return 429, {"Retry-After": pause}, b'{"error": {"message": "slow down"}}'
        return ok(body["number"])

    server = serve(behave)
    with wire(server, concurrency=1) as line:
        assert [each["value"] for each in line.post_calls(calls(3))] == [0, 1, 2]  # type: ignore[index]
    assert came[1] - came[0] >= 0.9


def test_a_server_that_is_full_gets_fewer_requests_at_a_time(serve: Callable[..., Rude]) -> None:
    room, active, lock = 4, Counter[str](), threading.Lock()

    def behave(body: dict[str, Any], seen: int) -> Reply:
        with lock:
            active["now"] += 1
            full = active["now"] > room
        time.sleep(0.005)
        with lock:
            active["now"] -= 1
        return (503, {}, b"full") if full else ok(body["number"])

    server = serve(behave)
    with wire(server, concurrency=64) as line:
        found = line.post_calls(calls(300))
        assert [each["value"] for each in found] == list(range(300))  # type: ignore[index]
    assert sum(server.seen.values()) < 300 + 400  # turned away, but not over and over again


def test_the_limit_is_halved_once_a_round_and_grows_by_one_a_round() -> None:
    pace = AimdLimiter(64)
    round_began = time.monotonic()
    for _ in range(64):
        pace.record_overload(round_began)
    assert pace.limit == 32
    for _ in range(32):
        pace.record_success()
    assert pace.limit == pytest.approx(33, abs=0.05)
    for _ in range(5000):
        pace.record_success()
    assert pace.limit == 64


def test_failures_are_tried_again_and_then_told(serve: Callable[..., Rude]) -> None:
    def behave(body: dict[str, Any], seen: int) -> Reply:
        match body["number"]:
            case 0:
                return (500, {}, b"oops") if seen < 3 else ok(0)
            case 1:
                return None if seen < 2 else ok(1)
            case 2:
                return 500, {}, b'{"error": "always"}'
            case 3:
                return None
        time.sleep(1.5)
        return ok(4)

    server = serve(behave)
    with wire(server, retries=2, timeout=0.5) as line:
        first, second, *failures = line.post_calls(calls(5))
    assert first == {"value": 0}
    assert second == {"value": 1}
    told = [each.reason for each in failures if isinstance(each, Failure)]
    assert told[0] == "the server failed 3 times: 500 always"
    assert told[1].startswith("the server failed 3 times: gave no answer (Re")
    assert told[2] == "the server failed 3 times: gave no answer (ReadTimeout)"
    assert not any(each.permanent for each in failures if isinstance(each, Failure))


def test_a_server_that_comes_back_is_waited_for(serve: Callable[..., Rude]) -> None:
    server = serve(lambda body, seen: ok(body["number"]))
    with wire(server, concurrency=4) as line:
        line.post_calls(calls(4))
        server.stop()
        again = threading.Timer(1.0, lambda: serve(lambda body, seen: ok(body["number"]), server.port))
        again.start()
        assert [each["value"] for each in line.post_calls(calls(9))] == list(range(9))  # type: ignore[index]
        again.join()


def test_a_server_that_stays_away_is_an_error_and_no_judgment(serve: Callable[..., Rude]) -> None:
    server = serve(lambda body, seen: ok(1))
    server.stop()
    with (
        wire(server, outage=0.5) as line,
        pytest.raises(CurateError, match=r"no request for .* is kept; run"),
    ):
        line.post_calls(calls(3))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_of_everything_is_an_error_without_the_key(serve: Callable[..., Rude], status: int) -> None:
    reply = b'{"error": {"message": "Incorrect API key provided: sk-secret"}}'
    server = serve(lambda body, seen: (status, {}, reply))
    with (
        wire(server, key="sk-secret") as line,
        pytest.raises(CurateError, match="refuses every request") as error,
    ):
        line.post_calls(calls(50))
    assert "sk-secret" not in str(error.value)
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"


def test_quota_that_is_used_up_is_not_waited_for(serve: Callable[..., Rude]) -> None:
    server = serve(lambda body, seen: (429, {}, b'{"error": {"message": "insufficient_quota"}}'))
    with wire(server) as line, pytest.raises(CurateError, match="insufficient_quota"):
        line.post_calls(calls(3))


def test_an_interrupt_leaves_nothing_hanging(serve: Callable[..., Rude]) -> None:
    import _thread

    def behave(body: dict[str, Any], seen: int) -> Reply:
        time.sleep(0.2)
        return ok(body["number"])

    server = serve(behave)
    with wire(server, concurrency=4) as line:
        threading.Timer(0.3, _thread.interrupt_main).start()
        with pytest.raises(KeyboardInterrupt):
            line.post_calls(calls(400))
        sent = sum(server.seen.values())
        assert sent < 40
        time.sleep(0.4)
        assert sum(server.seen.values()) == sent
        assert [each["value"] for each in line.post_calls(calls(5))] == list(range(5))  # type: ignore[index]


def test_a_request_that_is_never_answered_fails_alone(serve: Callable[..., Rude]) -> None:
    """The time-out is longer than the outage, as it is by default."""
    gone = threading.Event()

    def behave(body: dict[str, Any], seen: int) -> Reply:
        if body["number"] == 3:
            gone.wait(20)
        return ok(body["number"])

    server = serve(behave)
    with wire(server, timeout=0.6, outage=0.2, retries=1) as line:
        found = line.post_calls(calls(6))
    gone.set()
    assert found[3] == Failure("the server failed 2 times: gave no answer (ReadTimeout)")
    assert [item["value"] for item in found if not isinstance(item, Failure)] == [0, 1, 2, 4, 5]


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"content-encoding": "gzip"}, b"not gzip at all"),
        ({}, b'{"a": ' * 100_000),
        ({}, b'{"a": ' * 100_000 + b"1" + b"}" * 100_000),
        ({}, b"\xff\xfe\x00"),
        ({}, b'{"a": 1' + b"0" * 5000 + b"}"),
    ],
    ids=["encoding", "open", "deep", "bytes", "digits"],
)
@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_cannot_be_read_fails_alone(
    serve: Callable[..., Rude], headers: dict[str, str], content: bytes, status: int
) -> None:
    server = serve(
        lambda body, seen: (status, headers, content) if body["number"] == 1 else ok(body["number"])
    )
    with wire(server, retries=0) as line:
        found = line.post_calls(calls(3))
    assert isinstance(found[1], Failure)
    assert [item["value"] for item in found if not isinstance(item, Failure)] == [0, 2]
