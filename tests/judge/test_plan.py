"""The plan of a judge: made once, small, walked once, and no question is paid for that somebody else has answered."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.judge import Panel, answer_chunk, commit_chunks, judge_responses, plan_chunks
from curate.judge.base import PromptItem
from curate.judge.configured import ConfiguredJudge
from curate.judge.pending import JudgmentIndex, list_items, read_items
from curate.judge.plan import bind_questions, count_unanswered, make_plan
from curate.judge.reader import ChunkReader, SnapshotOfOthers
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary
from curate.lake.status import read_status

MakeConfig = Callable[[str], Config]
PAIRS = 12 * 6  # of sample_lake
YAML = """
engines:
  m: {kind: "./scripted.py:Scripted"%s}
judge:
  chunk: 5
  judges:
    - {name: llm, kind: pairwise, engine: m}
"""
FORMS = """
from curate.judge.base import Answer, Judge, ask_each_response, ask_shuffled_lists, from_rating
class Rater(Judge):
    def questions(self, item): return ask_each_response(item, samples=2)
    def answer(self, questions): return [from_rating(-len(q.a.text), sd=1.0) for q in questions]
class Lister(Judge):
    def questions(self, item): return ask_shuffled_lists(item, samples=4, size=3)
    def answer(self, questions):
        return [Answer(outcome='a', scores=tuple(-float(len(c.text)) for c in q.asked)) for q in questions]
class Stranger(Judge):
    def questions(self, item):
        from curate.judge.base import CandidateResponse, Question
        yield Question(item, (item.candidates[0], CandidateResponse("nobody's", "")))
    def answer(self, questions): return []
