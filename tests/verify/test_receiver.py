"""The receiver of `verify watch`: the secret, slow clients and many of them."""

from __future__ import annotations

import http.client
import socket
import threading
import time

import pytest

from curate.verify import watch
from curate.verify.watch import HEADER, open_receiver


def post(port: int, secret: str | None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/", headers={} if secret is None else {HEADER: secret})
    status = connection.getresponse().status
    connection.close()
    return status


def test_only_the_secret_counts() -> None:
    changed = threading.Event()
    with open_receiver("secret", changed, host="127.0.0.1", port=0) as port:
        assert [post(port, secret) for secret in (None, "", "secre", "secretx", "é")] == [403] * 5
        changed.clear()
        assert post(port, "secret") == 204
        assert changed.is_set()


def test_slow_clients_are_cut_and_many_do_not_keep_out_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "CLIENT_SECONDS", 1.0)
    monkeypatch.setattr(watch, "MOST_CLIENTS", 3)
    changed = threading.Event()
    with open_receiver("secret", changed, host="127.0.0.1", port=0) as port:
        slow = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(8)]
        started = time.monotonic()
        for client in slow:
            try:
                client.sendall(b"POST / HTTP/1.1\r\nX-A: ")
                assert client.recv(10) == b""
            except ConnectionError:
                pass  # turned away
            client.close()
        assert time.monotonic() - started < 9
        assert post(port, "secret") == 204
