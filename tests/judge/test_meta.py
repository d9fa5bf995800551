"""The judge of judges: what it hears, and that its vote is weighed by what it finds sound."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

import pytest

from curate.config.project import Config
from curate.engine import Engines
from curate.engine.base import Choice
from curate.judge import OtherJudgment, Panel, PromptItem
from curate.judge.known_judgments import add_other_judgments
from curate.judge.meta import Meta, MetaOptions
from curate.judge.pending import read_items
from curate.lake.lake import Lake
from curate.records import plain_text

MakeEngines = Callable[..., Engines]
MakeConfig = Callable[[str], Config]
SAID = (
    OtherJudgment("1", "wise", "r1", "r2", "ba", "a", p_a=0.9, rationale="Paris it is."),
    OtherJudgment("2", "fool", "r1", "r2", "ab", "b", rationale="Rome is older."),
)


def make(engines: Engines) -> Meta:
    return Meta(MetaOptions(name="j", kind="meta", engine="m"), engines)


def test_the_vote_is_weighed_by_soundness(speaking: MakeEngines, item: PromptItem) -> None:
    engines = speaking(picks={"Paris it is.": "Yes", "Rome is older.": "No"})
    judge, heard = make(engines), dataclasses.replace(item, other_judgments=SAID)
    about, *others = judge.answer(list(judge.questions(heard)))
    assert about.p_a == pytest.approx((0.8 * 0.9 + 0.2 * 0.0) / (0.8 + 0.2))
    weights = {each["annotator_id"]: each["weight"] for each in json.loads(about.raw or "")}
    assert weights == {"wise": pytest.approx(0.8), "fool": pytest.approx(0.2)}
    assert {each.outcome for each in others} == {"abstain"}


def test_a_judgment_is_shown_in_the_order_that_its_judge_saw(speaking: MakeEngines, item: PromptItem) -> None:
    judge, (question, *_) = make(speaking()), list(make(speaking()).questions(item))
    text = plain_text(judge.build_request(question, SAID[0]).messages[-1].content)
    assert text.index("Rome.") < text.index("Paris, the capital.")  # shown "ba"
    assert "The judge said: B is better." in text  # and its "a" was B to it


def test_it_hears_the_judges_before_it_and_no_people(sample_lake: Lake, make_config: MakeConfig) -> None:
    config = make_config(
        'engines: {m: {kind: "./speaking.py:Speaking"}}\n'
        "judge: {judges: [{name: j, kind: meta, engine: m}, {name: l, kind: rule, rule: length}]}"
    )
    ids = [
        prompt_id for (prompt_id,) in sample_lake.rows("SELECT prompt_id FROM prompts ORDER BY ALL LIMIT 2")
    ]
    with Panel(config) as panel:
        of = read_items(sample_lake, ids)
        heard = add_other_judgments(sample_lake, panel, panel.judges["j"], of)
        assert add_other_judgments(sample_lake, panel, panel.judges["l"], of) == of
    for item in heard:
        assert {each.annotator_id for each in item.other_judgments} == {"good", "fair", "random"}  # imported
        assert len(item.other_judgments) == 6 * 3 * 2
        candidates = {each.response_id for each in item.candidates}
        assert all({each.response_a, each.response_b} <= candidates for each in item.other_judgments)


def test_soundness_that_is_no_number_is_a_failure_and_not_a_tie(
    speaking: MakeEngines, item: PromptItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, heard = make(speaking()), dataclasses.replace(item, other_judgments=SAID)
    monkeypatch.setattr(
        judge._engine, "choose", lambda asked: [Choice((math.nan, math.nan), 1, 0) for _ in asked]
    )
    about = judge.answer(list(judge.questions(heard)))[0]
    assert (about.outcome, about.p_a) == ("failed", None)
    assert about.raw == "the probability of Yes and No is nan, and not a finite number"
