"""What keeps a run from hanging in Prefect, and that a run without it starts nothing (faults 29 and 33)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curate.cli.prefect_flows import prepare_environment
from tests.cli.test_app import project

__all__ = ["project"]

MAIN = [sys.executable, "-c", "from curate.cli.app import main; main()"]


def test_fault_33_a_server_on_this_machine_is_not_asked_for_through_a_proxy(tmp_path: Path) -> None:
    environment = {
        "PREFECT_API_URL": "http://127.0.0.1:4200/api",
        "HOME": str(tmp_path),
        "no_proxy": "a.example",
    }
    prepare_environment(environment)
    assert environment["no_proxy"] == "a.example,127.0.0.1"
    assert environment["NO_PROXY"] == "127.0.0.1"
    assert "PREFECT_HOME" not in environment
    elsewhere = {"PREFECT_API_URL": "https://prefect.example/api", "HOME": str(tmp_path)}
    prepare_environment(elsewhere)
    assert "no_proxy" not in elsewhere


@pytest.mark.parametrize("home", ["", "/nonexistent", "/proc"])
def test_fault_33_a_home_that_cannot_be_written_is_not_used(home: str) -> None:
    environment = {"PREFECT_API_URL": "http://127.0.0.1:4200/api", "HOME": home}
    prepare_environment(environment)
    assert os.access(environment["PREFECT_HOME"], os.W_OK)


def test_fault_29_no_server_is_started_beside_the_one_that_is_named() -> None:
    environment = {"PREFECT_API_URL": "http://127.0.0.1:4200/api"}
    prepare_environment(environment)
    assert environment["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] == "false"


@pytest.mark.parametrize("wait", [0.5, 2.0])
def test_fault_29_a_run_that_is_ended_while_starting_leaves_no_process(project: Path, wait: float) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    run = subprocess.Popen(
        [*MAIN, "run"], cwd=project, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    time.sleep(wait)
    run.send_signal(signal.SIGTERM)
    run.wait(60)
    time.sleep(0.2)
    left = subprocess.run(
        ["ps", "-o", "pid=,args=", "--sid", str(run.pid)], capture_output=True, text=True, check=False
    )
    assert left.stdout.strip() == ""


def test_fault_33_a_run_behind_a_dead_proxy_does_not_hang(project: Path) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PREFECT_API_URL", "no_proxy", "NO_PROXY")
    }
    environment |= dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
    )
    done = subprocess.run(
        [*MAIN, "run"], cwd=project, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
