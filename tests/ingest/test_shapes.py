"""Each preset on small hand-written rows of the shapes that are published."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.config.ingest import SHAPE_NAMES, Fields
from curate.core.errors import CurateError
from curate.ingest.shapes import SHAPES
from curate.lake.lake import Lake
from tests.ingest.samples import Take, assert_reconciled, lines, rejected

Turn = dict[str, str]


def user(content: str) -> Turn:
    return {"role": "user", "content": content}


def assistant(content: str) -> Turn:
    return {"role": "assistant", "content": content}


def prompts(lake: Lake) -> list[list[tuple[str, str]]]:
    """Each prompt as its turns."""
    rows = lake.rows("SELECT messages FROM prompts ORDER BY messages::VARCHAR")
    return [[(turn["role"], turn["content"][0]["text"]) for turn in messages] for (messages,) in rows]


def verdicts(lake: Lake) -> list[tuple[Any, ...]]:
    """(preferred text, other text, outcome, annotator, kind) with ties in text order."""
    rows = lake.rows(
        """SELECT a.messages[-1].content[1].text, b.messages[-1].content[1].text, outcome, annotator_id, kind, p_a
        FROM judgments JOIN responses a ON a.response_id = response_a JOIN responses b ON b.response_id = response_b"""
    )
    found = []
    for a, b, outcome, annotator, kind, p_a in rows:
        turned = outcome == "b" or (outcome not in ("a", "b") and b < a)
        first, second = (b, a) if turned else (a, b)
        probability = None if p_a is None else round(1 - p_a if turned else p_a, 6)
        word = "wins" if outcome in ("a", "b") else outcome
        found.append((first, second, word, annotator, kind, probability))
    return sorted(found)


def models(lake: Lake) -> dict[str, str | None]:
    return dict(lake.rows("SELECT messages[-1].content[1].text, model FROM responses"))


TRL: dict[str, dict[str, Any]] = {
    "plain": {"prompt": "The sky?", "chosen": "Blue.", "rejected": "Green."},
    "conversational": {
        "prompt": [user("The sky?")],
        "chosen": [assistant("Blue.")],
        "rejected": [assistant("Green.")],
    },
    "implicit conversational": {
        "chosen": [user("The sky?"), assistant("Blue.")],
        "rejected": [user("The sky?"), assistant("Green.")],
    },
    "prompt as text and again in the conversations": {
        "prompt": "The sky?",
        "chosen": [user("The sky?"), assistant("Blue.")],
        "rejected": [user("The sky?"), assistant("Green.")],
    },
    "one message without a list around it": {
        "prompt": [user("The sky?")],
        "chosen": assistant("Blue."),
        "rejected": assistant("Green."),
    },
    "a conversation beside a text": {
        "chosen": [user("The sky?"), assistant("Blue.")],
        "rejected": "Green.",
    },
    "prompt as text, stripped": {
        "prompt": " The sky?\n",
        "chosen": [user("The sky?"), assistant("Blue.")],
        "rejected": [user("The sky?"), assistant("Green.")],
    },
    "ShareGPT's names": {
        "chosen": [{"from": "human", "value": "The sky?"}, {"from": "gpt", "value": "Blue."}],
        "rejected": [{"from": "human", "value": "The sky?"}, {"from": "gpt", "value": "Green."}],
    },
}


@pytest.mark.parametrize("shape", TRL)
def test_trl_preference_in_all_its_shapes_is_the_same_pair(shape: str, lake: Lake, take: Take) -> None:
    take("trl.jsonl", lines(TRL[shape]), format="trl-preference")
    assert prompts(lake) == [[("user", "The sky?")]]
    assert verdicts(lake) == [("Blue.", "Green.", "wins", "trl.jsonl", "imported", None)]
    assert lake.rows("SELECT shown, revision, form, sample FROM judgments") == [
        (None, "imported", "pairwise", 0)
    ]
    take("others.jsonl", lines(*TRL.values()), format="trl-preference")
    assert lake.value("SELECT count(*) FROM responses") == 2


def system(content: str) -> Turn:
    return {"role": "system", "content": content}


@pytest.mark.parametrize(
    ("asked", "opening"),
    [
        ("Name a tree.", [system("Be brief."), user("Name a tree.")]),
        ("And a fish?", [user("Name a bird."), assistant("Wren"), user("And a fish?")]),
        ("Name a bird.", [user("Name a bird."), assistant("Wren"), user("And a fish?")]),
        ("Name a metal.", [user("Name a metal.\n")]),
        ("", [system("Be brief."), user("Name a tree.")]),
    ],
    ids=["system", "last question", "first question", "white space", "empty"],
)
def test_prompt_text_beside_whole_conversations_is_not_said_twice(
    asked: str, opening: list[Turn], lake: Lake, take: Take
) -> None:
    row = {
        "prompt": asked,
        "chosen": [*opening, assistant("yes")],
        "rejected": [*opening, assistant("no")],
    }
    take("x.jsonl", lines(row), format="trl-preference")
    assert prompts(lake) == [[(turn["role"], turn["content"]) for turn in opening]]
    assert [row[:3] for row in verdicts(lake)] == [("yes", "no", "wins")]


def test_a_system_column_is_the_system_message(lake: Lake, take: Take) -> None:
    pair = {"prompt": "Why?", "chosen": "x", "rejected": "y"}
    rows = [
        {**pair, "system": "Be brief."},
        {**pair, "system": "Be long.", "chosen": "y", "rejected": "x"},
        {**pair, "system": ""},
        {**pair, "system": "Be brief.", "prompt": [system("Be brief."), user("Why?")]},
    ]
    take("x.jsonl", lines(*rows), format="trl-preference")
    assert prompts(lake) == [
        [("system", "Be brief."), ("user", "Why?")],
        [("system", "Be long."), ("user", "Why?")],
        [("user", "Why?")],
    ]
    assert lake.value("SELECT count(*) FROM judgments") == 3


def test_input_and_history_belong_to_the_prompt(lake: Lake, take: Take) -> None:
    row = {
        "instruction": "Sum up.",
        "input": "A text.",
        "system": "Be brief.",
        "history": [["Hello", "Hi."]],
        "chosen": "x",
        "rejected": "y",
    }
    fields = Fields(prompt="instruction", input="input", history="history")
    odd = [
        {**row, "history": [["alone"]]},
        {**row, "history": [], "instruction": [system("s"), user("Sum up.")]},
    ]
    take("x.jsonl", lines(row, *odd), format="trl-preference", fields=fields)
    turns = [("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi."), ("user", "Sum up.\n\nA text.")]
    assert prompts(lake) == [turns]
    assert [reason for _, reason in rejected(lake)] == [
        "`history[0]` should be a pair of texts: what was asked, and what was answered.",
        "`input` is text that follows a prompt, but `instruction` is a conversation.",
    ]


@pytest.mark.parametrize(
    "texts",
    [
        ("Sure! A boat floats.", "Sure! It is magic."),
        ("Question: Why? Answer: The sky", "Question: Why? Answer: The sea"),
        ("User: Name a tree.\nAssistant: Oak", "User: Name a tree.\nAssistant: Oak and ash"),
        ("x", "y"),
    ],
)
def test_what_two_answers_begin_with_is_no_prompt(texts: tuple[str, str], lake: Lake, take: Take) -> None:
    pair = dict(zip(("chosen", "rejected"), texts, strict=True))
    take(
        "mixed.jsonl", lines({"prompt": "p", **pair}, pair, {"prompt": None, **pair}), format="trl-preference"
    )
    assert prompts(lake) == [[("user", "p")]]
    assert [
        line for line, reason in rejected(lake) if reason.startswith("`prompt` is missing, and nothing")
    ] == [2, 3]

    with pytest.raises(
        CurateError, match=r"none\.jsonl: no row has a `prompt`.*perhaps `question`"
    ) as caught:
        take("none.jsonl", lines(*[{**pair, "question": "Why?"}] * 3), format="trl-preference")
    assert "\n" not in str(caught.value)
    with pytest.raises(CurateError, match=r"no row has a `promt`"):
        take(
            "slip.jsonl",
            lines({"prompt": "p", **pair}),
            format="trl-preference",
            fields=Fields(prompt="promt"),
        )
    with pytest.raises(CurateError, match=r"no row has a `prompt`"):
        take("ab.jsonl", lines({"a": texts[0], "b": texts[1]}), fields=Fields(a="a", b="b"))
    assert lake.value("SELECT count(*) FROM runs WHERE part NOT LIKE '%mixed.jsonl'") == 0


def test_pairs_of_one_prompt_meet(lake: Lake, take: Take) -> None:
    pairs = [("x", "y"), ("y", "z"), ("x", "z")]
    rows = [{"prompt": "p", "chosen": chosen, "rejected": rejected} for chosen, rejected in pairs]
    take("trl.jsonl", lines(*rows), format="trl-preference", annotator="crowd")
    assert lake.value("SELECT count(*) FROM prompts") == 1
    assert [row[:2] for row in verdicts(lake)] == [("x", "y"), ("x", "z"), ("y", "z")]
    assert lake.rows("SELECT DISTINCT annotator_id FROM judgments") == [("crowd",)]


HH = {
    "chosen": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Who are\n\nyou?\n\nAssistant: A helper.",
    "rejected": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Who are\n\nyou?\n\nAssistant:",
}


def test_hh_rlhf(lake: Lake, take: Take) -> None:
    other = {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: c\n\nAssistant: d"}
    plain = {"chosen": "no transcript", "rejected": "at all"}
    same = {"chosen": other["chosen"], "rejected": other["chosen"]}
    take("hh.jsonl", lines(HH, other, plain, same), format="hh-rlhf")
    assert prompts(lake) == [[("user", "Hi"), ("assistant", "Hello."), ("user", "Who are\n\nyou?")]]
    assert verdicts(lake) == [("A helper.", "", "wins", "hh.jsonl", "human", None)]
    assert [(line, reason.split(",")[0]) for line, reason in rejected(lake)] == [
        (2, "`chosen` and `rejected` begin differently"),
        (3, "`chosen` does not begin with a blank line and `Human:` or `Assistant:`."),
        (4, "The two responses that were compared are the same."),
    ]
    assert_reconciled(lake)


def test_ultrafeedback_scores_become_verdicts(lake: Lake, take: Take) -> None:
    def completion(model: str, mean: float | None, overall: float | None) -> dict[str, Any]:
        return {
            "model": model,
            "response": f"by {model}",
            "fine-grained_score": mean,
            "overall_score": overall,
        }

    row = {
        "source": "evol",
        "instruction": "Write.",
        "completions": [
            completion("good", 4.5, 8),
            completion("even", 4.5, 7),
            completion("bad", 1.0, 10),  # the published 10 is a misread 1
            completion("bare", None, 2),
            completion("none", None, None),
        ],
    }
    take("uf.jsonl", lines(row), format="ultrafeedback", fields=Fields(meta=["source"]), annotator="gpt-4")
    assert models(lake) == {f"by {name}": name for name in ("good", "even", "bad", "bare", "none")}
    assert [row[:3] for row in verdicts(lake)] == [
        ("by bare", "by bad", "wins"),
        ("by even", "by bad", "wins"),
        ("by even", "by bare", "wins"),
        ("by even", "by good", "tie"),
        ("by good", "by bad", "wins"),
        ("by good", "by bare", "wins"),
    ]
    assert lake.rows("SELECT DISTINCT annotator_id, kind FROM judgments") == [("gpt-4", "llm")]
    assert lake.value("SELECT meta FROM prompts") == '{"source":"evol"}'


def test_ranks_win_low(lake: Lake, take: Take) -> None:
    row = {
        "q": "p",
        "answers": [{"text": "best", "rank": 0}, {"text": "last", "rank": 2}, {"text": "mid", "rank": 1}],
    }
    take(
        "x.jsonl",
        lines(row),
        fields=Fields(prompt="q", responses="answers", best="low", response_score="rank"),
    )
    assert [row[:2] for row in verdicts(lake)] == [("best", "last"), ("best", "mid"), ("mid", "last")]


@pytest.mark.parametrize("path", ["rank", "Ranking", "meta.POSITION", "place", "final_rank"])
def test_a_rank_without_a_direction_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="write `best: low` beside it"):
        Fields(response_score=path)
    assert Fields(response_score=path, best="high").best == "high"


def test_scores_of_two_answers_a_row_are_refused(take: Take) -> None:
    with pytest.raises(
        CurateError, match="`response_score: helpfulness` is for rows with a list of responses"
    ):
        take(
            "x.jsonl",
            lines({"instruction": "p", "output": "x", "helpfulness": 4}),
            format="alpaca-eval",
            fields=Fields(response_score="helpfulness"),
        )


def test_a_score_that_is_not_available_loses_no_text(lake: Lake, take: Take) -> None:
    scores = {"x": 4.0, "y": "N/A", "z": 2.0}
    completions = [{"response": name, "fine-grained_score": score} for name, score in scores.items()]
    take("x.jsonl", lines({"instruction": "p", "completions": completions}), format="ultrafeedback")
    assert set(models(lake)) == {"x", "y", "z"}
    assert [row[:2] for row in verdicts(lake)] == [("x", "z")]


def battle(winner: str, judge: str | None = "arena_user_1", **changes: Any) -> dict[str, Any]:
    row = {
        "question_id": "7",
        "model_a": "alpha",
        "model_b": "beta",
        "winner": winner,
        "conversation_a": [user("Hi"), assistant("from alpha")],
        "conversation_b": [user("Hi"), assistant("from beta")],
    }
    return row | ({"judge": judge} if judge else {}) | changes


def test_lmsys_arena_conversations(lake: Lake, take: Take) -> None:
    turns = [user("Hi"), assistant("x"), user("And?"), assistant("y")]
    other = [user("Hi"), assistant("z"), user("And?"), assistant("y")]
    rows = [
        battle("model_b"),
        battle("tie (bothbad)", "arena_user_2"),
        battle("model_a", None),
        battle("neither"),
        battle("model_a", conversation_a=turns, conversation_b=other),
    ]
    take("arena.jsonl", lines(*rows), format="lmsys-arena")
    assert prompts(lake) == [[("user", "Hi")]]
    assert verdicts(lake) == [
        ("from alpha", "from beta", "tie", "arena_user_2", "human", None),
        ("from alpha", "from beta", "wins", "arena.jsonl", "human", None),
        ("from beta", "from alpha", "wins", "arena_user_1", "human", None),
        ("y", "y", "wins", "arena_user_1", "human", None),  # of the whole: the last turns are equal
    ]
    answers = [answer for (answer,) in lake.rows("SELECT messages FROM responses WHERE len(messages) > 1")]
    assert sorted([turn["content"][0]["text"] for turn in answer] for answer in answers) == [
        ["x", "And?", "y"],
        ["z", "And?", "y"],
    ]
    assert [line for line, _ in rejected(lake)] == [4]
    assert "`winner` is 'neither', but must be one of model_a" in rejected(lake)[0][1]


def test_a_vote_on_the_first_turn_is_about_the_first_answers(lake: Lake, take: Take) -> None:
    ends = {"conversation_a": ("2", "6"), "conversation_b": ("2", "5")}
    talks = {
        name: [user("1 and 1?"), assistant(first), user("Plus 3?"), assistant(second)]
        for name, (first, second) in ends.items()
    }
    rows = [battle("tie", "ada", turn=1, **talks), battle("model_b", "ada", turn=2, **talks)]
    take("bench.jsonl", lines(*rows), format="lmsys-arena")
    first = [("user", "1 and 1?")]
    assert sorted(prompts(lake), key=len) == [first, [*first, ("assistant", "2"), ("user", "Plus 3?")]]
    assert [row[:3] for row in verdicts(lake)] == [("2", "2", "tie"), ("5", "6", "wins")]


ODD_TEXTS = {"lone surrogate": "half \ud83d", "NUL": "a\0b"}


@pytest.mark.parametrize("odd", ODD_TEXTS)
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_odd_characters_inside_json_text_are_that_row_s_quarantine(
    odd: str, suffix: str, lake: Lake, take: Take, tmp_path: Path
) -> None:
    flags = {"winner_model_a": "1", "winner_model_b": "0", "winner_tie": "0"}
    rows = [
        {"prompt": '["Hi"]', "response_a": json.dumps([text]), "response_b": '["other"]', **flags}
        for text in ("first", ODD_TEXTS[odd], "last")
    ]
    rows.append({**rows[0], "prompt": "[" * 100_000})
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    content = {"jsonl": lines(*rows), "csv": as_csv(rows), "parquet": None}[suffix]
    take(f"x.{suffix}", content, format="lmsys-arena")
    assert set(models(lake)) == {"first", "other", "last"}
    reasons = [reason for _, reason in rejected(lake)]
    assert f"`response_a[0]` holds a {odd}" in reasons[0]
    assert reasons[1:] == ["`prompt` is text, but not valid JSON."]
    assert_reconciled(lake)


@pytest.mark.parametrize("odd", ODD_TEXTS)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_odd_characters_inside_responses_of_a_table(
    odd: str, suffix: str, lake: Lake, take: Take, tmp_path: Path
) -> None:
    rows = [
        {"id": f"q{n}", "prompt": "Hi", "responses": json.dumps([{"id": "r", "text": text}])}
        for n, text in enumerate(("first", ODD_TEXTS[odd], "last"))
    ]
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    take(f"x.{suffix}", as_csv(rows) if suffix == "csv" else None)
    assert set(models(lake)) == {"first", "last"}
    assert f"`responses[0].text` holds a {odd}" in rejected(lake)[0][1]


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def test_lmsys_arena_table_of_the_competition(lake: Lake, take: Take) -> None:
    names = ["id", "model_a", "model_b", "prompt", "response_a", "response_b"]
    names += ["winner_model_a", "winner_model_b", "winner_tie"]
    rows = [
        [1, "alpha", "beta", '["Hi"]', '["from alpha"]', '["from, beta"]', 0, 1, 0],
        [2, "alpha", "beta", '["Hi"]', "[null]", '["from, beta"]', 0, 1, 0],
        [3, "alpha", "beta", '["Hi"]', '["x"]', '["y"]', 1, 1, 0],
    ]
    text = io.StringIO()
    csv.writer(text).writerows([names, *rows])
    take("arena.csv", text.getvalue().encode(), format="lmsys-arena")
    assert verdicts(lake) == [("from, beta", "from alpha", "wins", "arena.csv", "human", None)]
    assert models(lake) == {"from alpha": "alpha", "from, beta": "beta"}
    assert rejected(lake) == [
        (3, "`conversation_a[1].content` is missing."),
        (4, "Exactly one of winner_model_a, winner_model_b, winner_tie must be 1, not 2."),
    ]


def annotation(preference: float | None, annotator: str) -> dict[str, Any]:
    return {
        "instruction": "Sum up.",
        "output_1": "one",
        "generator_1": "davinci",
        "output_2": "two",
        "generator_2": "new",
        "annotator": annotator,
        "preference": preference,
    }


def test_alpaca_eval_annotations(lake: Lake, take: Take) -> None:
    values = {"first": 1, "second": 2.0, "even": 1.5, "old tie": 0, "weighted": 1.75, "none": None, "odd": 3}
    rows = [annotation(value, name) for name, value in values.items()]
    content = json.dumps(rows, indent=1).encode()  # the published files are arrays
    take("annotations.json", content, format="alpaca-eval")
    assert verdicts(lake) == [
        ("one", "two", "failed", "none", "llm", None),
        ("one", "two", "tie", "even", "llm", None),
        ("one", "two", "tie", "old tie", "llm", None),
        ("one", "two", "wins", "first", "llm", None),
        ("two", "one", "wins", "second", "llm", None),
        ("two", "one", "wins", "weighted", "llm", 0.75),
    ]
    assert rejected(lake) == [(7, "`preference` is 3, but must be between 1 and 2.")]
    assert models(lake) == {"one": "davinci", "two": "new"}


def test_alpaca_eval_outputs_of_models_meet_at_the_prompt(lake: Lake, take: Take) -> None:
    for name in ("new", "old"):
        rows = [{"instruction": "Sum up.", "input": "A text.", "output": f"by {name}", "generator": name}]
        take(f"{name}.json", json.dumps(rows).encode(), format="alpaca-eval")
    assert prompts(lake) == [[("user", "Sum up.\n\nA text.")]]
    assert models(lake) == {"by new": "new", "by old": "old"}


def test_fields_map_any_shape(lake: Lake, take: Take) -> None:
    fields = Fields(
        id="meta.number",
        prompt="question",
        a="left.text",
        b="right.text",
        model_a="left.by",
        winner="verdict",
        winners={"1": "a", "2": "b", "0": "tie"},
        annotator="worker",
        annotator_kind="type",
        p_a="sure",
        shown="order",
        rationale="why",
        meta=["meta.topic"],
    )
    row = {
        "meta": {"number": 5, "topic": "birds"},
        "question": "Which?",
        "left": {"text": "l", "by": "m"},
        "right": {"text": "r"},
        "verdict": 2,
        "worker": 17,
        "type": "human",
        "sure": "0.25",
        "order": "ba",
        "why": "Because.",
    }
    wrong = [
        row | change
        for change in ({"verdict": 9}, {"type": "god"}, {"sure": 2}, {"sure": 0.9}, {"order": "x"})
    ]
    take("any.jsonl", lines(row, *wrong), fields=fields)
    assert verdicts(lake) == [("r", "l", "wins", "17", "human", 0.75)]
    assert lake.rows("SELECT key, meta FROM prompts") == [("5", '{"meta.topic":"birds"}')]
    assert lake.rows("SELECT rationale FROM judgments") == [("Because.",)]
    assert [line for line, _ in rejected(lake)] == [2, 3, 4, 5, 6]


def test_fields_map_a_list_of_responses(lake: Lake, take: Take) -> None:
    fields = Fields(
        prompt="q", responses="answers", response_text="says", response_model="who", response_score="s"
    )
    rows = [
        {"q": "p", "answers": [{"says": "x", "who": "m", "s": 1}, {"says": "y", "s": 2}]},
        {"q": "p", "answers": ["x", "z"]},
        {"q": "p", "answers": []},
        {"q": "p", "answers": [5]},
        {"q": "", "answers": ["x"]},
        {"answers": ["x"]},
        {"q": "p", "answers": [{"says": "x", "s": True}]},
    ]
    take("any.jsonl", lines(*rows), fields=fields)
    assert verdicts(lake) == [("y", "x", "wins", "any.jsonl", "imported", None)]
    assert [reason for _, reason in rejected(lake)] == [
        "`answers` is empty.",
        "`answers[0]` is a number, but should be a string or an object.",
        "The prompt is empty.",
        "`q` is missing.",
        "`answers[0].s` is true or false, but should be a number.",
    ]


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("trl-preference", {"prompt": "p", "chosen": "c"}, "`rejected` is missing"),
    ("trl-preference", {"prompt": "p", "chosen": 1, "rejected": "r"}, "`chosen` is a number, but should be a string"),
    ("trl-preference", {"chosen": [user("p")], "rejected": [user("q")]}, "begin differently, so they do not answer"),
    ("trl-preference", {"chosen": [], "rejected": []}, "`chosen` is empty"),
    ("trl-preference", {"prompt": "p", "chosen": "c\0", "rejected": "r"}, "`chosen` holds a NUL character"),
    ("trl-preference", {"prompt": "p", "chosen": "\ud800", "rejected": "r"}, "`chosen` holds a lone surrogate"),
    ("trl-preference", {"prompt": [{"role": "x", "content": ""}], "chosen": [], "rejected": []}, "no known role"),
    ("hh-rlhf", {"chosen": ["x"], "rejected": "x"}, "`chosen` is an array, but should be a string"),
    ("ultrafeedback", {"instruction": "x", "completions": "y"}, "`completions` is a string, but should be an array"),
    ("ultrafeedback", {"instruction": "x", "completions": [{}]}, "`completions[0].response` is missing"),
    ("alpaca-eval", {"output": "x"}, "`instruction` is missing"),
    ("lmsys-arena", {"conversation_a": [], "conversation_b": []}, "`conversation_a` is empty"),
    (
        "trl-preference",
        {"prompt": "p", "chosen": [{**assistant(""), "tool_calls": [{"id": "1"}]}], "rejected": [assistant("r")]},
        "`chosen[0].tool_calls[0].name` is missing",
    ),
    (
        "trl-preference",
        {"prompt": "other", "chosen": [user("p"), assistant("c")], "rejected": [user("p"), assistant("r")]},
        "`chosen` is a whole conversation, but `prompt` is no part of it",
    ),
    (
        "trl-preference",
        {"system": "s", "prompt": [{"role": "system", "content": "t"}, user("p")], "chosen": "c", "rejected": "r"},
        "`system` and the system message of the conversation differ",
    ),
    (
        "trl-preference",
        {"prompt": "p", "chosen": [assistant("?"), {"role": "tool", "content": "1"}], "rejected": "r"},
        "`chosen` does not end with a turn of the assistant",
    ),
    ("trl-preference", {"system": 5, "prompt": "p", "chosen": "c", "rejected": "r"}, "`system` is a number"),
]  # fmt: skip


@pytest.mark.parametrize(("format_name", "row", "reason"), BROKEN)
def test_broken_foreign_rows_are_quarantined(
    format_name: str, row: dict[str, Any], reason: str, lake: Lake, take: Take
) -> None:
    counts = take("x.jsonl", lines(row, b"[1]\n"), format=format_name).counts
    assert counts.rows_dropped == 2
    assert reason in rejected(lake)[0][1]


def test_the_configuration_knows_the_shapes() -> None:

    assert set(SHAPES.names) == set(SHAPE_NAMES)
