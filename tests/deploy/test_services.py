"""Processes that are started, known by number and start time, and ended; the server of the report; the doctor."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.deploy.doctor.needs import list_clear_secrets, list_needed_extras
from curate.deploy.report_server import ReportServer
from curate.deploy.service_records import MARK, end_service, read_records, record_process, write_records
from curate.deploy.service_start import ServiceCommand, find_port, start_service
from tests.cli.test_app import call, project

__all__ = ["project"]

FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[str]]:
    """A process with a child in a session of its own, as workers start runs."""
    process = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    children = psutil.Process(process.pid).children()
    yield process
    for left in [*children, process]:
        if left.poll() is None if isinstance(left, subprocess.Popen) else left.is_running():
            left.kill()
    process.wait()
    process.stdout.close()


def test_a_service_is_ended_with_its_children_and_only_if_it_is_the_same_process(
    family: subprocess.Popen[str], tmp_path: Path
) -> None:
    record = record_process("worker", family.pid, url="", log="")
    write_records(tmp_path / "records.json", [record])
    (read,) = read_records(tmp_path / "records.json")
    assert read == record
    (child,) = psutil.Process(family.pid).children()
    earlier = dataclasses.replace(
        record, started=record.started - 1
    )  # the number was another process's before
    assert not end_service(earlier)
    assert family.poll() is None
    assert end_service(record)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    family.wait(30)
    assert not end_service(record)


LATE = """
import signal, subprocess, sys

def start_another(number, frame):
    program = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(program, stdout=subprocess.DEVNULL, start_new_session=True)
    print(child.pid, flush=True)
    sys.exit()

signal.signal(signal.SIGTERM, start_another)
print("up", flush=True)
signal.pause()
"""


def test_what_a_service_starts_while_it_ends_is_ended_too() -> None:
    command = [sys.executable, "-c", LATE]
    environment = os.environ | {MARK: "m1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "up\n"
        assert end_service(record_process("worker", service.pid, url="", log="", mark="m1"))
        late = int(service.stdout.readline())
    assert not psutil.pid_exists(late) or psutil.Process(late).status() == psutil.STATUS_ZOMBIE


def test_a_damaged_record_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "records.json").write_text("[{}]")
    with pytest.raises(CurateError, match="by hand"):
        read_records(tmp_path / "records.json")


def test_a_service_that_ends_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    service = ServiceCommand(
        name="Broken",
        command=[sys.executable, "-c", "raise SystemExit('no disk')"],
        is_ready=lambda: False,
        folder=tmp_path,
    )
    with pytest.raises(CurateError, match=r"Broken ended while it was starting.*no disk"):
        start_service(service, tmp_path / "log", lambda record: None)


def test_a_taken_port_is_not_chosen() -> None:
    port = find_port(0)
    server = ReportServer(port, Path("none"))
    assert find_port(port) != port
    server.server_close()


def ask(port: int, path: str, host: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_the_report_is_served_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    (tmp_path / "curate.yaml").write_text("secret")
    with ReportServer(0, page) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port = server.server_address[1]
        assert b"no report yet" in ask(port, "/")[1]
        page.write_text("<h1>Report</h1>")
        assert ask(port, "/") == (200, b"<h1>Report</h1>")
        assert ask(port, "/report.html") == (200, b"<h1>Report</h1>")
        for path in ("/curate.yaml", "/../curate.yaml", "//curate.yaml", "/.curate"):
            assert ask(port, path) == (404, b"")
        assert ask(port, "/", host="evil.example:80") == (403, b"")
        server.shutdown()


def test_down_where_nothing_was_started(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "down") == 0
    assert "nothing is running" in capsys.readouterr().out


def test_the_doctor_says_what_the_project_lacks(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert call(monkeypatch, "doctor", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"]
    assert {check["status"] for check in document["checks"]} <= {"ok", "note", "warning"}
    port = find_port(0)
    with (project / "curate.yaml").open("a", encoding="utf-8") as file:
        options = (
            f"kind: openai, url: 'http://127.0.0.1:{port}/v1', model: m, extra: {{api_key: sk-abcdef123}}"
        )
        file.write(f"engines: {{away: {{{options}}}}}\n")
    assert call(monkeypatch, "doctor", "--json") == 1
    out = capsys.readouterr().out
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert checks["engine away"]["status"] == "missing"
    assert checks["secrets"]["status"] == "warning"
    assert "engines.away.extra.api_key" in out
    assert "sk-abcdef123" not in out


def test_the_extras_that_a_project_needs(tmp_path: Path) -> None:
    (tmp_path / "curate.yaml").write_text(
        "engines: {a: {kind: vllm, model: m}}\ntrain: {embedder: e}\nlake: {data: 's3://x/y'}\nverify: {overlap: 2}\n"
    )
    needed = list_needed_extras(load_config(tmp_path / "curate.yaml"))
    assert needed == {"vllm": "engines.a", "models": "train", "label-studio": "verify", "s3": "lake.data"}


def test_secrets_are_found_by_name_and_in_addresses() -> None:
    document = {
        "lake": {"catalog": "postgresql://me:hunter2@db/x"},
        "ingest": [{"fields": {"key": "id"}}],
        "a": {"token_env": "T"},
    }
    assert list_clear_secrets(document) == ["lake.catalog"]
    assert list_clear_secrets({"lake": {"catalog": "postgresql://me:${PASSWORD}@db/x"}}) == []
