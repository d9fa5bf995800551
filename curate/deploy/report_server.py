"""The report on this machine: `python -m curate.deploy.report_server 4280 report.html` serves that one file.

It is read anew for each request, so the page is always the newest one. Nothing else of the project can be reached.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from curate.core.network import is_loopback

HOST = "127.0.0.1"
_NONE_YET = (
    b"<!doctype html><title>curate</title><p>There is no report yet: <code>curate run</code> writes one."
)


class ReportServer(ThreadingHTTPServer):
    """A server of one page."""

    daemon_threads = True

    def __init__(self, port: int, page: Path) -> None:
        """Listen on a port of this machine; `page`: the report."""
        super().__init__((HOST, port), _Handler)
        self.page = page


class _Handler(BaseHTTPRequestHandler):
    server: ReportServer

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").rpartition(":")[0]
        if not is_loopback(host):  # a page of elsewhere whose name leads to this machine
            self._answer(403, b"")
        elif self.path == "/health":
            self._answer(200, b"ok")
        elif self.path not in ("/", f"/{self.server.page.name}"):
            self._answer(404, b"")
        else:
            try:
                self._answer(200, self.server.page.read_bytes())
            except OSError:
                self._answer(200, _NONE_YET)

    def log_message(self, format: str, *args: object) -> None:
        return

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ReportServer(int(sys.argv[1]), Path(sys.argv[2])).serve_forever()
