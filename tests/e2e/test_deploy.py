"""A project under a real Prefect server and worker, as `curate up` starts them: schedules, retries, kills, pages."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from curate.config.project import load_config
from curate.lake.lake import Lake
from curate.lake.status import read_status
from tests.browser import require_browser
from tests.e2e.conftest import TRAINED, Start, make_project
from tests.e2e.label_studio import HOME, PASSWORD, TOKEN, available, free_port, migrated
from tests.e2e.test_prefect import ask_server
from tests.e2e.test_run import finish
from tests.e2e.test_verify_loop import LOOP, answer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CONFIG = """
ingest: [{source: responses-1.jsonl}]
judge:
  chunk: 1
  judges:
    - {name: length, kind: rule, rule: length}
    - {name: slow, kind: "./slow.py:Slow"}
aggregate: {annotator_model: majority, guarantee: null}
deploy:
  name: nightly-test
  retry_delay: 0.1
  schedules: {nightly: every 8s}
"""

SLOW = '''
import pathlib, time
from curate.judge import Judge, JudgeOptions, from_margin

HERE = pathlib.Path(__file__).parent

class Slow(Judge):
    """Writes down what it is asked; breaks once where a file says so."""
    kind = "rule"
    Options = JudgeOptions

    def answer(self, questions):
        time.sleep(0.4)
        order = HERE / "break-once"
        if order.exists():
            order.unlink()
            raise RuntimeError("broken once")
        with (HERE / "asked").open("a") as file:
            file.writelines(f"{q.item.prompt_id} {q.shown} {[c.response_id for c in q.asked]}\\n" for q in questions)
        return [from_margin(len(q.asked[0].text) - len(q.asked[1].text)) for q in questions]
'''


def wait_for(condition: Callable[[], Any], seconds: float = 400) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.3)
    return value


@pytest.fixture
def project(tmp_path: Path, curate: Start) -> Iterator[Path]:
    folder = make_project(tmp_path / "project", CONFIG)
    (folder / "slow.py").write_text(SLOW, encoding="utf-8")
    (folder / "break-once").touch()
    yield folder
    finish(curate("down", folder=folder))


def read_records(project: Path) -> dict[str, dict[str, Any]]:
    text = (project / ".curate" / "services" / "records.json").read_text(encoding="utf-8")
    return {record["name"]: record for record in json.loads(text)}


def list_processes(project: Path) -> set[int]:
    """Processes of the services: their folder is in the environment of each."""
    mark, running = str(project / ".curate" / "services"), set()
    for process in psutil.process_iter():
        try:
            home = process.environ().get("PREFECT_HOME", "") + " ".join(process.cmdline())
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if mark in home or str(project / "report.html") in home:
            running.add(process.pid)
    return running - {os.getpid()}


def count_asked(project: Path) -> int:
    path = project / "asked"
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


def test_the_nightly_run_fires_retries_and_is_taken_up_after_a_kill(project: Path, curate: Start) -> None:
    options = ["--no-label-studio", "--prefect-port", str(free_port()), "--report-port", str(free_port())]
    fast = {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    told = finish(curate("up", *options, folder=project, **fast))
    assert "created curation/nightly-test-nightly (every 8s)" in told
    records = read_records(project)
    url = records["Prefect"]["url"] + "/api"
    connected = {"PREFECT_API_URL": url, "PREFECT_HOME": str(project / ".curate/services/prefect")}

    assert "nothing to change" in finish(curate("deploy", folder=project, **connected))

    wait_for(lambda: count_asked(project) >= 4)  # by its schedule: nobody has asked for a run
    retried = ask_server(
        url, "task_runs/filter", {"task_runs": {"name": {"like_": "judge slow"}}, "limit": 200}
    )
    assert max(task["run_count"] for task in retried) == 2  # broken once, and done by the second try

    worker = psutil.Process(records["Prefect worker"]["pid"])
    for process in [worker, *worker.children(recursive=True)]:
        process.send_signal(signal.SIGKILL)
    before = count_asked(project)
    told = finish(curate("up", *options, folder=project, **fast))
    assert "created" not in told
    assert read_records(project)["Prefect"] == records["Prefect"]  # only what is missing is started

    done = wait_for(lambda: list_finished(url))
    asked = Counter((project / "asked").read_text(encoding="utf-8").splitlines())
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        judged = lake.value("SELECT count(*) FROM judgments WHERE annotator_id = 'slow'")
        assert read_status(lake).reconciles
    assert len(asked) == judged >= before  # all is judged; on a slow machine it may have been before the kill
    assert (
        sum(asked.values()) - judged <= 2 * 6
    )  # and asked again is what was in flight: a chunk or two at most

    look_at_pages(records, done[0])
    finish(curate("down", folder=project))
    assert not list_processes(project)


def list_finished(url: str) -> list[dict[str, Any]]:
    question = {"flow_runs": {"state": {"name": {"any_": ["Completed"]}}}, "sort": "END_TIME_DESC"}
    return list(ask_server(url, "flow_runs/filter", question))


def look_at_pages(records: dict[str, dict[str, Any]], run: dict[str, Any]) -> None:
    """The run's page shows its stages, the artifact's page the table, the report's address the report."""
    from playwright.sync_api import sync_playwright

    browser_path, base = require_browser(), records["Prefect"]["url"]
    question = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}, "key": {"like_": "curation"}}}
    artifact = ask_server(f"{base}/api", "artifacts/filter", question)[0]
    with sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=browser_path, args=options)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"{base}/runs/flow-run/{run['id']}")
        page.get_by_text(re.compile("judge: (in|nothing)")).first.wait_for(timeout=60_000)  # its log
        save_picture(page, "run")
        page.goto(f"{base}/artifacts/artifact/{artifact['id']}")
        page.get_by_role("cell", name="aggregate", exact=True).wait_for(timeout=60_000)
        save_picture(page, "artifact")
        page.goto(records["report"]["url"])
        page.get_by_role("heading", name="Preference data report").first.wait_for(timeout=60_000)
        save_picture(page, "report")
        browser.close()


