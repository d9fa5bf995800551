"""`curate verify watch`: takes in answers as people give them.

Label Studio calls a small receiver on each change (a webhook with a secret header). A call says only that something
changed, and a pull finds out what. So calls that come twice, late, in another order or never do no harm: there is a
pull every `every` seconds in any case.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from curate.config.project import Config
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.verify.pull import pull_answers
from curate.verify.server import LabelStudioClient, LabelStudioError

HEADER = "X-Curate-Secret"
ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED")
SETTLE_SECONDS = 1.0  # seconds to wait for more calls before pulling


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
        timeout = 10

        def do_POST(self) -> None:
            known = hmac.compare_digest(self.headers.get(HEADER, "").encode(), secret.encode())
            if known:
                changed.set()
            self.send_response(204 if known else 403)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass  # a port scan would fill the log

    with ThreadingHTTPServer((host, port), Handler) as server:
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
