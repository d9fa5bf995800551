"""The judge stage: every question once, failures retried to a limit, and the same tables however often it is killed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.ingest import ingest_responses
from curate.judge import Panel, answer_chunk, commit_chunks, judge_responses, plan_chunks
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.records import Message, Part

MakeConfig = Callable[[str], Config]
PAIRS = 12 * 6  # of sample_lake
YAML = """
engines:
  m: {{kind: "./scripted.py:Scripted"{engine}}}
judge:
  chunk: 5
  judges:
    - {{name: llm, kind: pairwise, engine: m{llm}}}
    - {{name: long, kind: rule, rule: length}}
"""
CONTENT = "SELECT * EXCLUDE (seconds, run_id) FROM judgments WHERE revision <> 'imported' ORDER BY ALL"


def yaml(*, engine: str = "", llm: str = "") -> str:
    return YAML.format(engine=f", {engine}" if engine else "", llm=f", {llm}" if llm else "")


def asked(folder: Path) -> int:
    log = folder / "asked.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def judgments(lake: Lake, name: str = "llm") -> list[tuple[object, ...]]:
    return lake.rows(
        "SELECT outcome, count(*) FROM judgments WHERE annotator_id = ? GROUP BY ALL ORDER BY ALL", [name]
    )


def reconciles(lake: Lake) -> bool:
    query = (
        "SELECT bool_and(rows_in = rows_kept + rows_duplicate + rows_dropped) FROM runs WHERE stage = 'judge'"
    )
    return bool(lake.value(query))


def test_every_question_is_asked_once(sample_lake: Lake, make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(yaml(engine="favourite: explain"))
    summary = judge_responses(sample_lake, config)
    assert summary.counts.rows_kept == 2 * PAIRS + PAIRS
    assert asked(tmp_path) == 2 * PAIRS
    assert summary.counts.tokens_in > 0
    assert reconciles(sample_lake)
    assert sample_lake.value("SELECT count(*) FROM judgments WHERE response_a >= response_b") == 0
    shown = "SELECT shown, count(*) FROM judgments WHERE annotator_id = ? GROUP BY 1 ORDER BY 1"
    assert sample_lake.rows(shown, ["llm"]) == [("ab", PAIRS), ("ba", PAIRS)]
    assert sample_lake.rows(shown, ["long"]) == [(None, PAIRS)]

    runs = sample_lake.value("SELECT count(*) FROM runs")
    snapshot = sample_lake.snapshot()
    again = judge_responses(sample_lake, config)
    assert again.skipped
    assert again.counts.rows_in == 0
    assert asked(tmp_path) == 2 * PAIRS
    assert sample_lake.value("SELECT count(*) FROM runs") == runs
    assert sample_lake.snapshot() == snapshot


def test_the_done_record_names_the_revision(sample_lake: Lake, make_config: MakeConfig) -> None:
    config = make_config(yaml())
    judge_responses(sample_lake, config)
    query = "SELECT part, details FROM runs WHERE stage = 'judge' AND status = 'done' ORDER BY part"
    with Panel(config) as panel:
        for part, details in sample_lake.rows(query):
            assert json.loads(details)["revision"] == panel.judges[part].revision
    in_rows = sample_lake.rows("SELECT DISTINCT revision FROM judgments WHERE annotator_id = 'llm'")
    assert in_rows == [(panel.judges["llm"].revision,)]


def test_a_changed_judge_is_asked_anew_and_a_restored_one_is_not(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    judge_responses(sample_lake, make_config(yaml()))
    judge_responses(sample_lake, make_config(yaml(llm="tie_band: 0.1")))
    assert asked(tmp_path) == 4 * PAIRS
    restored = make_config(yaml())
    assert not judge_responses(
        sample_lake, restored
    ).skipped  # nothing is asked, but its revision counts again from now on
    assert asked(tmp_path) == 4 * PAIRS
    query = (
        "SELECT max_by(details->>'revision', finished_at) FROM runs WHERE part = 'llm' AND stage = 'judge' "
        "AND status = 'done'"
    )
    assert sample_lake.value(query) == Panel(restored).judges["llm"].revision
    assert judge_responses(sample_lake, restored).skipped


def test_failures_are_retried_to_the_limit(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(yaml(engine="fail: Question 7", llm="attempts: 2"))
    first = judge_responses(sample_lake, config, only=["llm"])
    assert first.counts.dropped == {"time-out": 12}
    assert first.counts.rows_kept == 2 * PAIRS - 12
    raw = "SELECT DISTINCT raw FROM judgments WHERE outcome = 'failed'"
    assert sample_lake.rows(raw) == [("time-out: no answer in 30 s\n...",)]
    second = judge_responses(sample_lake, config, only=["llm"])
    assert second.counts.dropped == {"time-out": 12}
    assert asked(tmp_path) == 2 * PAIRS + 12
    third = judge_responses(sample_lake, config, only=["llm"])
    assert asked(tmp_path) == 2 * PAIRS + 12
    assert third.counts.rows_in == 0
    assert ("failed", 24) in judgments(sample_lake)
    assert reconciles(sample_lake)


def test_a_failure_may_be_mended_by_a_retry(sample_lake: Lake, make_config: MakeConfig) -> None:
    judge_responses(sample_lake, make_config(yaml(engine="fail: Question 7")), only=["llm"])
    # The same revision (`answer_of`), and this time the engine is well: it was a time-out.
    judge_responses(sample_lake, make_config(yaml()), only=["llm"])
    assert sum(count for outcome, count in judgments(sample_lake) if outcome != "failed") == 2 * PAIRS  # type: ignore[misc]


def test_what_cannot_succeed_is_not_asked_again(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(yaml(engine="mass: 0.001"))
    judge_responses(sample_lake, config, only=["llm"])
    judge_responses(sample_lake, config, only=["llm"])
    assert asked(tmp_path) == 2 * PAIRS
    assert judgments(sample_lake) == [("failed", 2 * PAIRS)]


def test_a_run_cut_short_ends_as_an_undisturbed_one(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    """Chunks that were committed stay; a chunk in flight is asked again; the tables are equal in the end."""
    config = make_config(yaml(engine="favourite: explain"))
    with Panel(config) as panel:
        work = plan_chunks(sample_lake, panel)
        assert [(chunk.judge, chunk.chunk, chunk.pending) for chunk in work] == [
            ("llm", 0, 60), ("llm", 1, 60), ("llm", 2, 24), ("long", 0, 72)
        ]  # fmt: skip
        assert pickle.loads(pickle.dumps(work)) == work
        run = StageRun(sample_lake, "judge", config_hash=config.judge.digest)
        for _ in range(2):  # in any order, from any worker; the second time asks nothing and keeps nothing
            commit_chunks(run, [answer_chunk(sample_lake, panel, work[1], run_id=run.run_id)])
        assert run.total.rows_kept == 60
        assert run.total.rows_duplicate == 60
    judge_responses(sample_lake, config)
    assert asked(tmp_path) == 2 * PAIRS
    cut_short = sample_lake.rows(CONTENT)
    with sample_lake.write("start over") as writer:
        writer.delete("judgments", "revision <> 'imported'")
        writer.delete("runs", "true")
    judge_responses(sample_lake, config)
    assert sample_lake.rows(CONTENT) == cut_short


def test_new_responses_are_asked_about(sample_lake: Lake, make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(yaml())
    with sample_lake.write("less") as writer:
        writer.delete("responses", "model = 'model-3'")
    judge_responses(sample_lake, config)
    assert asked(tmp_path) == 12 * 3 * 2
    new = sample_lake.arrow(
        "SELECT * REPLACE ('x' || response_id AS response_id) FROM responses WHERE model = 'model-0'"
    )
    with sample_lake.write("more") as writer:
        writer.append("responses", new)
    judge_responses(sample_lake, config)
    assert asked(tmp_path) == 12 * 6 * 2


def test_pictures_make_a_reading_judge_abstain(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    picture = Message(role="assistant", content=(Part(type="image", uri="x.png"),))
    update = "UPDATE lake.responses SET messages = ? WHERE \"key\" = 'q1-r0'"
    sample_lake.rows(update, ([picture.model_dump(mode="json")],))
    judge_responses(sample_lake, make_config(yaml()))
    assert asked(tmp_path) == 2 * PAIRS - 12
    assert ("abstain", 12) in judgments(sample_lake)


def test_only_some_judges(sample_lake: Lake, make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(yaml())
    judge_responses(sample_lake, config, only=["long"])
    assert asked(tmp_path) == 0
    with pytest.raises(CurateError, match=r"no judge called 'lnog': did you mean 'long'\?"):
        judge_responses(sample_lake, config, only=["lnog"])


def test_a_broken_judge_of_ones_own_says_where(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    body = (
        "from curate.judge import Judge, Answer\n"
        "class Mine(Judge):\n    kind = 'rule'\n    def answer(self, questions):\n"
    )
    (tmp_path / "mine.py").write_text(body + "        return [1 / 0 for q in questions]\n")
    (tmp_path / "short.py").write_text(body + "        return [Answer(outcome='tie')]\n")
    text = "judge: {judges: [{name: mine, kind: './%s.py:Mine'}]}"
    with pytest.raises(
        CurateError, match=r"Judge 'mine' broke with ZeroDivisionError at .*mine\.py:5: division"
    ):
        judge_responses(sample_lake, make_config(text % "mine"))
    with pytest.raises(CurateError, match=r"was asked 72 questions, and gave 1 answers"):
        judge_responses(sample_lake, make_config(text % "short"))
    assert sample_lake.value("SELECT count(*) FROM judgments WHERE annotator_id = 'mine'") == 0


def test_a_judge_of_ones_own(sample_lake: Lake, make_config: MakeConfig, tmp_path: Path) -> None:
    """As its docstring promises: one small file, and changed code is a new revision."""
    (tmp_path / "shouting.py").write_text(
        "from curate.judge.base import Answer, Judge, Question, from_margin\n\n"
        "class Quieter(Judge):\n    kind = 'rule'\n\n"
        "    def answer(self, questions: list[Question]) -> list[Answer]:\n"
        "        return [from_margin(q.b.text.count('.') - q.a.text.count('.')) for q in questions]\n"
    )
    config = make_config("judge: {judges: [{name: quieter, kind: './shouting.py:Quieter'}]}")
    judge_responses(sample_lake, config)
    better = (
        "SELECT bool_and((outcome = 'a') = (a.model < b.model)) FROM judgments j "
        "JOIN responses a ON a.response_id = response_a JOIN responses b ON b.response_id = response_b "
        "WHERE annotator_id = 'quieter'"
    )
    assert sample_lake.value(better)  # the shorter a sample response, the fewer full stops


def test_trajectories_are_ingested_and_judged_from_where_they_branch(
    lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    call = {"id": "1", "name": "search", "arguments": '{"q": "Paris"}'}
    begin = [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "2 million."},
    ]
    answers = [
        {"id": name, "messages": [*begin, {"role": "assistant", "content": text, "reasoning": "Hm."}]}
        for name, text in (("x", "Two million."), ("y", "Nobody knows."))
    ]
    row = {"id": "q", "prompt": "How many people?", "responses": answers}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    config = make_config(
        yaml(engine="favourite: million", llm="show_reasoning: %s") % "false"
        + "ingest: [{source: rows.jsonl}]\n"
    )
    assert ingest_responses(lake, config.ingest, config).counts.rows_kept == 1, lake.rows(
        "SELECT reason FROM quarantine"
    )
    judge_responses(lake, config)
    prompts = list(map(json.loads, (tmp_path / "asked.log").read_text().splitlines()))
    assert [(prompt.count("2 million."), "Hm." in prompt) for prompt in prompts] == [(1, False)] * 2
    assert {outcome for outcome, _ in judgments(lake)} < {"a", "b"}
