"""Judges of different servers are asked at the same time, and all else is as if they were not."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from math import log
from pathlib import Path
from typing import Any

import pytest

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.engine.openai.http_client import Call, HttpClient, RetryPolicy
from curate.judge import Panel, judge_responses
from curate.judge.lanes import split_lanes
from curate.lake.lake import Lake
from tests.engine.openai.test_http_client import Behave, Reply, Rude

MakeConfig = Callable[[str], Config]
PAIRS = 12 * 6  # of sample_lake
CONTENT = "SELECT * EXCLUDE (seconds, run_id) FROM judgments WHERE revision <> 'imported' ORDER BY ALL"
YAML = """
engines:
  fast: {{kind: openai, url: "http://127.0.0.1:{fast}", model: fast, price_in: 1}}
  slow: {{kind: openai, url: "http://127.0.0.1:{slow}", model: slow, price_in: 1}}
judge:
  chunk: 2
  {limit}
  judges:
    - {{name: quick, kind: pairwise, engine: fast}}
    - {{name: thorough, kind: pairwise, engine: slow{thorough}}}
    - {{name: long, kind: rule, rule: length}}
"""


def make_reply(tokens: int = 10) -> Reply:
    likely = [{"token": "A", "logprob": log(0.7)}, {"token": "B", "logprob": log(0.3)}]
    step = likely[0] | {"top_logprobs": likely}
    choice = {
        "index": 0,
        "message": {"content": "A"},
        "finish_reason": "stop",
        "logprobs": {"content": [step]},
    }
    usage = {"prompt_tokens": tokens, "completion_tokens": 1}
    return 200, {}, json.dumps({"choices": [choice], "usage": usage}).encode()


def is_question(body: dict[str, Any]) -> bool:
    """Tell questions from the probes of what the server can do."""
    return "Let me explain" in json.dumps(body)


@pytest.fixture
def serve() -> Iterator[Callable[[str, Behave], Rude]]:
    running: list[Rude] = []

    def start(model: str, behave: Behave) -> Rude:
        running.append(Rude(behave))
        running[-1].models = json.dumps({"data": [{"id": model, "owned_by": "somebody"}]}).encode()
        return running[-1]

    yield start
    for server in running:
        server.stop()


def yaml(fast: Rude, slow: Rude, *, limit: str = "", thorough: str = "") -> str:
    return YAML.format(fast=fast.port, slow=slow.port, limit=limit, thorough=thorough)


def test_two_servers_are_asked_at_the_same_time_with_the_same_rows(
    sample_lake: Lake, make_config: MakeConfig, serve: Callable[[str, Behave], Rude]
) -> None:
    meeting = threading.Barrier(2, timeout=60)  # whoever asks one server after the other never passes it
    met: set[str] = set()
    apart = False

    def make_behave(name: str) -> Behave:
        def behave(body: dict[str, Any], seen: int) -> Reply:
            if is_question(body) and name not in met and not apart:
                met.add(name)
                meeting.wait()
            return make_reply()

        return behave

    config = make_config(yaml(serve("fast", make_behave("fast")), serve("slow", make_behave("slow"))))
    summary = judge_responses(sample_lake, config)
    assert met == {"fast", "slow"}
    assert summary.counts.rows_kept == 2 * 2 * PAIRS + PAIRS
    together = sample_lake.rows(CONTENT)
    with sample_lake.write("start over") as writer:
        writer.delete("judgments", "revision <> 'imported'")
        writer.delete("runs", "true")
    apart = True
    for name in ("quick", "thorough", "long"):
        judge_responses(sample_lake, config, only=[name])
    assert sample_lake.rows(CONTENT) == together
    assert judge_responses(sample_lake, config).skipped


def test_lanes_follow_the_engines(make_config: MakeConfig) -> None:
    config = make_config(
        """
engines:
  a: {kind: openai, url: "http://127.0.0.1:9", model: a}
  b: {kind: openai, url: "http://127.0.0.1:9", model: b}
judge:
  judges:
    - {name: a-1, kind: pairwise, engine: a}
    - {name: rule-1, kind: rule, rule: length}
    - {name: b-1, kind: pairwise, engine: b}
    - {name: a-2, kind: pairwise, engine: a, criteria: true}
    - {name: rule-2, kind: rule, rule: repetition}
