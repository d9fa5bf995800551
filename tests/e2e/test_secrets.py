"""Twelve secrets are planted where users have them; nothing that commands leave behind holds one (fault 7)."""

from __future__ import annotations

import http.server
import json
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.config.project import load_config
from curate.lake.lake import Lake
from tests.e2e.conftest import Start, make_project

pytestmark = pytest.mark.e2e

SECRETS = {
    "OPENAI_API_KEY": "sk-PLANT01-abcdef",
    "HF_TOKEN": "hf_PLANT02ghijkl",
    "LABEL_STUDIO_API_KEY": "PLANT03mnopqrstuvwxyz0123456789abcdef",
    "LAKE_PASSWORD": "PLANT04p@ss/w0rd",
    "AWS_SECRET_ACCESS_KEY": "PLANT05/AbC+123",
    "DATABASE_URL": "mysql://root:PLANT06-root@db.example/x",
    "ENDPOINT_SEVEN": "PLANT07-of-an-odd-name",
    "WANDB_API_KEY": 'PLANT08"quoted\\key',
    "SLACK_WEBHOOK_URL": "https://hooks.example/PLANT09/T000/B000",
    "CURATE_ANNOTATOR_KEY": "PLANT10" * 5,
}
LITERAL = {"header": "PLANT11-in-the-file", "url": "PLANT12-of-a-url"}
MARKS = [f"PLANT{number:02}" for number in range(1, 13)]

LEAKING = '''
import os
from curate.judge.base import Answer, Judge

class Leaking(Judge):
    """Repeats everything that it can see, as a broken program would."""
    kind = "rule"
    form = "pairwise"
    def answer(self, questions):
        everything = repr(dict(os.environ)) + " PLANT11-in-the-file https://me:PLANT12-of-a-url@studio.example/"
        if os.environ.get("BREAK_JUDGE"):
            raise RuntimeError("cannot go on: " + everything)
        return [Answer(outcome="a", rationale=everything, raw=everything) for _ in questions]
'''

CONFIG = """
lake: {{catalog: null}}
ingest:
  - {{source: responses-1.jsonl}}
  - {{source: votes.jsonl, kind: judgments}}
engines:
  remote: {{kind: openai, url: "{url}/v1", model: m, api_key_env: ENDPOINT_SEVEN, retries: 0, outage: 0,
           extra: {{authorization: "Bearer PLANT11-in-the-file"}}}}
judge:
  judges:
    - {{name: length, kind: rule, rule: length}}
    - {{name: leaking, kind: "./leaking.py:Leaking"}}
    - {{name: remote, kind: pairwise, engine: remote}}
verify: {{url: "{studio}"}}
export:
  - {{path: export/parquet, format: parquet, jsonl: true}}
  - {{path: export/pairs, format: trl-preference}}
"""


