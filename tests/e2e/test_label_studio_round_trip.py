"""The round trip against a real server: recorded votes of people, second thoughts, crashes, webhooks."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.lake.lake import Lake
from curate.verify import push as pushing
from curate.verify.pull import pull_answers
from curate.verify.push import push_tasks
from curate.verify.server import TOKEN_VARIABLE, LabelStudioClient, LabelStudioProject
from curate.verify.status import read_verify_status
from curate.verify.watch import HEADER, open_receiver, watch_answers
from tests.e2e.conftest import ANNOTATORS
from tests.e2e.label_studio import TOKEN, LabelStudioServer
from tests.verify.samples import fill, make_task, write_project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
MARK = {"A": "left-2", "B": "right-2", "tie": "tie"}  # the recorded votes name places


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)


def the_project(config: Config, form: str = "pairwise") -> tuple[LabelStudioProject, dict[str, list[int]]]:
    with LabelStudioClient.connect(config.verify) as server:
        found = server.find_project(f"{config.verify.project} - {form}")
        assert found is not None
        return found, server.list_task_keys(found)


def verdict(choice: str) -> list[dict[str, Any]]:
    return [{"from_name": "verdict", "to_name": "left", "type": "choices", "value": {"choices": [choice]}}]


def vote(
    server: LabelStudioServer, person: str, project: LabelStudioProject, choices: dict[int, str]
) -> None:
    """Answer many tasks as one person: suggestions are imported, and the person accepts them all."""
    with server.api(person) as api:
        told = [
            {"task": task, "model_version": person, "result": verdict(choice)}
            for task, choice in choices.items()
        ]
        api.post(f"/api/projects/{project.id}/import/predictions", json=told).raise_for_status()
        everything = {"selectedItems": {"all": True, "excluded": []}, "model_version": person}
        action = f"/api/dm/actions?id=predictions_to_annotations&project={project.id}"
        api.post(action, json=everything).raise_for_status()


def contents(lake: Lake) -> list[tuple[Any, ...]]:
    columns = "judgment_id, annotator_id, response_a, response_b, outcome, shown, supersedes"
    return lake.rows(f"SELECT {columns} FROM judgments ORDER BY ALL")


def test_recorded_votes_reconcile(
    label_studio: LabelStudioServer, lake: Lake, tmp_path: Path, shared_data: Path
) -> None:
    """PandaLM's pairs with the votes of its three annotators, repeated to 1,000 tasks × 3."""
    rows = pl.read_parquet(shared_data / "pandalm" / "items.parquet").to_dicts()
    rows = (rows * 2)[:1000]
    made = [make_task(at, [str(row["response_a"]), f"{row['response_b']} "]) for at, row in enumerate(rows)]
    config = write_project(tmp_path / "ws", url=label_studio.url, project="recorded", overlap=3)
    fill(lake, made)
    pushed = push_tasks(lake, config)
    assert (pushed.counts.rows_in, pushed.counts.rows_kept) == (1000, 1000)
    project, keys = the_project(config)
    assert sorted(keys) == sorted(task.task_id for _, _, task in made)
    assert all(len(ids) == 1 for ids in keys.values())

    expected: Counter[tuple[str, str]] = Counter()
    for number, person in enumerate(ANNOTATORS, start=1):
        choices = {}
        for (_, responses, task), row in zip(made, rows, strict=True):
            first = responses[0].response_id
            order = orders(lake, config, task.task_id, task.responses)
            said = row[f"annotator{number}"]
            flipped = {"A": "B", "B": "A", "tie": "tie"}[said] if order[0] != first else said
            choices[keys[task.task_id][0]] = MARK[flipped]
            winner = "tie" if said == "tie" else first if said == "A" else responses[1].response_id
            expected[task.task_id, winner] += 1
        vote(label_studio, person, project, choices)

    pulled = pull_answers(lake, config)
    assert (pulled.counts.rows_in, pulled.counts.rows_kept) == (3000, 3000)
    found: Counter[tuple[str, str]] = Counter()
    for raw, outcome, a, b in lake.rows("SELECT raw, outcome, response_a, response_b FROM judgments"):
        found[json.loads(raw)["task"], {"a": a, "b": b, "tie": "tie"}[outcome]] += 1
    assert found == expected
    assert lake.rows("SELECT annotator_id, count(*) FROM judgments GROUP BY 1 ORDER BY 1") == [
        (person.annotator_id, 1000) for person in sorted(read_verify_status(lake, config).people, key=str)
    ]
    told = json.dumps(lake.arrow("SELECT * FROM judgments").to_pylist()) + str(
        lake.rows("SELECT * FROM runs")
    )
    assert TOKEN not in told
    assert "@example.com" not in told
    snapshot = lake.snapshot()
    for again in (
        push_tasks(lake, config),
        pull_answers(lake, config),
        pull_answers(lake, config, everything=True),
    ):
        assert again.skipped
    assert lake.snapshot() == snapshot


