"""Runs that show up in a real Prefect server: by `PREFECT_API_URL`, and as a deployment's worker opens the flow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from curate.config.project import load_config
from curate.lake.lake import Lake
from curate.lake.status import read_status
from tests.e2e.conftest import RULES, Start, make_project
from tests.e2e.test_run import finish
from tests.e2e.test_verify_loop import LOOP

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]


def ask_server(url: str, path: str, question: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{url}/{path}", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=400) as answer:
        return json.load(answer)


def states_of(url: str, flow: str) -> list[tuple[str, str]]:
    """Type and name of the last state of each run of a flow."""
    runs = ask_server(url, "flow_runs/filter", {"flows": {"name": {"any_": [flow]}}})
    return [(run["state"]["type"], run["state"]["name"]) for run in runs]


def test_a_run_shows_up_in_the_server_and_does_what_a_local_run_does(
    prefect_server: str, tmp_path: Path, curate: Start
) -> None:
    project = make_project(tmp_path / "project", RULES)
    told = finish(curate("run", folder=project, PREFECT_API_URL=prefect_server))
    assert "report.html" in told
    assert states_of(prefect_server, "curation") == [("COMPLETED", "Completed")]
    tasks = ask_server(prefect_server, "task_runs/filter", {"limit": 200})
    names = {task["name"].rsplit("-", 1)[0] for task in tasks}
    stages = {"ingest", "judge", "aggregate", "export", "evaluate", "report"}
    assert names == stages | {"judge length: chunk 0", "judge repetition: chunk 0"}
    # A run without the server finds all of it done: both take the same way through the same stages.
    assert finish(curate("run", folder=project)).count("nothing to do") == 6
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        assert read_status(lake).reconciles


def test_a_mistake_is_one_sentence_there_too(prefect_server: str, tmp_path: Path, curate: Start) -> None:
    project = make_project(tmp_path / "project", RULES)
    (project / "responses-2.jsonl").unlink()
    told = finish(curate("run", folder=project, PREFECT_API_URL=prefect_server), expect=1)
    assert "responses-2.jsonl" in told


BLOCK = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Webhook
Webhook(name="pager", url=sys.argv[1], json_data={"text": "{{subject}}: {{body}}"}).save("pager", overwrite=True)
"""


def test_people_hear_of_a_failure(prefect_server: str, tmp_path: Path, curate: Start) -> None:
    heard: list[str] = []

    class Pager(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["content-length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            return

    project = make_project(
        tmp_path / "project", RULES + "deploy: {name: rules, notify: custom-webhook/pager}\n"
    )
    (project / "responses-2.jsonl").unlink()
    with ThreadingHTTPServer(("127.0.0.1", 0), Pager) as pager:
        threading.Thread(target=pager.serve_forever, args=(0.05,), daemon=True).start()
        subprocess.run(
            [sys.executable, "-c", BLOCK, f"http://127.0.0.1:{pager.server_port}"],
            env=os.environ | {"PREFECT_API_URL": prefect_server}, check=True,
        )  # fmt: skip
        finish(curate("run", folder=project, PREFECT_API_URL=prefect_server), expect=1)
        pager.shutdown()
    (message,) = heard
    assert "curation of rules failed" in message
    assert "responses-2.jsonl" in message


def test_the_loop_ends_in_a_state_that_waits_for_people(
    prefect_server: str, project: Path, curate: Start
) -> None:
    with (project / "curate.yaml").open("a", encoding="utf-8") as file:
        file.write(LOOP)
    finish(curate("ingest", folder=project))
    told = finish(curate("verify", "loop", folder=project, PREFECT_API_URL=prefect_server))
    assert "24 questions wait for people" in told
    assert states_of(prefect_server, "verification") == [("COMPLETED", "WaitingForPeople")]


def test_a_worker_opens_the_flow_by_its_module_where_the_package_is_installed(
    prefect_server: str, tmp_path: Path
) -> None:
    site = tmp_path / "site"  # as the wheel lays it out: the flows are a package inside `curate`
    site.mkdir()
    (site / "curate").symlink_to(ROOT / "curate")
    code = (
        "import curate, sys; curate.__path__.append(sys.argv[1]);"
        "from prefect.flows import load_flow_from_entrypoint as load;"
        "print(load('curate.flows.curation.curation').name, load('curate.flows.verify.verification').name)"
    )
    beside = tmp_path / "installed"
    beside.mkdir()
    (beside / "flows").symlink_to(ROOT / "flows")
    done = subprocess.run(
        [sys.executable, "-c", code, str(beside)],
        env=os.environ | {"PREFECT_API_URL": prefect_server, "PYTHONPATH": str(site)},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["curation", "verification"], done.stderr