class _Echo(http.server.BaseHTTPRequestHandler):
    """A server that refuses, and repeats the key in its reason."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        text = json.dumps({"error": {"message": f"bad key in {dict(self.headers)}"}}).encode()
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as echo:
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{echo.server_address[1]}"
        echo.shutdown()


@pytest.fixture
def planted(tmp_path: Path, server: str) -> Path:
    address = f"http://{server}"
    project = make_project(tmp_path / "project", CONFIG.format(url=address, studio=address))
    (project / "leaking.py").write_text(LEAKING)
    return project


def call(curate: Start, *arguments: str, folder: Path, **settings: str) -> str:
    """Everything that a command prints, whatever its exit code."""
    process = curate(*arguments, folder=folder, **SECRETS | settings)
    out, err = process.communicate(timeout=300)
    assert "Traceback" not in out + err or "--debug" in arguments or "PREFECT_LOGGING_LEVEL" in settings
    return out + err


def find_marks(text: str) -> list[str]:
    return [mark for mark in MARKS if mark in text]


def read_everything(folder: Path) -> dict[str, str]:
    """Each file as text: Parquet as rows, databases as their dump, all else as bytes."""
    texts: dict[str, str] = {}
    for file in sorted(folder.rglob("*")):
        if (
            not file.is_file()
            or file.name in ("curate.yaml", "leaking.py")
            or file.parent.name == "__pycache__"
        ):
            continue
        name = str(file.relative_to(folder))
        if file.suffix == ".parquet":
            texts[name] = repr(pq.ParquetFile(file).read().to_pylist())
        else:
            texts[name] = file.read_bytes().decode("utf-8", "replace")
            if file.suffix in (".sqlite", ".db"):
                with sqlite3.connect(file) as database:
                    texts[name] += "\n".join(database.iterdump())
    return texts


def assert_clean(printed: str, folder: Path) -> None:
    assert not find_marks(printed), printed
    leaks = {name: marks for name, text in read_everything(folder).items() if (marks := find_marks(text))}
    assert not leaks


def test_a_run_leaves_none_of_twelve_secrets_behind(planted: Path, curate: Start) -> None:
    printed = call(curate, "ingest", folder=planted)
    printed += call(curate, "judge", "-j", "length", "-j", "leaking", folder=planted)
    printed += call(curate, "judge", folder=planted)  # the server refuses, and repeats the key
    printed += call(curate, "judge", folder=planted, BREAK_JUDGE="1")
    for command in ("aggregate", "export", "report", "status", "rank"):
        printed += call(curate, command, folder=planted)
    printed += call(curate, "explain", "--full", first_prompt(planted), folder=planted)
    printed += call(
        curate,
        "sql",
        "SELECT rationale, raw FROM judgments WHERE annotator_id = 'leaking'",
        "-f",
        "csv",
        folder=planted,
    )
    assert "[secret]" in printed
    printed += call(curate, "verify", "plan", "-n", "5", folder=planted)
    printed += call(curate, "verify", "push", folder=planted)
    assert (planted / "report.html").exists()
    assert (planted / "export" / "parquet" / "manifest.json").exists()
    assert_clean(printed, planted)
    page = (planted / "report.html").read_text() + (planted / "export" / "pairs" / "README.md").read_text()
    assert str(planted.parent) not in page
    config = (planted / "curate.yaml").read_text()
    for with_password in (
        'verify: {url: "http://me:PLANT12-of-a-url@',
        'engines: {e: {kind: openai, model: m, url: "http://me:PLANT12-of-a-url@',
    ):
        (planted / "curate.yaml").write_text(
            with_password + 'studio.example/"}' + "}" * with_password.startswith("e")
        )
        for arguments in (["verify", "push"], ["judge"], ["status"]):
            assert not find_marks(call(curate, *arguments, folder=planted))
    (planted / "curate.yaml").write_text(config)


def first_prompt(project: Path) -> str:
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        return str(lake.value("SELECT min(prompt_id) FROM prompts"))


def test_fault_7_a_password_of_an_unreachable_catalog_is_printed_by_no_command(
    tmp_path: Path, curate: Start
) -> None:
    project = make_project(
        tmp_path / "project", 'lake: {catalog: "postgresql://curate:${LAKE_PASSWORD}@127.0.0.1:9/lake"}\n'
    )
    for arguments in (["status"], ["ingest"], ["run"], ["gc"], ["sql", "SELECT 1"], ["--debug", "status"]):
        printed = call(curate, *arguments, folder=project)
        assert "Cannot open" in printed or "--debug" in arguments
        assert not find_marks(printed), printed


def test_arguments_of_children_hold_no_secret(planted: Path, curate: Start) -> None:
    process = curate("judge", folder=planted, **SECRETS)
    seen = ""
    while process.poll() is None:
        seen += subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    process.communicate()
    assert "curate.cli.app" in seen
    assert not find_marks(seen)


@pytest.mark.timeout(900)
def test_prefect_stores_no_secret(
    planted: Path, curate: Start, prefect_server: str, prefect_home: Path
) -> None:
    printed = call(curate, "ingest", folder=planted)
    settings = {
        "PREFECT_API_URL": prefect_server,
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_TO_API_ENABLED": "true",
    }
    printed += call(curate, "run", folder=planted, BREAK_JUDGE="1", **settings)
    project = planted.parent / "postgres"
    printed += call(
        curate, "run",
        folder=make_project(project, 'lake: {catalog: "postgresql://curate:${LAKE_PASSWORD}@127.0.0.1:9/lake"}\n'),
        **settings,
    )  # fmt: skip
    assert "[secret]" in printed  # both runs failed, and quoted what they must not
    assert not find_marks(printed)
    stored = "".join(read_everything(prefect_home).values())
    assert "Flow run encountered an exception" in stored
    assert not find_marks(stored)