def orders(lake: Lake, config: Config, task: str, responses: tuple[str, ...]) -> tuple[str, ...]:
    import random

    return tuple(random.Random(task).sample(responses, len(responses)))


def test_second_thoughts(label_studio: LabelStudioServer, lake: Lake, tmp_path: Path) -> None:
    """Edits, deletions, skips, two annotations of one person, a deleted project."""
    config = write_project(tmp_path / "ws", url=label_studio.url, project="thoughts")
    tasks = fill(lake, [make_task(at, ["one", "two"]) for at in range(6)])
    push_tasks(lake, config)
    project, keys = the_project(config)
    ids = [keys[task.task_id][0] for task in tasks]
    with label_studio.api(ANNOTATORS[0]) as ada:

        def answer(task: int, choice: str, **more: Any) -> int:
            body = {"result": verdict(choice), "lead_time": 7.5} | more
            return int(ada.post(f"/api/tasks/{task}/annotations/", json=body).raise_for_status().json()["id"])

        first, second, *_ = [answer(task, "left-2") for task in ids[:4]]
        answer(ids[4], "tie", was_cancelled=True)
        assert pull_answers(lake, config).counts.rows_kept == 5
        assert lake.rows("SELECT outcome, seconds FROM judgments WHERE raw->>'skipped' = 'true'") == [
            ("abstain", 7.5)
        ]
        ada.patch(f"/api/annotations/{first}/", json={"result": verdict("both-bad")}).raise_for_status()
        ada.delete(f"/api/annotations/{second}/").raise_for_status()
        answer(ids[2], "right-1")  # the same person again: the newer one counts
        changed = pull_answers(lake, config)
        assert changed.counts.rows_kept == 3
        assert changed.counts.rows_in == changed.counts.rows_kept + changed.counts.rows_duplicate
        now = dict(lake.rows("SELECT task, outcome FROM human_judgments"))
        assert now[tasks[0].task_id] == "tie"
        assert now[tasks[1].task_id] == "abstain"
        assert lake.value("SELECT count(*) FROM judgments WHERE supersedes IS NOT NULL") == 3
        kept = contents(lake)
        assert pull_answers(lake, config, everything=True).skipped
        ada.delete(f"/api/projects/{project.id}/").raise_for_status()
    assert pull_answers(lake, config).skipped
    assert contents(lake) == kept
    again = push_tasks(
        lake, config
    )  # a new project, with what is not answered yet: the deleted, the skipped, the new one
    assert again.counts.rows_kept == 3
    assert again.counts.rows_duplicate == 3


