"""A real Label Studio for tests: SQLite, a data folder of its own, three annotators who can sign in.

The first boot migrates an empty database for a minute, so that is done once and kept beside the server's
environment; each test session starts from a copy.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

HOME = Path(__file__).parents[2] / ".venvs" / "label-studio"
PASSWORD = "correct-horse-1"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
ADMIN = "admin@example.com"


@dataclass
class LabelStudioServer:
    """Start, stop and kill it as often as a test likes; its address and data stay."""

    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    tokens: dict[str, str] = field(default_factory=dict)  # address → legacy token

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        settings = {
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.data),
            "DJANGO_DB": "sqlite",
            "LABEL_STUDIO_USERNAME": ADMIN,
            "LABEL_STUDIO_PASSWORD": PASSWORD,
            "LABEL_STUDIO_USER_TOKEN": TOKEN,
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "SECRET_KEY": "tests-only",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            "LATEST_VERSION_CHECK": "false",
            "COLLECT_ANALYTICS": "false",
            "SSRF_PROTECTION_ENABLED": "false",  # or it would not call a webhook on this machine
            "LABEL_STUDIO_HOST": self.url,
        }
        command = [str(HOME / "bin" / "label-studio"), "start", "--no-browser"]
        command += ["--internal-host", "127.0.0.1", "--port", str(self.port)]
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with (self.data / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=inherited | settings, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(900):
            assert self.process.poll() is None, (self.data / "log").read_text()[-2000:]
            try:
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise AssertionError("Label Studio did not answer in three minutes")

    def kill(self) -> None:
        process, self.process = self.process, None  # first: a timer kills while a test starts the next one
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def sign_up(self, address: str) -> None:
        """Make an annotator, as a person does, and note their token."""
        with httpx.Client(base_url=self.url, timeout=60, follow_redirects=True) as browser:
            page = browser.get("/user/signup/").text
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
            assert found is not None
            form = {"csrfmiddlewaretoken": found[1], "email": address, "password": PASSWORD}
            browser.post("/user/signup/", data=form, headers={"Referer": self.url}).raise_for_status()
            self.tokens[address] = browser.get("/api/current-user/token").json()["token"]

    def api(self, address: str = ADMIN) -> httpx.Client:
        headers = {"Authorization": f"Token {self.tokens.get(address, TOKEN)}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=300)


def available() -> None:
    if not (HOME / "bin" / "label-studio").exists():
        reason = "Label Studio's environment is not built: run `make .venvs/label-studio/.built`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def migrated() -> Path:
    """A data folder with an empty, migrated database; made once, by whichever process comes first."""
    folder = HOME / "migrated"
    with (HOME / "migrated.lock").open("w") as lock:
        fcntl.flock(
            lock, fcntl.LOCK_EX
        )  # two test processes would otherwise both make it, and the second rename fails
        if not folder.exists():
            making = HOME / "migrating"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            server = LabelStudioServer(making, free_port())
            server.start()
            server.kill()
            making.rename(folder)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(folder: Path, annotators: list[str]) -> LabelStudioServer:
    available()
    shutil.copytree(migrated(), folder)
    server = LabelStudioServer(folder, free_port())
    server.start()
    for address in annotators:
        server.sign_up(address)
    return server
