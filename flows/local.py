"""Running the flow here and now: Prefect in this process, its API in a child, no server to set up."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from curate.runs import Summary

if TYPE_CHECKING:
    from flows.verify import LoopRun

_QUIET = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",  # errors are told once, by the command line
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # nothing leaves the machine
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}
# When this process is killed outright, Prefect's API process would live on: a shell that outlives both ends it.
_WATCH = 'while kill -0 "$1" && kill -0 "$2"; do sleep 1; done 2>/dev/null; kill "$2" 2>/dev/null'


def run_curation(config: Path) -> list[Summary]:
    """Run `flows.curation.curation` in this process and return what each stage did."""
    with _prefect():
        from flows.curation import curation

        return curation(str(config.resolve()))


def run_verification(config: Path) -> LoopRun:
    """Run `flows.verify.verification` in this process, as far as it goes without people."""
    with _prefect():
        from flows.verify import verification

        return verification(str(config.resolve()))


@contextlib.contextmanager
def _prefect() -> Iterator[None]:
    """With `PREFECT_API_URL` set, runs show up in that server; otherwise a temporary API is started."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with contextlib.nullcontext() if os.environ.get("PREFECT_API_URL") else _temporary_api():
        yield


@contextlib.contextmanager
def _temporary_api() -> Iterator[None]:
    """Prefect's own temporary API (it would start it by itself), watched."""
    from prefect.server.api.server import SubprocessASGIServer

    with SubprocessASGIServer() as server:
        process = server.server_process
        if process is not None and os.name == "posix":
            quiet = subprocess.DEVNULL
            arguments = ["/bin/sh", "-c", _WATCH, "watch", str(os.getpid()), str(process.pid)]
            subprocess.Popen(arguments, start_new_session=True, stdin=quiet, stdout=quiet, stderr=quiet)
        yield
