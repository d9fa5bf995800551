"""`curate verify media`: shows annotators the images and videos that are not on the web."""

from __future__ import annotations

import sys
import threading
from typing import Annotated
from urllib.parse import urlsplit

import typer

from curate.cli.documents import ServingMedia
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.program_output import print_document
from curate.core.errors import CurateError
from curate.core.network import is_loopback
from curate.core.terminal import print_line


def serve_task_media(
    host: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; default: that of `verify.media`.")
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> ServingMedia:
    """Serve images and videos of tasks by signed links while people answer, until interrupted."""
    from curate.verify.media_server import serve_media

    settings = load_config(config)
    if not is_loopback(host):
        print_line(
            f"warning: other machines reach the media at {host} by their links, which are not encrypted: keep them on "
            "a private network, or put a proxy with TLS before them",
            file=sys.stderr,
        )
    with open_lake(settings, read_only=True) as lake:
        try:
            with serve_media(lake, settings, host=host, port=port) as listening:
                print_line(f"serving media on {host}:{listening}, for links at {settings.verify.media}")
                serving = ServingMedia(f"http://{host}:{listening}", settings.verify.media)
                print_document(serving)
                threading.Event().wait()
                return serving
        except OSError as error:
            where = f"{host}:{urlsplit(settings.verify.media).port if port is None else port}"
            raise CurateError(f"Cannot listen on {where}: {error}; name another port with --port.") from error
