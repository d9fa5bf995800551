"""The browser that tests drive. `make test` sees to it before anything long runs:

python -m tests.browser     # finds or fetches one and prints where it is, or says in one sentence what to do
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ADVICE = (
    "The tests of what annotators see need Chromium or Chrome, and none is here or could be fetched: install one "
    "(on Debian `sudo apt-get install chromium`), or leave these tests out with `make test FAST=1`."
)


def find_browser() -> Path | None:
    """Return a browser that starts: one on the PATH, else the one that Playwright has downloaded."""
    for path in map(shutil.which, NAMES):
        if path is not None and starts(path):
            return Path(path)
    path = locate_download()
    return Path(path) if path is not None and starts(path) else None


def starts(path: str) -> bool:
    """Whether it runs at all: libraries may be missing, and Ubuntu's `chromium-browser` may be a mere note."""
    return succeeds([path, "--version"], timeout=120)


def locate_download() -> str | None:
    """Return where Playwright keeps its own Chromium, whether it has been downloaded or not."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return None
    try:
        with sync_playwright() as driver:
            return driver.chromium.executable_path
    except Error:
        return None


def fetch_by_playwright() -> bool:
    """Download Playwright's Chromium; where its server cannot be reached, give up within half a minute."""
    patience = {"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "5000"}  # milliseconds, five times
    command = [sys.executable, "-m", "playwright", "install", "--no-shell", "chromium"]
    return succeeds(command, environment=patience | os.environ)


def fetch_by_apt() -> bool:
    """Install Debian's package, as root or with a sudo that asks for no password."""
    if shutil.which("apt-get") is None:
        return False
    sudo: list[str] = []
    if os.geteuid() != 0:
        sudo = ["sudo", "-n"]
        if not succeeds([*sudo, "true"], timeout=60):
            return False
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-o", "DPkg::Lock::Timeout=120"]
    install = [*apt, "install", "--no-install-recommends", "chromium"]
    # Where the lists of packages are missing or old, the first try fails.
    return succeeds(install) or (succeeds([*apt, "update"]) and succeeds(install))


def succeeds(
    command: Sequence[str], *, timeout: float | None = None, environment: Mapping[str, str] | None = None
) -> bool:
    """Run a command without showing what it prints, and return whether it ended with 0."""
    try:
        return subprocess.run(command, capture_output=True, timeout=timeout, env=environment).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def provide_browser() -> Path | None:
    """Find a browser, or fetch one in whatever way works here."""
    browser = find_browser()
    for name, fetch in (("Playwright's download", fetch_by_playwright), ("apt-get", fetch_by_apt)):
        if browser is None:
            print(f"no browser yet: trying {name}", flush=True)
            browser = find_browser() if fetch() else None
    return browser


def require_browser() -> Path:
    """Find the browser of a test; without one the test fails in CI, and is skipped elsewhere."""
    import pytest  # `make browser` runs this file without it

    browser = find_browser()
    if browser is None:
        if os.environ.get("CI"):
            pytest.fail("there is no Chromium or Chrome: run `make browser`")
        pytest.skip("there is no Chromium or Chrome on this machine: run `make browser`")
    return browser


def main() -> int:
    browser = provide_browser()
    if browser is None:
        print(ADVICE, file=sys.stderr)
        return 1
    print(f"browser: {browser}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