"""
    )
    with Panel(config) as panel:
        lanes = split_lanes(list(panel.judges.values()))
    assert [[configured.name for configured in lane] for lane in lanes] == [
        ["rule-1", "rule-2"], ["a-1", "a-2"], ["b-1"]
    ]  # fmt: skip


def test_a_judge_that_comes_after_another_waits_for_it(
    sample_lake: Lake, make_config: MakeConfig, serve: Callable[[str, Behave], Rude]
) -> None:
    asked: list[str] = []

    def make_behave(name: str) -> Behave:
        def behave(body: dict[str, Any], seen: int) -> Reply:
            if is_question(body):
                asked.append(name)
            return make_reply()

        return behave

    servers = serve("fast", make_behave("fast")), serve("slow", make_behave("slow"))
    judge_responses(sample_lake, make_config(yaml(*servers, thorough=", after: [quick], uncertain: 0.5")))
    assert asked.count("fast") == 2 * PAIRS
    assert "slow" in asked
    assert "slow" not in asked[: 2 * PAIRS]


def test_the_budget_holds_for_both_together(
    sample_lake: Lake, make_config: MakeConfig, serve: Callable[[str, Behave], Rude]
) -> None:
    servers = [serve(name, lambda body, seen: make_reply(149)) for name in ("fast", "slow")]
    config = make_config(yaml(*servers, limit="max_tokens: 20000"))
    summary = judge_responses(sample_lake, config)
    taken = summary.counts.tokens_in + summary.counts.tokens_out
    assert 10_000 < taken <= 20_000
    assert "max_tokens 20,000" in summary.note
    counts = dict(
        sample_lake.rows(
            "SELECT annotator_id, count(*) FROM judgments WHERE revision <> 'imported' GROUP BY 1"
        )
    )
    assert counts["long"] == PAIRS  # what costs nothing is judged all the same


def test_an_interrupt_keeps_the_chunks_in_flight_of_both(
    sample_lake: Lake,
    make_config: MakeConfig,
    serve: Callable[[str, Behave], Rude],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pressed, both = threading.Event(), threading.Barrier(2, timeout=60, action=lambda: pressed.set())
    begun: set[str] = set()

    def make_behave(name: str) -> Behave:
        def behave(body: dict[str, Any], seen: int) -> Reply:
            if is_question(body) and name not in begun:
                begun.add(name)
                both.wait()
            return make_reply()

        return behave

    @contextlib.contextmanager
    def press_when_both_are_asked() -> Iterator[Callable[[], bool]]:
        yield pressed.is_set

    monkeypatch.setattr("curate.judge.stage.defer_sigint", press_when_both_are_asked)
    config = make_config(yaml(serve("fast", make_behave("fast")), serve("slow", make_behave("slow"))))
    config = config.model_copy(
        update={"judge": config.judge.model_copy(update={"judges": config.judge.judges[:2]})}
    )
    with pytest.raises(KeyboardInterrupt):
        judge_responses(sample_lake, config)
    query = "SELECT annotator_id, count(*) FROM judgments WHERE revision <> 'imported' GROUP BY 1 ORDER BY 1"
    assert sample_lake.rows(query) == [
        ("quick", 24),
        ("thorough", 24),
    ]  # a chunk each: 2 prompts × 6 pairs × 2


def test_the_error_of_one_server_ends_the_run_and_keeps_what_others_said(
    sample_lake: Lake, make_config: MakeConfig, serve: Callable[[str, Behave], Rude]
) -> None:
    answered = threading.Event()

    def refuse(body: dict[str, Any], seen: int) -> Reply:
        if not is_question(body):
            return make_reply()
        answered.wait(60)
        return 401, {}, b'{"error": {"message": "who are you"}}'

    def answer(body: dict[str, Any], seen: int) -> Reply:
        if is_question(body):
            answered.set()
        return make_reply()

    config = make_config(yaml(serve("fast", refuse), serve("slow", answer)))
    with pytest.raises(CurateError, match="refuses every request"):
        judge_responses(sample_lake, config)
    kept = sample_lake.value("SELECT count(*) FROM judgments WHERE annotator_id = 'thorough'")
    assert 0 < kept <= 2 * PAIRS


def test_closing_a_client_ends_what_another_thread_is_waiting_for(
    serve: Callable[[str, Behave], Rude], tmp_path: Path
) -> None:
    arrived, leave = threading.Event(), threading.Event()

    def keep_waiting(body: dict[str, Any], seen: int) -> Reply:
        arrived.set()
        leave.wait(60)
        return make_reply()

    server = serve("slow", keep_waiting)
    client, ended = HttpClient(f"http://127.0.0.1:{server.port}", None, RetryPolicy()), []

    def post() -> None:
        try:
            client.post_calls([Call("/x", {})])
        except BaseException as error:
            ended.append(type(error).__name__)

    thread = threading.Thread(target=post)
    thread.start()
    assert arrived.wait(60)
    client.close()
    thread.join(60)
    leave.set()
    assert ended == ["CancelledError"]