def test_a_server_killed_while_pushing_and_pulling(
    label_studio: LabelStudioServer, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_project(tmp_path / "ws", url=label_studio.url, project="killed", overlap=3)
    tasks = fill(lake, [make_task(at, [f"one {at}", f"two {at}"]) for at in range(600)])
    monkeypatch.setattr(pushing, "RECOVERY_SECONDS", 1.0)
    bare = LabelStudioClient.import_tasks
    sent: list[int] = []
    in_the_import = threading.Timer(0.15, label_studio.kill)

    def dies(self: LabelStudioClient, project: LabelStudioProject, some: Any) -> None:
        sent.append(len(some))
        if len(sent) == 2:  # in the middle of the second batch
            in_the_import.start()
        if len(sent) > 2:  # a fast server ends the second batch first: the third one never reaches it
            in_the_import.join()
        bare(self, project, some)

    monkeypatch.setattr(LabelStudioClient, "import_tasks", dies)
    with pytest.raises(CurateError, match=r"Label Studio at .* run the same command again to continue"):
        push_tasks(lake, config)
    in_the_import.join()
    with pytest.raises(CurateError, match="cannot be reached"):
        pull_answers(lake, config)
    assert read_verify_status(lake, config).trouble is not None
    monkeypatch.setattr(LabelStudioClient, "import_tasks", bare)
    label_studio.start()
    assert push_tasks(lake, config).counts.rows_kept >= 100
    project, keys = the_project(config)
    assert sorted(keys) == sorted(task.task_id for task in tasks)
    assert all(len(ids) == 1 for ids in keys.values())

    for person in ANNOTATORS[:2]:
        vote(label_studio, person, project, {ids[0]: "left-1" for ids in keys.values()})
    in_the_pull = threading.Timer(0.3, label_studio.kill)
    in_the_pull.start()
    with pytest.raises(CurateError, match="run the same command again to continue"):
        while True:  # until it dies under one of them
            pull_answers(lake, config, everything=True)
    in_the_pull.join()
    label_studio.start()
    pull_answers(lake, config)
    assert lake.rows("SELECT count(*), count(DISTINCT (annotator_id, raw->>'task')) FROM judgments") == [
        (1200, 1200)
    ]


def test_a_request_that_arrived_although_it_failed(
    label_studio: LabelStudioServer, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does the import, and its answer is lost: nothing is sent twice."""
    config = write_project(tmp_path / "ws", url=label_studio.url, project="lost")
    fill(lake, [make_task(at, ["one", "two"]) for at in range(5)])
    bare = LabelStudioClient.import_tasks
    calls: list[int] = []

    def loses(self: LabelStudioClient, project: LabelStudioProject, some: Any) -> None:
        calls.append(len(some))
        bare(self, project, some)
        raise pushing.LabelStudioError("the answer was lost")

    monkeypatch.setattr(LabelStudioClient, "import_tasks", loses)
    assert push_tasks(lake, config).counts.rows_kept == 5
    assert calls == [5]
    assert sorted(len(ids) for ids in the_project(config)[1].values()) == [1] * 5


@pytest.mark.filterwarnings("ignore:The `parse_obj` method")  # inside the SDK
def test_a_wrong_token_is_told_without_it(
    label_studio: LabelStudioServer, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_project(tmp_path / "ws", url=label_studio.url, project="token")
    fill(lake, [make_task(1, ["one", "two"])])
    monkeypatch.setenv(TOKEN_VARIABLE, "f" * 40)
    with pytest.raises(CurateError, match="refuses the token in LABEL_STUDIO_API_KEY") as refused:
        push_tasks(lake, config)
    assert "f" * 40 not in str(refused.value)
    with label_studio.api() as admin:  # a personal access token does as well
        admin.post("/api/jwt/settings", json={"api_tokens_enabled": True, "legacy_api_tokens_enabled": True})
        made = admin.post("/api/token/").raise_for_status().json()["token"]
    monkeypatch.setenv(TOKEN_VARIABLE, made)
    assert push_tasks(lake, config).counts.rows_kept == 1


@pytest.fixture
def watched(label_studio: LabelStudioServer, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start `watch` in a thread, with a lake of its own connection."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(config: Config, location: Any) -> None:
        def run() -> None:
            with Lake.open(location) as lake:
                watch_answers(lake, config, every=600, stop=stop)

        threads.append(threading.Thread(target=run))
        threads[0].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join(60)


def test_webhooks_bring_answers_in(
    label_studio: LabelStudioServer, lake: Lake, tmp_path: Path, watched: Callable[..., Any]
) -> None:
    """Calls come for each answer, then twice and out of order by hand: each answer is there once."""
    config = write_project(tmp_path / "ws", url=label_studio.url, project="hooks")
    tasks = fill(lake, [make_task(at, ["one", "two"]) for at in range(4)])
    push_tasks(lake, config)
    project, keys = the_project(config)
    watched(config, lake.location)
    with label_studio.api() as admin, label_studio.api(ANNOTATORS[1]) as ben:
        hook = until(lambda: admin.get(f"/api/webhooks/?project={project.id}").json())[0]
        for task in tasks:
            body = {"result": verdict("left-1"), "lead_time": 2.0}
            ben.post(f"/api/tasks/{keys[task.task_id][0]}/annotations/", json=body).raise_for_status()
        count = "SELECT count(*) FROM judgments"
        until(lambda: lake.value(count) == 4)
        for action in ("ANNOTATIONS_DELETED", "ANNOTATION_CREATED", "ANNOTATION_CREATED"):
            called = httpx.post(hook["url"], json={"action": action}, headers=hook["headers"])
            assert called.status_code == 204
        assert httpx.post(hook["url"], json={}, headers={HEADER: "guessed"}).status_code == 403
        time.sleep(4)
        assert lake.value(count) == 4


def until(found: Callable[[], Any], *, seconds: float = 90) -> Any:
    ends = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.3)
    return value


def test_the_receiver_wants_its_secret() -> None:
    changed = threading.Event()
    with open_receiver("right", changed, host="127.0.0.1", port=0) as port:
        url = f"http://127.0.0.1:{port}"
        assert httpx.post(url, headers={HEADER: "wrong"}).status_code == 403
        assert httpx.post(url).status_code == 403
        assert not changed.is_set()
        assert httpx.post(url, headers={HEADER: "right"}).status_code == 204
        assert changed.is_set()
