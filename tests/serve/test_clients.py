"""Clients of serve-reward who have no key, are slow, or send too much."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from curate.core.network import is_loopback, is_same_key
from curate.reward.scorer import Float64, PromptResponses
from curate.serve.app import HeldBytes, make_app
from curate.serve.limits import RefusedError, ServerLimits
from curate.serve.protocol_timeout import TimedProtocol
from tests.serve.test_app import Lengths

BODY = {"prompt": "p", "responses": ["a", "b"]}


def test_a_key_is_asked_for_where_one_is_set() -> None:
    with TestClient(make_app(Lengths(), ServerLimits(), key="right")) as client:
        assert client.get("/health").status_code == 200
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic right"},
            {"X-API-Key": "righ"},
        ):
            assert client.post("/score", json=BODY, headers=headers).status_code == 401
            assert client.get("/metrics", headers=headers).status_code == 401
        for headers in ({"Authorization": "Bearer right"}, {"X-API-Key": "right"}):
            assert client.post("/score", json=BODY, headers=headers).status_code == 200
            assert client.get("/metrics", headers=headers).status_code == 200
    with TestClient(make_app(Lengths(), ServerLimits())) as client:
        assert client.post("/score", json=BODY).status_code == 200


def test_keys_are_compared_whole() -> None:
    assert is_same_key("ключ", "ключ")
    assert not is_same_key("", "x")
    assert not is_same_key("\udcff", "x")


def test_bytes_of_all_requests_are_bounded_until_they_are_answered() -> None:
    held = HeldBytes(10)
    with held.count_request() as first, held.count_request() as second:
        first(7)
        with pytest.raises(RefusedError, match="ask again later"):
            second(4)
        second(3)
        assert held.held == 10
    assert held.held == 0


class QuickProtocol(TimedProtocol):
    head_seconds = 0.5


@pytest.fixture
def port() -> Iterator[int]:
    app = make_app(Lengths(), ServerLimits(max_body_seconds=0.5))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, http=QuickProtocol, log_level="warning"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield int(listening.getsockname()[1])
        server.should_exit = True
        thread.join(20)


def drip(port: int, text: bytes, *, seconds: float = 8) -> bytes:
    """Send a request byte by byte, and return what comes back until the connection is cut."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.1) as client:
        ends, answer = time.monotonic() + seconds, b""
        for place in range(len(text)):
            try:
                client.sendall(text[place : place + 1])
                part = client.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                return answer + b"CUT"
            answer += part
            if not part:
                return answer + b"CUT"
            if time.monotonic() > ends:
                break
    return answer


def test_a_head_that_never_ends_is_cut(port: int) -> None:
    started = time.monotonic()
    assert drip(port, b"POST /score HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 500).endswith(b"CUT")
    assert time.monotonic() - started < 6


def test_a_silent_client_is_cut(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=6) as client:
        assert client.recv(10) == b""


def test_a_body_that_drips_is_refused(port: int) -> None:
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=6) as client:
        client.sendall(head + b'{"prompt"')
        assert b" 408 " in client.recv(4096)


def test_others_are_served_meanwhile_and_a_connection_is_used_again(port: int) -> None:
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(3):
            assert client.post("/score", json=BODY).json()["scores"] == [1.0, 1.0]
    for client_socket in slow:
        client_socket.close()


def test_addresses_of_this_machine() -> None:
    assert [is_loopback(host) for host in ("127.0.0.9", "LOCALHOST", "::1", "0.0.0.0", "::", "10.0.0.1", "")] == [
        True, True, True, False, False, False, False,
    ]  # fmt: skip


def test_a_client_that_hangs_up_is_no_error_of_the_server() -> None:
    class Slow(Lengths):
        entered, go = threading.Event(), threading.Event()

        def score(self, asked: Sequence[PromptResponses], **options: Any) -> list[Float64]:
            self.entered.set()
            self.go.wait(30)
            return super().score(asked, **options)

    async def main() -> str:
        application = make_app(Slow(), ServerLimits())
        body = json.dumps(BODY).encode()
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "path": "/score", "raw_path": b"/score",
            "query_string": b"", "headers": [(b"content-type", b"application/json")], "scheme": "http",
            "server": ("test", 80), "client": ("test", 1), "root_path": "",
        }  # fmt: skip
        async with application.router.lifespan_context(application):
            await events.put({"type": "http.request", "body": body, "more_body": False})
            asked = asyncio.create_task(application(scope, events.get, send))
            while not Slow.entered.is_set():
                await asyncio.sleep(0.001)
            await events.put({"type": "http.disconnect"})
            await asked
            Slow.go.set()
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(application), base_url="http://test"
            ) as client:
                return (await client.get("/metrics")).text

    metrics = asyncio.run(main())
    assert 'curate_requests_total{path="/score",status="499"} 1' in metrics
    assert 'status="500"' not in metrics
