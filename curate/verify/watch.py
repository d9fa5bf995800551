"""`curate verify watch`: takes in answers as people give them.

Label Studio calls a small receiver on each change (a webhook with a secret header). A call says only that something
changed, and a pull finds out what. So calls that come twice, late, in another order or never do no harm: there is a
pull every `every` seconds in any case.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from curate.config.project import Config
from curate.core.network import is_same_key
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.verify.pull import pull_answers
from curate.verify.server import LabelStudioClient, LabelStudioError

HEADER = "X-Curate-Secret"
ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED")
MOST_CLIENTS = 32  # at a time
CLIENT_SECONDS = 15.0  # for one call, however slowly its bytes come
SETTLE_SECONDS = 1.0  # seconds to wait for more calls before pulling


class BoundedServer(ThreadingHTTPServer):
    """A server that serves so many clients at a time and turns others away: a call that is lost costs a wait only."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(MOST_CLIENTS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that went away or was cut


@contextmanager
def open_receiver(secret: str, changed: threading.Event, *, host: str, port: int) -> Iterator[int]:
    """Listen for calls that carry a secret, until the context ends.

    Args:
        secret: Value of the header `HEADER`; calls without it are refused.
        changed: Set at each call.
        host: Interface to listen on.
        port: Port to listen on; 0: any free one.

    Yields:
        The port.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds without a byte

        def setup(self) -> None:
            super().setup()
            self._deadline = threading.Timer(CLIENT_SECONDS, self._cut_client)
            self._deadline.daemon = True
            self._deadline.start()

        def finish(self) -> None:
            self._deadline.cancel()
            with suppress(OSError):  # it was cut
                super().finish()

        def _cut_client(self) -> None:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def do_POST(self) -> None:
            known = is_same_key(self.headers.get(HEADER, ""), secret)
            if known:
                changed.set()
            self.send_response(204 if known else 403)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass  # a port scan would fill the log

    with BoundedServer((host, port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def watch_answers(
    lake: Lake,
    config: Config,
    *,
    every: float = 60.0,
    host: str = "127.0.0.1",
    port: int = 0,
    address: str | None = None,
    on_pull: Callable[[Summary], None] = lambda summary: None,
    on_error: Callable[[LabelStudioError], None] = lambda error: None,
    stop: threading.Event | None = None,
) -> None:
    """Pull whenever something changed, until `stop` is set.

    Args:
        lake: The project's lake, open for writing.
        config: The project; `verify.url` names the server.
        every: Longest time between pulls, in seconds.
        host: Interface to listen on.
        port: Port to listen on; 0: any free one.
        address: URL under which Label Studio reaches the receiver; default: `http://host:port`.
        on_pull: Called after each pull that found something.
        on_error: Called when the server does not answer; it is asked again later.
        stop: Set by the caller to end watching.
    """
    secret, changed, stop = secrets.token_urlsafe(32), threading.Event(), stop or threading.Event()
    with open_receiver(secret, changed, host=host, port=port) as bound:
        url = address or f"http://{host}:{bound}"
        registered: set[int] = set()
        try:
            while not stop.is_set():
                try:
                    _register_webhooks(config, url, secret, registered)
                    summary = pull_answers(lake, config)
                    if not summary.skipped:
                        on_pull(summary)
                except LabelStudioError as error:
                    on_error(error)
                _wait_for_change(changed, stop, every)
        finally:
            _delete_webhooks(config, url)


def _wait_for_change(changed: threading.Event, stop: threading.Event, every: float) -> None:
    """Return soon after a change, after `every` seconds without one, or when asked to stop."""
    ends = time.monotonic() + every
    while not stop.is_set() and not changed.is_set() and time.monotonic() < ends:
        changed.wait(min(0.5, max(0.0, ends - time.monotonic())))
    if changed.is_set():
        stop.wait(SETTLE_SECONDS)
        changed.clear()  # before the pull: a call during it asks for another one


def _register_webhooks(config: Config, url: str, secret: str, registered: set[int]) -> None:
    """Register our webhook with all projects; a project that has it already gets the new secret."""
    with LabelStudioClient.connect(config.verify) as server:
        for project in server.list_projects(config.verify.project):
            if project.id not in registered:
                server.register_webhook(project, url, headers={HEADER: secret}, actions=ACTIONS)
                registered.add(project.id)


def _delete_webhooks(config: Config, url: str) -> None:
    try:
        with LabelStudioClient.connect(config.verify) as server:
            for project in server.list_projects(config.verify.project):
                server.delete_webhook(project, url)
    except LabelStudioError:
        pass  # the webhook stays until the next watch and does no harm
