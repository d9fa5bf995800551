"""How `make test` comes by a browser: each way in its turn, none that may not be gone, and one sentence at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests import browser

ROOT = Path(__file__).parents[1]
Program = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Write a program into the only folder of the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def write(name: str, *, code: int = 0, under: Path = folder) -> Path:
        (under / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (under / name).chmod(0o755)
        return under / name

    return write


@pytest.fixture
def download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Playwright's own browser would be; it is not there yet."""
    monkeypatch.setattr(browser, "locate_download", lambda: str(tmp_path / "chrome"))
    return tmp_path


class Machine:
    """Commands that were run in place of the real ones, and what those that work do."""

    def __init__(self, works: Mapping[str, Callable[[], object]]) -> None:
        self.works, self.ran = works, list[str]()

    def __call__(self, command: Sequence[str], **options: object) -> bool:
        if command[-1] == "--version":
            return subprocess.run(command).returncode == 0 if Path(command[0]).exists() else False
        line = " ".join(command)
        self.ran.append(line)
        for part, effect in self.works.items():
            if part in line:
                return effect() is not False
        return False


def on(monkeypatch: pytest.MonkeyPatch, **works: Callable[[], object]) -> Machine:
    machine = Machine(works)
    monkeypatch.setattr(browser, "succeeds", machine)
    return machine


def test_one_on_the_path_is_taken_and_nothing_is_fetched(
    program: Program, download: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chrome = program("google-chrome")
    machine = on(monkeypatch)
    assert browser.provide_browser() == chrome
    assert machine.ran == []


def test_one_that_does_not_start_is_passed_over(program: Program, download: Path) -> None:
    program("chromium-browser", code=1)  # as Ubuntu's, which says how to get the snap
    assert browser.find_browser() is None
    own = program("chrome", under=download)
    assert browser.find_browser() == own
    chrome = program("google-chrome")
    assert browser.find_browser() == chrome


def test_playwright_s_download_comes_before_the_package_manager(
    program: Program, download: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("apt-get")
    machine = on(monkeypatch, playwright=lambda: program("chrome", under=download))
    assert browser.provide_browser() == download / "chrome"
    assert len(machine.ran) == 1


def test_root_installs_the_package_and_lists_are_fetched_where_they_are_missing(
    program: Program, download: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    lists: list[str] = []
    machine = on(
        monkeypatch,
        update=lambda: lists.append("main"),
        install=lambda: bool(lists) and program("chromium") and True,
    )
    found = browser.provide_browser()
    assert found is not None
    assert found.name == "chromium"
    steps = [next(word for word in line.split() if word in ("install", "update")) for line in machine.ran]
    assert steps == ["install", "install", "update", "install"]  # the first is Playwright's
    assert not any("sudo" in line for line in machine.ran)


def test_another_user_needs_a_sudo_without_a_password(
    program: Program, download: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    machine = on(monkeypatch)
    assert browser.provide_browser() is None
    assert machine.ran[-1] == "sudo -n true"
    machine = on(monkeypatch, **{"-n true": lambda: True, "chromium": lambda: program("chromium") and True})
    machine.works = {name: effect for name, effect in machine.works.items() if name != "playwright"}
    assert browser.fetch_by_apt()
    assert machine.ran[-1].startswith("sudo -n env DEBIAN_FRONTEND=noninteractive apt-get")


def test_a_machine_without_apt_is_left_alone(
    program: Program, download: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = on(monkeypatch)
    assert not browser.fetch_by_apt()
    assert machine.ran == []


@pytest.mark.e2e
def test_where_nothing_works_it_says_so_in_one_sentence(tmp_path: Path) -> None:
    """The real commands: an empty PATH, and a download server that refuses."""
    environment = os.environ | {
        "PATH": str(tmp_path),
        "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "browsers"),
        "PLAYWRIGHT_DOWNLOAD_HOST": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.browser"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.strip() == browser.ADVICE
