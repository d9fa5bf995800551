"""`curate verify media`: serves the images and videos of tasks to annotators' browsers, by signed links.

Only what the lake holds is served, only where the rules of `images` let it be opened, and only after it was decoded
(images) or recognised (videos): what is no picture and no film is never sent, whatever a row calls it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from curate.config.project import Config
from curate.core.network import is_same_key
from curate.data.conversation import load_messages
from curate.data.embedded_media import read_image, read_video
from curate.data.media import UnreadableImageError
from curate.lake.lake import Lake
from curate.verify.media_links import MediaLinks, list_media
from curate.verify.watch import BoundedServer

_PATH = re.compile(r"(?:/.*)?/([0-9a-f]{32})/(\d{1,6})/([0-9a-f]{32})")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_QUERY = """
SELECT messages FROM prompts WHERE prompt_id = ?
UNION ALL SELECT messages FROM responses WHERE response_id = ? LIMIT 1
"""
_CACHED = 32  # media that are kept in memory
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, max-age=3600",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Accept-Ranges": "bytes",
}


class MediaShelf:
    """The media of a lake, by prompt or response and place."""

    def __init__(self, lake: Lake, config: Config) -> None:
        self._lake, self._access = lake, config.image_access()
        self._lock = threading.Lock()
        self.read = lru_cache(_CACHED)(self._read)

    def _read(self, owner: str, place: int) -> tuple[bytes, str]:
        """Read a medium and its type; LookupError where there is none, UnreadableImageError where it cannot be read."""
        with self._lock:
            ((stored,),) = self._lake.rows(_QUERY, [owner, owner]) or (((),),)
        part = list_media(load_messages(stored))[place]
        return (read_video if part.type == "video" else read_image)(part, self._access)


@contextmanager
def serve_media(
    lake: Lake, config: Config, *, host: str = "127.0.0.1", port: int | None = None
) -> Iterator[int]:
    """Serve media until the context ends.

    Args:
        lake: The project's lake.
        config: The project: `verify.media` is the address, `images` the rules.
        host: Interface to listen on.
        port: Port to listen on; 0: any free one; None: that of `verify.media`.

    Yields:
        The port.
    """
    links, shelf = MediaLinks.open(config), MediaShelf(lake, config)
    wanted = urlsplit(config.verify.media).port or 0 if port is None else port
    site = urlsplit(config.verify.url)

    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds without a byte

        def do_GET(self) -> None:
            self._reply(with_body=True)

        def do_HEAD(self) -> None:
            self._reply(with_body=False)

        def _reply(self, *, with_body: bool) -> None:
            match = _PATH.fullmatch(urlsplit(self.path).path)
            if match is None or not is_same_key(match[3], links.sign(match[1], int(match[2]))):
                self._refuse(403, "no link of this project")
                return
            try:
                content, mime_type = shelf.read(match[1], int(match[2]))
            except LookupError:
                self._refuse(404, "it is not in the lake any more")
                return
            except UnreadableImageError as error:
                self._refuse(404, str(error))
                return
            start, end = _find_range(self.headers.get("Range", ""), len(content))
            is_part = (start, end) != (0, len(content))
            self.send_response(206 if is_part else 200)
            if is_part:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
            self.send_header("Content-Type", mime_type)
            self.send_header("Content-Length", str(end - start))
            self.send_header("Access-Control-Allow-Origin", f"{site.scheme}://{site.netloc}")
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(content[start:end])

        def _refuse(self, status: int, reason: str) -> None:
            content = reason.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with BoundedServer((host, wanted), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def _find_range(header: str, size: int) -> tuple[int, int]:
    """Return the first byte and the one after the last that a client asks for; all, where it asks for nothing sound."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return 0, size
    if not match[1]:
        return max(0, size - int(match[2])), size
    start, end = int(match[1]), int(match[2]) + 1 if match[2] else size
    return (start, min(end, size)) if start < min(end, size) else (0, size)