def save_picture(page: Any, name: str) -> None:
    """Where `CURATE_PICTURES` names a folder: so that a person can look at what the test saw."""
    if folder := os.environ.get("CURATE_PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png")


def test_up_starts_a_label_studio_that_takes_questions(tmp_path: Path, curate: Start) -> None:
    available()
    port = free_port()
    rules = "  judges: [{name: length, kind: rule, rule: length}, {name: repetition, kind: rule, rule: repetition}]\n"
    project = make_project(
        tmp_path / "project",
        f"ingest: [{{source: responses-1.jsonl}}]\njudge:\n{rules}aggregate: {{annotator_model: majority}}\n"
        f"verify: {{url: 'http://127.0.0.1:{port}'}}\n",
    )
    data = project / ".curate" / "services" / "label-studio"
    data.parent.mkdir(parents=True)
    shutil.copytree(migrated(), data)  # or the first boot migrates an empty database for a minute
    credentials = {
        "password": PASSWORD,
        "token": TOKEN,
        "key": "tests-only",
    }  # its administrator is there already
    data.with_name("label-studio.json").write_text(json.dumps(credentials), encoding="utf-8")
    options = ["--prefect-port", str(free_port()), "--report-port", str(free_port())]
    settings = {"CURATE_LABEL_STUDIO": str(HOME / "bin" / "label-studio")}
    try:
        told = finish(curate("up", *options, folder=project, **settings))
        assert "created verify-pull/project-hourly (7 * * * * UTC)" in told
        lines = (project / ".curate/services/environment").read_text(encoding="utf-8").splitlines()
        exported = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        token = {"LABEL_STUDIO_API_KEY": exported["LABEL_STUDIO_API_KEY"]}
        for command in ("ingest", "judge", "aggregate"):
            finish(curate(command, folder=project))
        finish(curate("verify", "plan", "-n", "5", folder=project))
        assert "5" in finish(curate("verify", "push", folder=project, **token))
    finally:
        finish(curate("down", folder=project))
    assert not list_processes(project)


def test_a_run_of_the_loop_pauses_until_people_have_answered(tmp_path: Path, curate: Start) -> None:
    project = make_project(tmp_path / "project", TRAINED + LOOP + "deploy: {schedules: {nightly: null}}\n")
    options = ["--no-label-studio", "--prefect-port", str(free_port()), "--report-port", str(free_port())]
    try:
        finish(curate("ingest", folder=project))
        told = finish(curate("up", *options, folder=project, PREFECT_WORKER_QUERY_SECONDS="1"))
        assert "created verification/project" in told
        assert "not deployed: verify-pull: people answer offline" in told
        url = read_records(project)["Prefect"]["url"] + "/api"
        (deployment,) = ask_server(url, "deployments/filter", {"flows": {"name": {"any_": ["verification"]}}})
        run = ask_server(url, f"deployments/{deployment['id']}/create_flow_run", {})

        def wait_for_state(kind: str) -> None:
            question = {"flow_runs": {"id": {"any_": [run["id"]]}, "state": {"type": {"any_": [kind]}}}}
            wait_for(lambda: ask_server(url, "flow_runs/filter", question), 400)

        wait_for_state("PAUSED")
        assert answer(project, curate) == 24
        ask_server(url, f"flow_runs/{run['id']}/resume", {})
        wait_for_state("COMPLETED")
        with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
            assert lake.value("SELECT max(iteration) FROM preferences") == 2
    finally:
        finish(curate("down", folder=project))
