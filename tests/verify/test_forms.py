"""Every form is a valid labelling configuration, hides what must be hidden, and its answers mean what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.config.verify import VerifySection
from curate.data.rubric import Rubric
from curate.lake.lake import Lake
from curate.records import Form, Message, Part, ToolCall, text_parts
from curate.verify.answer_reader import read_answer as read_typed_answer
from curate.verify.display import render_parts, render_turns, reveal_characters, split_steps
from curate.verify.exported import Region, TaskData
from curate.verify.forms import (
    NOTHING_MET,
    TaskItem,
    Verdict,
    build_task_data,
    choose_form,
    read_label_config,
    suggest_choice,
)
from curate.verify.queue import read_task_items
from tests.verify.samples import NASTY, fill, make_task

FORMS = [
    "pairwise", "pairwise-image", "pairwise-video", "ranking", "rubric", "critique",
    "pass-fail", "pass-fail-image", "pass-fail-video",
]  # fmt: skip


def read_answer(data: dict[str, Any], result: list[dict[str, Any]]) -> Verdict:
    return read_typed_answer(TaskData.model_validate(data), [Region.model_validate(part) for part in result])


def make_item(contents: list[str | Part], form: Form = "pairwise") -> TaskItem:
    prompt, responses, task = make_task(1, contents, form=form)
    return TaskItem(task, prompt.messages, {entry.response_id: entry.messages for entry in responses})


def item_of(form: str) -> TaskItem:
    media = form.rpartition("-")[2]
    content: Any = Part(type=media, uri="https://x.org/1") if media in ("image", "video") else "an answer"
    if form.startswith("pairwise"):
        other = content.model_copy(update={"uri": "https://x.org/2"}) if isinstance(content, Part) else "b"
        return make_item([content, other])
    if form == "ranking":
        return make_item(["a", "b", "c"], "listwise")
    return make_item([content], "pointwise")


def data_of(form: str, section: VerifySection | None = None) -> dict[str, Any]:
    section = section or VerifySection(criteria=["Correct", "Short"])
    return build_task_data(item_of(form), form, guideline="Be fair.", section=section)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_parsed_by_the_sdk_and_fits_its_data(form: str) -> None:
    label_interface = pytest.importorskip("label_studio_sdk.label_interface")
    interface = label_interface.LabelInterface(read_label_config(form))
    interface.validate()
    data = data_of(form)
    for tag in interface.objects:
        assert tag.value_name in data, tag
    assert "HyperText" not in read_label_config(form)  # what renders markup has no place in a form
    assert "Markdown" not in read_label_config(form)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_gives_a_model_or_a_strategy_away(form: str) -> None:
    shown_text = json.dumps(data_of(form))
    assert "secret-model" not in shown_text
    assert "random" not in shown_text


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_without_content_is_an_abstention(form: str) -> None:
    assert read_answer(data_of(form), []).outcome == "abstain"


def choice(value: str, name: str = "verdict") -> dict[str, Any]:
    return {"from_name": name, "to_name": "left", "type": "choices", "value": {"choices": [value]}}


def test_sides_become_responses() -> None:
    for number in range(20):
        prompt, responses, task = make_task(number, ["a", "b"])
        item = TaskItem(task, prompt.messages, {entry.response_id: entry.messages for entry in responses})
        data = build_task_data(item, "pairwise", guideline="", section=VerifySection())
        verdict = read_answer(data, [choice("left-3")])
        left_is_a = data["order"][0] == min(task.responses)
        assert verdict.outcome == ("a" if left_is_a else "b")
        assert verdict.details == {"verdict": "left-3", "strength": 3}
        assert verdict.score == (3.0 if left_is_a else -3.0)
        assert read_answer(data, [choice("right-1")]).outcome == ("b" if left_is_a else "a")
        bad = read_answer(data, [choice("both-bad")])
        assert (bad.outcome, bad.tied_as) == ("tie", "both-bad")
        assert read_answer(data, [choice("tie")]).details == {"verdict": "tie"}


def test_both_orders_occur_and_a_task_keeps_its_own() -> None:
    orders = [make_item(["a", "b"]).order for _ in range(3)]
    assert len(set(orders)) == 1
    flipped = sum(
        TaskItem(task, (), {}).order != task.responses
        for task in (make_task(number, ["a", "b"])[2] for number in range(400))
    )
    assert 150 < flipped < 250


def test_rankings_name_responses_from_best_to_worst() -> None:
    data = data_of("ranking")
    ranker = {"from_name": "ranking", "type": "ranker", "value": {"ranker": {"candidates": ["3", "1", "2"]}}}
    order = data["order"]
    assert read_answer(data, [ranker]).ranking == (order[2], order[0], order[1])
    ranker["value"] = {"ranker": {"candidates": ["3", "1"]}}
    assert read_answer(data, [ranker]).outcome == "abstain"


def test_rubrics_score_the_share_that_is_met() -> None:
    data = data_of("rubric")
    met = {"from_name": "met", "type": "choices", "value": {"choices": ["Short"]}}
    verdict = read_answer(data, [met])
    assert (verdict.outcome, verdict.score) == ("a", 0.5)
    met["value"] = {"choices": [NOTHING_MET]}
    assert read_answer(data, [met]).score == 0.0


def test_critiques_keep_spans_and_reasons() -> None:
    span = {
        "from_name": "spans",
        "type": "labels",
        "value": {"start": 3, "end": 9, "text": "answer", "labels": ["good"]},
    }
    reason = {"from_name": "rationale", "type": "textarea", "value": {"text": ["It is", "right."]}}
    verdict = read_answer(data_of("critique"), [span, reason, choice("pass")])
    assert verdict.score == 1.0
    assert verdict.rationale == "It is\nright."
    assert verdict.details["spans"] == [{"start": 3, "end": 9, "text": "answer", "label": "good"}]
    assert read_answer(data_of("critique"), [choice("unsure")]).outcome == "abstain"


def test_the_form_follows_the_task_and_its_contents() -> None:
    rubric = VerifySection(pointwise="rubric", criteria=["x"])
    assert [
        choose_form(item_of(form), rubric) for form in FORMS if not form.startswith(("critique", "pass-fail"))
    ] == [form for form in FORMS if not form.startswith(("critique", "pass-fail"))]
    assert choose_form(item_of("pass-fail-video"), rubric) == "pass-fail-video"


def test_what_a_browser_cannot_fetch_is_refused() -> None:
    item = make_item(
        [Part(type="image", uri="/home/me/a.png"), Part(type="image", uri="https://x.org/b.png")]
    )
    with pytest.raises(ValueError, match="an image without a web address"):
        build_task_data(item, "pairwise-image", guideline="", section=VerifySection())


def test_suggestions_point_to_the_likelier_side() -> None:
    assert [suggest_choice(p) for p in (0.99, 0.8, 0.6, 0.5, 0.4, 0.2, 0.01)] == [
        "left-3", "left-2", "left-1", "tie", "right-1", "right-2", "right-3"
    ]  # fmt: skip


@given(st.text())
def test_shown_text_has_no_hidden_signs_and_keeps_places(text: str) -> None:
    shown = reveal_characters(text)
    hidden = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\r", "\0", "\x1b"}
    assert not hidden & set(shown)
    if "\r\n" not in text:
        assert len(shown) == len(text)


def test_display() -> None:
    assert reveal_characters("a\r\nb\tc\u202ed") == "a\nb\tc\ufffdd"
    assert (
        reveal_characters("שלום \u200f عربى") == "שלום \u200f عربى"
    )  # marks that only place neutral signs stay
    assert render_parts([Part(text=" ")]) == "(empty)"
    assert (
        render_parts([Part(text="see"), Part(type="image", uri="https://x.org/a.png")])
        == "see\n[image: https://x.org/a.png]"
    )
    assert "<script>" in render_parts([Part(text=NASTY)])
    assert render_turns(make_task(1, ["a"])[0].messages)[0] == {
        "author": "user", "text": "Question 1: which fruit is red?"
    }  # fmt: skip


def test_a_prompt_may_bring_its_own_criteria(lake: Lake) -> None:
    meta = json.dumps({"category": "code", "criteria": ["Compiles", " Has a\u202e test ", "Compiles", 7]})
    prompts = [
        make_task(1, ["a"], form="pointwise", meta=meta),
        make_task(2, ["b"], form="pointwise", meta="[]"),
    ]
    first, second = read_task_items(lake, fill(lake, prompts))
    assert (first.category, first.criteria) == ("code", ("Compiles", "Has a\u202e test"))
    assert (second.category, second.criteria) == (None, ())
    section = VerifySection(pointwise="rubric", criteria=["Polite"])
    own, common = (
        build_task_data(entry, "rubric", guideline="Be fair.", section=section) for entry in (first, second)
    )
    assert [entry["value"] for entry in own["criteria"]] == ["Compiles", "Has a\ufffd test", "None of these"]
    assert own["guideline"] == "Be fair.\n\nFor this request:\n• Compiles\n• Has a\ufffd test"
    assert [entry["value"] for entry in common["criteria"]] == ["Polite", "None of these"]
    assert common["guideline"] == "Be fair."
    assert own["revision"] != common["revision"]
    ticked = [{"from_name": "met", "value": {"choices": ["Compiles"]}}]
    assert read_answer(own, ticked).score == 0.5


def test_the_steps_before_an_answer_are_apart_from_it() -> None:
    call = ToolCall(name="find", arguments='{"q":"red"}')
    begun = Message(role="assistant", reasoning="I look it up.", tool_calls=(call,))
    result = Message(role="tool", name="find", content=text_parts("An apple."))
    said = Message(role="assistant", content=text_parts("It is an apple."))
    thought = {"author": "assistant thinks", "text": "I look it up."}
    called = {"author": "assistant calls find", "text": "q: red"}
    found = {"author": "result of find", "text": "An apple."}
    answer = {"author": "assistant", "text": "It is an apple."}
    assert split_steps([begun, result, said]) == ([thought, called, found], [answer])
    assert split_steps([begun])[0] == [thought, called]
    assert split_steps([begun])[1] == [{"author": "—", "text": "It says nothing more."}]
    assert split_steps([said]) == ([{"author": "—", "text": "None."}], [answer])


def test_trajectories_are_shown_turn_by_turn_from_where_they_part() -> None:
    call = ToolCall(id="c", name="find\u202e", arguments='{"n":[1],"q":"<b>red</b>"}')
    begun = Message(role="assistant", reasoning="I look it up.", tool_calls=(call,))
    result = Message(role="tool", tool_call_id="c", name="find", content=text_parts(NASTY))
    prompt, _, task = make_task(1, ["a", "b"])
    ends = [Message(role="assistant", content=text_parts(text)) for text in ("An apple.", "A cherry.")]
    answers = {name: (begun, result, end) for name, end in zip(task.responses, ends, strict=True)}
    item = TaskItem(task, prompt.messages, answers)
    assert choose_form(item, VerifySection()) == "pairwise-turns"
    data = build_task_data(item, "pairwise-turns", guideline="", section=VerifySection())
    common = data["conversation"][len(prompt.messages) :]
    assert common[:2] == [
        {"author": "assistant thinks", "text": "I look it up."},
        {"author": "assistant calls find\ufffd", "text": "n: [1]\nq: <b>red</b>"},
    ]
    assert common[2] == {"author": "result of find", "text": reveal_characters(NASTY)}
    assert common[3] == {"author": "—", "text": "The responses are the same up to here."}
    shown = {data["order"][0]: data["left"], data["order"][1]: data["right"]}
    said = {name: answer[-1].content[0].text for name, answer in answers.items()}
    assert shown == {name: [{"author": "assistant", "text": text}] for name, text in said.items()}
    assert data["left_steps"] == data["right_steps"] == [{"author": "—", "text": "None."}]
    assert read_answer(data, [choice("left-3")]).details == {"verdict": "left-3", "strength": 3}
    interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface(
        read_label_config("pairwise-turns")
    )
    interface.validate()
    assert {tag.value_name for tag in interface.objects} <= set(data)


def test_one_aspect_alone_is_named_above_the_task() -> None:
    config = read_label_config("pairwise", 'clear & "brief"')
    assert '<Header value=\'Judge this alone: clear &amp; "brief"\' size="4"/>' in config
    item = item_of("pairwise")
    about = TaskItem(item.task.model_copy(update={"aspect": "brief"}), item.messages, item.answers)
    revisions = {
        build_task_data(entry, "pairwise", guideline="", section=VerifySection())["revision"]
        for entry in (item, about)
    }
    assert len(revisions) == 2


def test_a_rubric_is_asked_about_by_its_weights() -> None:
    rubric = Rubric.model_validate(
        {
            "name": "r",
            "criteria": [
                {"name": "right", "text": "It is right.", "weight": 3.0},
                {"name": "rude", "text": "It is rude.", "weight": -1.0},
                {"name": "long", "text": "It is long.", "kind": "feature", "feature": "characters"},
            ],
        }
    )
    data = build_task_data(item_of("rubric"), "rubric", guideline="", section=VerifySection(), rubric=rubric)
    assert [entry["value"] for entry in data["criteria"]] == ["It is right.", "It is rude.", NOTHING_MET]
    ticked = {"from_name": "met", "type": "choices", "value": {"choices": ["It is right.", "It is rude."]}}
    verdict = read_answer(data, [ticked])
    assert verdict.score == 0.5
    assert [(criterion.id, is_met) for criterion, is_met in verdict.criteria] == [
        (rubric.criteria[0].criterion_id, True),
        (rubric.criteria[1].criterion_id, True),
    ]
    ticked["value"] = {"choices": [NOTHING_MET]}
    assert read_answer(data, [ticked]).score == 0.0
    with pytest.raises(ValueError, match="without criteria"):
        build_task_data(item_of("rubric"), "rubric", guideline="", section=VerifySection())


def test_rubrics_and_critiques_of_pictures_are_refused() -> None:
    item = make_item([Part(type="image", uri="https://x.org/1")], "pointwise")
    for form in ("rubric", "critique"):
        with pytest.raises(ValueError, match="with an image"):
            build_task_data(item, form, guideline="", section=VerifySection(criteria=["Correct"]))