"""


def asked(folder: Path) -> int:
    log = folder / "asked.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def list_questions(configured: ConfiguredJudge, items: list[PromptItem]) -> list[tuple[str, Any]]:
    """Enumerate and hash all questions with their texts, without a plan."""
    return [
        (question.judgment_id(annotator=configured.name, revision=configured.revision), question)
        for item in items
        for question in configured.judge.questions(item)
    ]


def test_planned_questions_are_those_that_the_judge_asks_about_the_texts(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    (tmp_path / "forms.py").write_text(FORMS)
    config = make_config(
        YAML % ""
        + "    - {name: rater, kind: './forms.py:Rater'}\n    - {name: lister, kind: './forms.py:Lister'}\n"
    )
    with Panel(config) as panel:
        items = list_items(sample_lake)
        with_texts = read_items(sample_lake, [item.prompt_id for item in items])
        by_id = {item.prompt_id: item for item in with_texts}
        for configured in panel.judges.values():
            plan = make_plan(sample_lake, panel, configured, items)
            bound = [question for work in plan.chunks for question in bind_questions(work, by_id)]
            expected = list_questions(configured, with_texts)
            assert [(pending.judgment_id, pending.question) for pending in bound] == expected
            assert plan.pending == sum(work.total for work in plan.chunks) == len(expected) > 0
            assert count_unanswered(sample_lake, plan) == len(expected)


def test_a_chunk_stays_small_when_it_goes_to_another_process(
    sample_lake: Lake, make_config: MakeConfig
) -> None:
    with Panel(make_config(YAML % "")) as panel:
        work, *_ = plan_chunks(sample_lake, panel)
        assert work.pending == 60
        assert len(pickle.dumps(work)) < 60 * 50  # bytes; an id alone has 16
        answered = answer_chunk(sample_lake, panel, pickle.loads(pickle.dumps(work)), run_id="r")
        assert answered.rows.num_rows == 60
        assert not hasattr(panel, "prepared_items")


def test_a_run_asks_nothing_that_another_process_has_answered_since_it_planned(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(YAML % "")
    others: list[Summary] = []

    def ask_while_another_runs(lake: Lake, panel: Panel, work: Any, /, **options: Any) -> Any:
        if not others:
            with Lake.open(sample_lake.location) as lake_of_other:
                others.append(judge_responses(lake_of_other, config))
        return answer_chunk(lake, panel, work, **options)

    summary = judge_responses(sample_lake, config, ask_chunk=ask_while_another_runs)
    assert others[0].counts.rows_kept == 2 * PAIRS
    assert asked(tmp_path) == 2 * PAIRS  # the first chunk was planned, not yet asked
    assert (summary.counts.rows_kept, summary.counts.rows_duplicate) == (0, 2 * PAIRS)
    assert sample_lake.value("SELECT count(*) FROM judgments WHERE annotator_id = 'llm'") == 2 * PAIRS
    assert read_status(sample_lake).reconciles


def test_a_failure_in_another_process_is_not_retried_by_the_run_that_planned_before_it(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(YAML % ', fail: "Question 7"')
    with Panel(config) as panel:
        (configured,) = panel.judges.values()
        plan = make_plan(sample_lake, panel, configured, list_items(sample_lake))
        run = StageRun(sample_lake, "judge", config_hash="c")
        others = SnapshotOfOthers(sample_lake, run, plan.snapshot)
        judge_responses(sample_lake, config)
        reader = ChunkReader(sample_lake, panel, plan.chunks, since=others)
        assert [reader.read_questions(work) for work in plan.chunks] == [[], [], []]
        assert count_unanswered(sample_lake, plan) == 12
        again = make_plan(sample_lake, panel, configured, list_items(sample_lake))
        (work,) = again.chunks
        questions = ChunkReader(sample_lake, panel, again.chunks).read_questions(work)
        assert [question.failures for question in questions] == [1] * 12
        assert (
            make_plan(sample_lake, panel, configured, list_items(sample_lake), skip_failed=True).chunks == ()
        )


def test_a_response_that_comes_in_while_a_plan_is_walked_is_asked_about_by_the_next_run(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(YAML % "")
    new = sample_lake.arrow(
        "SELECT * REPLACE ('!' || response_id AS response_id) FROM responses WHERE model = 'model-0'"
    )
    calls: list[int] = []

    def add_responses_first(lake: Lake, panel: Panel, work: Any, /, **options: Any) -> Any:
        if not calls:
            with Lake.open(sample_lake.location) as other, other.write("more") as writer:
                writer.append("responses", new)
        calls.append(work.chunk)
        return answer_chunk(lake, panel, work, **options)

    judge_responses(sample_lake, config, ask_chunk=add_responses_first)
    assert asked(tmp_path) == 2 * PAIRS
    assert not judge_responses(sample_lake, config).skipped
    assert asked(tmp_path) == 12 * 10 * 2
    query = "SELECT count(*), count(DISTINCT (response_a, response_b, shown)) FROM judgments WHERE annotator_id = 'llm'"
    assert sample_lake.rows(query) == [(240, 240)]


def test_a_response_that_has_gone_is_not_asked_about(sample_lake: Lake, make_config: MakeConfig) -> None:
    with Panel(make_config(YAML % "")) as panel:
        (configured,) = panel.judges.values()
        plan = make_plan(sample_lake, panel, configured, list_items(sample_lake))
        with sample_lake.write("less") as writer:
            writer.delete("responses", "model = 'model-3'")
        run = StageRun(sample_lake, "judge", config_hash="c")
        others = SnapshotOfOthers(sample_lake, run, plan.snapshot)
        reader = ChunkReader(sample_lake, panel, plan.chunks, since=others)
        questions = [question for work in plan.chunks for question in reader.read_questions(work)]
        assert len(questions) == 12 * 3 * 2
        for pending in questions:
            expected = pending.question.judgment_id(annotator=configured.name, revision=configured.revision)
            assert pending.judgment_id == expected


def test_a_question_about_a_response_of_another_prompt_is_refused(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    (tmp_path / "forms.py").write_text(FORMS)
    config = make_config("judge: {judges: [{name: odd, kind: './forms.py:Stranger'}]}")
    with pytest.raises(CurateError, match=r"Judge 'odd' asks about the response .*does not have"):
        judge_responses(sample_lake, config)


def test_only_what_others_write_makes_a_reader_look_again(
    sample_lake: Lake, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    look_up = JudgmentIndex.look_up

    def note_look(lake: Lake, configured: ConfiguredJudge, first: str, last: str) -> JudgmentIndex:
        looks.append(first)
        return look_up(lake, configured, first, last)

    monkeypatch.setattr("curate.judge.reader._LOOK_EVERY", 0.0)
    with Panel(make_config(YAML % "")) as panel:
        (configured,) = panel.judges.values()
        run = StageRun(sample_lake, "judge", config_hash="c")
        with run.chunk("earlier", fingerprint="f"):
            pass
        plan = make_plan(sample_lake, panel, configured, list_items(sample_lake))
        others = SnapshotOfOthers(sample_lake, run, plan.snapshot)
        reader = ChunkReader(sample_lake, panel, plan.chunks, since=others)
        monkeypatch.setattr(JudgmentIndex, "look_up", note_look)
        first, second, third = plan.chunks
        assert len(reader.read_questions(first)) == 60
        with run.chunk("of its own", fingerprint="f"):
            pass
        assert len(reader.read_questions(second)) == 60
        assert looks == []
        other = StageRun(sample_lake, "judge", config_hash="c")
        commit_chunks(other, [answer_chunk(sample_lake, panel, third, run_id=other.run_id)])
        assert looks == [third.prompt_ids[0]]  # of `answer_chunk`, which knows of no plan
        assert reader.read_questions(third) == []
        assert reader.read_questions(third) == []
        assert len(looks) == 2
