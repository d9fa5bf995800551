"""Start a service on this machine in the background, and wait until it answers."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curate.core.errors import CurateError
from curate.deploy.service_records import MARK, ServiceRecord, record_process

HOST = "127.0.0.1"
_NO_PROXY = {"no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost"}
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCommand:
    """A service that can be started.

    Attributes:
        name: Its name.
        command: Program and arguments.
        environment: Variables beside those of this process.
        url: Its address; "" for a service without one.
        is_ready: Tells whether it answers.
        seconds: How long it may take to answer.
        folder: Its working folder.
    """

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool]
    folder: Path
    url: str = ""
    seconds: float = 120.0
    environment: Mapping[str, str] = field(default_factory=dict)


def start_service(
    service: ServiceCommand, log: Path, on_start: Callable[[ServiceRecord], None]
) -> ServiceRecord:
    """Start a service, and return when it answers.

    Args:
        service: The service.
        log: File that its output is added to.
        on_start: Called as soon as the process is there, before it answers.

    Raises:
        CurateError: It cannot be started, ends at once or does not answer.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex
    environment = os.environ | _NO_PROXY | dict(service.environment) | {MARK: mark}
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                service.command, env=environment, cwd=service.folder, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise CurateError(f"{service.name} cannot be started: {error}.") from error
    record = record_process(service.name, process.pid, url=service.url, log=str(log), mark=mark)
    on_start(record)
    deadline = time.monotonic() + service.seconds
    while not service.is_ready():
        if process.poll() is not None:
            raise CurateError(
                f"{service.name} ended while it was starting; its log {log} ends so: {_read_end(log)}"
            )
        if time.monotonic() > deadline:
            raise CurateError(
                f"{service.name} does not answer after {service.seconds:.0f} s: see its log {log}. `curate down` ends "
                "what was started."
            )
        time.sleep(0.2)
    return record


def answers(url: str) -> bool:
    """Tell whether an address of this machine answers a GET with a success."""
    try:
        with _direct.open(url, timeout=5) as response:
            return 200 <= int(response.status) < 300
    except (OSError, http.client.HTTPException):
        return False


def connects(host: str, port: int) -> bool:
    """Tell whether a server takes connections."""
    try:
        with socket.create_connection((host, port), timeout=3):
            return True
    except OSError:
        return False


def find_port(wanted: int) -> int:
    """Return a port of this machine that is free: the one wanted, or another one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
                return int(probe.getsockname()[1])
            except OSError:
                continue
    raise CurateError("No port of this machine is free.")


def _read_end(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return " ".join([line.strip() for line in lines if line.strip()][-3:])[-500:]
