"""What files are recognised as: each is read rightly or refused with a sentence, and none is read wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.ingest import Source
from curate.config.project import Config, load_config
from curate.data.conversation import get_final_text
from curate.ingest.recognition import (
    Recognition,
    describe_recognition,
    draw_rows,
    recognize_source,
    write_entry,
)
from curate.ingest.recognition.names import NamePair
from curate.ingest.recognition.sources import resolve_formats
from curate.ingest.recognition.winners import read_winner_values
from curate.ingest.rows import NativeRow, Row
from curate.ingest.shapes import SHAPES, open_shape
from curate.lake.lake import Lake
from tests.ingest.look_alikes import DECIDED, LOOK_ALIKES, TRUTH, Item, LookAlike, order, say
from tests.ingest.samples import lines, native


def make_config(folder: Path) -> Config:
    config = Config()
    object.__setattr__(config, "_folder", folder)
    return config


def recognize(folder: Path, name: str, **options: Any) -> Recognition:
    return recognize_source(Source(source=name, format="auto", **options), make_config(folder))


def last_text(turns: Any) -> str:
    return turns if isinstance(turns, str) else get_final_text(turns)


def read_verdicts(rows: tuple[Row | NativeRow, ...]) -> list[tuple[str, str, str, bool]]:
    """(question, better answer or the first, other answer, is a tie) of every verdict."""
    read = []
    for row in rows:
        for verdict in row.verdicts:
            a, b = (last_text(row.responses[place].answer) for place in (verdict.a, verdict.b))
            better, other = (b, a) if verdict.winner == "b" else (a, b)
            read.append((last_text(row.prompt), better, other, verdict.winner == "tie"))
    return read


@pytest.mark.parametrize("look_alike", LOOK_ALIKES, ids=lambda look_alike: look_alike.name)
def test_a_look_alike_is_read_rightly_or_refused(look_alike: LookAlike, tmp_path: Path) -> None:
    look_alike.write(tmp_path / look_alike.name, look_alike.rows)
    recognition = recognize(tmp_path, look_alike.name)
    if look_alike.outcome == "refused":
        assert recognition.certainty == "refused"
        assert all(problem for problem in recognition.problems)
        return
    assert recognition.certainty != "refused", recognition.problems
    assert recognition.trial is not None
    truth = TRUTH if len(look_alike.rows) == len(TRUTH) else DECIDED
    expected = [(item.question, *order(item), item.better == "tie") for item in truth]
    assert read_verdicts(recognition.trial.rows) == expected


def test_every_shape_with_an_example_is_recognised_by_it(tmp_path: Path) -> None:
    """A new shape is recognised without a change of code: its example is read as it says, or not at all."""
    missed = []
    for name in SHAPES.names:
        example = open_shape(name).example
        if not example:
            continue
        row = example["row"]
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row, default=str) + "\n")
        recognition = recognize(tmp_path, f"{name}.jsonl")
        if recognition.certainty == "refused" or recognition.trial is None:
            missed.append(name)
            continue
        read = recognition.trial.rows[0]
        answers = [last_text(response.answer) for response in read.responses]
        assert answers == example["responses"], name
        if recognition.source is not None and recognition.source.format == name:
            for verdict, wanted in zip(read.verdicts, example["verdicts"], strict=True):
                said = {
                    key: value for key, value in wanted.items() if key != "annotator"
                }  # may be the file's name
                assert {key: getattr(verdict, key) for key in said} == said
    assert len(missed) <= 6, missed


def test_native_rows_stay_native(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(lines(native(1), native(2), {"broken": True}))
    (tmp_path / "v.jsonl").write_bytes(
        lines({"prompt": "q1", "a": "r0", "b": "r1", "annotator": "anna", "kind": "human", "winner": "a"})
    )
    (tmp_path / "bad.jsonl").write_bytes(b"no JSON\n")
    config = make_config(tmp_path)
    sources = [Source(source=name) for name in ("x.jsonl", "bad.jsonl")]
    assert resolve_formats(sources, config) == sources  # and so are the fingerprints of work that is done
    assert recognize(tmp_path, "v.jsonl").source == Source(
        source="v.jsonl", kind="judgments", format="native"
    )


def test_a_source_without_a_format_is_recognised_where_that_is_certain(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(lines({"prompt": "Why?", "chosen": "So.", "rejected": "No."}))
    (tmp_path / "y.jsonl").write_bytes(lines({"prompt": "Why?", "y_w": "So.", "y_l": "No."}))
    sources = [Source(source="x.jsonl"), Source(source="y.jsonl")]
    x, y = resolve_formats(sources, make_config(tmp_path))
    assert x.format == "trl-preference"
    assert y == sources[1]  # likely is not enough: its rows go into quarantine, and the command fails


def test_people_are_not_taken_for_models(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    row = {"conversation_a": turns, "conversation_b": [turns[0], {"role": "assistant", "content": "No."}]}
    judged = [{**row, "winner": "model_a", "judge": judge} for judge in ("gpt-4", "gpt-4-turbo")]
    (tmp_path / "x.jsonl").write_bytes(lines(*judged))
    recognition = recognize(tmp_path, "x.jsonl")
    assert recognition.trial is not None
    kinds = {verdict.kind for row in recognition.trial.rows for verdict in row.verdicts}
    assert kinds == {"llm"} or recognition.certainty != "certain"


def test_columns_that_a_shape_does_not_read_are_kept_or_doubted(tmp_path: Path) -> None:
    row = {"prompt": "Why?", "chosen": "So.", "rejected": "No.", "domain": "x", "quality_rank": 3}
    (tmp_path / "x.jsonl").write_bytes(lines(row))
    recognition = recognize(tmp_path, "x.jsonl")
    assert recognition.certainty != "certain"
    (tmp_path / "x.jsonl").write_bytes(lines({**row, "quality_rank": None}))
    recognition = recognize(tmp_path, "x.jsonl")
    assert recognition.certainty == "certain"
    assert recognition.source is not None
    assert recognition.source.fields is not None
    assert "domain" in recognition.source.fields.meta


def test_what_was_understood_is_one_sentence_with_rows_and_an_entry(tmp_path: Path) -> None:
    row = {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]}
    rejected = [{"role": "assistant", "content": "No."}]
    rows = [
        {**row, "chosen": [{"role": "assistant", "content": f"So {n}."}], "rejected": rejected}
        for n in range(300)
    ]
    (tmp_path / "x.jsonl").write_bytes(lines(*rows))
    recognition = recognize(tmp_path, "x.jsonl")
    sentence = describe_recognition(recognition, make_config(tmp_path))
    for part in ("trl-preference", "conversational", "system prompts", "300 pairs", "imported"):
        assert part in sentence
    assert recognition.trial is not None
    assert draw_rows(recognition.trial).count("A is better than B") == 3
    assert recognition.source is not None
    assert write_entry(recognition.source) == "  - source: x.jsonl\n    format: trl-preference\n"


def test_people_are_counted_in_what_is_written_down(tmp_path: Path) -> None:
    row = {
        "prompt": "Why?",
        "response_a": "So.",
        "response_b": "No.",
        "winner": "a",
        "worker": "ada@example.org",
    }
    (tmp_path / "x.jsonl").write_bytes(lines(row))
    assert "ada@" not in describe_recognition(recognize(tmp_path, "x.jsonl"), make_config(tmp_path))


def test_a_folder_and_a_glob_are_one_source(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "data" / name).write_bytes(lines({"prompt": "Why?", "chosen": "So.", "rejected": "No."}))
    for name, source in (("data", "data/*.jsonl"), ("data/*.jsonl", "data/*.jsonl")):
        recognition = recognize(tmp_path, name)
        assert recognition.source == Source(source=source, format="trl-preference")


def test_the_order_shown_and_the_worse_side_are_no_verdicts(tmp_path: Path) -> None:
    row = {"prompt": "Why?", "response_a": "So.", "response_b": "No."}
    for name in ("shown_first", "loser"):
        (tmp_path / "x.jsonl").write_bytes(lines({**row, name: "a"}, {**row, "prompt": "How?", name: "b"}))
        recognition = recognize(tmp_path, "x.jsonl")
        assert recognition.trial is not None
        assert not any(said.verdicts for said in recognition.trial.rows)
    assert recognition.certainty == "refused"
    assert "names the worse answer" in recognition.problems[0]


def test_several_judges_of_a_row_are_several_annotators(tmp_path: Path) -> None:
    row = {
        "prompt": "Why?",
        "answer_1": "So.",
        "answer_2": "No.",
        "annotator1": "1",
        "annotator2": "2",
        "gpt4": "2",
    }
    (tmp_path / "x.jsonl").write_bytes(
        lines({**row, "majority": "2"}, {**row, "prompt": "How?", "majority": "2"})
    )
    recognition = recognize(tmp_path, "x.jsonl")
    assert recognition.certainty == "likely"
    assert recognition.trial is not None
    verdicts = [(v.annotator, v.kind, v.winner) for v in recognition.trial.rows[0].verdicts]
    assert verdicts == [
        ("annotator1", "imported", "a"),
        ("annotator2", "imported", "b"),
        ("gpt4", "llm", "b"),
    ]


def test_a_format_that_is_given_is_not_recognised_again(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(lines({"prompt": "Why?", "chosen": "So.", "rejected": "No."}))
    config = make_config(tmp_path)
    assert recognize_source(Source(source="x.jsonl", format="native"), config).certainty == "refused"
    assert recognize_source(Source(source="x.jsonl"), config).certainty == "certain"


SIDES = NamePair("response_a", "response_b", ("response",), ("a", "b"), decided=False)


@pytest.mark.parametrize(
    ("values", "meanings", "unknown"),
    [
        (("A", "B"), {"A": "a", "B": "b"}, []),
        (("a", "b", "tie"), {}, []),
        (("model_a", "tie (bothbad)"), {"model_a": "a", "model_b": "b", "tie (bothbad)": "both_bad"}, []),
        (("response_b",), {"response_b": "b", "response_a": "a"}, []),
        (("[[A]]", "[[B]]", "[[C]]"), {"[[A]]": "a", "[[B]]": "b"}, ["[[C]]"]),
        ((0, 1), {}, ["0", "1"]),
        ((1, 2), {"1": "a", "2": "b"}, []),
        ((1,), {}, ["1"]),
        ((1, 2, 0), {}, ["1", "2", "0"]),
        ((-1, 1), {}, ["-1", "1"]),
        ((True, False), {}, ["true", "false"]),
        (("gpt-4", "claude"), {}, ["gpt-4", "claude"]),
        (
            ("a", "b", "Both are equally good", "Both are bad", "They are about the same"),
            {
                "Both are equally good": "both_good",
                "Both are bad": "both_bad",
                "They are about the same": "tie",
            },
            [],
        ),
        (
            ("a", "b", "No clear winner", "Neither is better", "Neither", "It's a tie"),
            {
                "No clear winner": "tie",
                "Neither is better": "tie",
                "Neither": "both_bad",
                "It's a tie": "tie",
            },
            [],
        ),
        (
            ("a", "b", "I'm not sure", "Can't tell", "Hard to say", "Unclear"),
            dict.fromkeys(("I'm not sure", "Can't tell", "Hard to say", "Unclear"), "abstain"),
            [],
        ),
        (
            ("Response A is better than Response B",),
            {"Response A is better than Response B": "a", "Response B is better than Response A": "b"},
            [],
        ),
        (("Response A", "I'd pick one"), {"Response A": "a", "Response B": "b"}, ["I'd pick one"]),
        (("A>B", "A=B"), {"A>B": "a", "A=B": "tie", "B>A": "b"}, []),
        (
            ("A", "B", "A and B are equally good", "Neither A nor B", "A is about the same as B"),
            {
                "A": "a",
                "B": "b",
                "A and B are equally good": "both_good",
                "Neither A nor B": "both_bad",
                "A is about the same as B": "tie",
            },
            [],
        ),
        *(
            (("a", "b", phrase), {}, [phrase])
            for phrase in (
                "A is not better",
                "B is worse",
                "A is worse than B",
                "Not A",
                "Anything but A",
                "A loses to B",
                "A isn't better than B",
                "A less preferred",
                "A is good and B is bad",
                "A is better and B is worse",
                "Not the same",
                "Neither is bad",
            )
        ),
        (("a", "b", "Both are not bad", "A is good"), {}, ["Both are not bad", "A is good"]),
    ],
)
def test_values_of_winners_mean_what_they_say_or_nothing(
    values: tuple[object, ...], meanings: dict[str, str], unknown: list[str]
) -> None:
    read = read_winner_values(values, SIDES, "winner")
    assert (read.meanings, read.unknown) == (meanings, unknown)


@pytest.mark.parametrize(
    ("values", "steps", "others"),
    [
        (
            ("A is much better", "A is a bit better", "The same", "B is better"),
            {
                "A is much better": 3,
                "B is much better": -3,
                "A is a bit better": 1,
                "B is a bit better": -1,
                "B is better": -2,
                "A is better": 2,
            },
            {"The same": "tie"},
        ),
        (("A>>B", "B>A", "A=B"), {"A>>B": 2, "B>>A": -2, "B>A": -1, "A>B": 1}, {"A=B": "tie"}),
        (("I strongly prefer A", "Slightly prefer B", "Unsure"), None, {"Unsure": "abstain"}),
        (("A is better", "B is better"), {}, {"A is better": "a", "B is better": "b"}),
    ],
)
def test_words_of_degree_are_steps_of_a_scale(
    values: tuple[str, ...], steps: dict[str, int] | None, others: dict[str, str]
) -> None:
    read = read_winner_values(values, SIDES, "winner")
    assert not read.unknown
    if steps is not None:
        assert read.steps == steps
    assert {text: outcome for text, outcome in read.meanings.items() if text not in read.steps} == others


def test_a_survey_in_words_comes_in_with_people_strengths_and_ties(tmp_path: Path) -> None:
    words = ("Answer 1 is much better", "Answer 2 is slightly better", "Both are bad", "I can't tell")
    rows = [
        f"Question {n}?;one {n} of a few words;two {n} of a few words;{word};person{n}@example.org"
        for n in range(3)
        for word in words
    ]
    (tmp_path / "survey.csv").write_text(
        "\n".join(["Question;Answer 1;Answer 2;Which is better?;Rater e-mail", *rows]) + "\n",
        encoding="utf-8",
    )
    config = tmp_path / "curate.yaml"
    config.write_text("judge: {judges: [{name: length, kind: rule, rule: length}]}\n")
    result = CliRunner().invoke(app, ["ingest", str(tmp_path / "survey.csv"), "--yes", "-c", str(config)])
    assert result.exit_code == 0, result.output
    with Lake.open(load_config(config).location) as lake:
        verdicts = lake.rows(
            "SELECT r.messages[1].content[1].text[:3], j.outcome, abs(score), tied_as, kind, annotator_id "
            "FROM judgments j JOIN responses r ON r.response_id = if(outcome = 'b', response_b, response_a)"
        )
    assert {row[4] for row in verdicts} == {"human"}
    assert len({row[5] for row in verdicts}) == 3
    assert not any("@" in row[5] for row in verdicts)
    better = [("one", 2.0), ("two", 1.0)]
    assert sorted((row[0], row[2]) for row in verdicts if row[1] in ("a", "b")) == sorted(better * 3)
    others = [(row[1], row[3]) for row in verdicts if row[1] not in ("a", "b")]
    assert sorted(others, key=str) == [("abstain", None)] * 3 + [("tie", "both-bad")] * 3


def test_a_column_system_with_one_word_a_row_names_models_and_is_no_system_prompt(tmp_path: Path) -> None:
    rows = [
        {"question": item.question, "system": system, "output": text, "score": score}
        for item in TRUTH
        for system, text, score in (("x-large", item.first, 1), ("y-small", item.second, 2))
    ]
    (tmp_path / "long.jsonl").write_bytes(lines(*rows))
    recognition = recognize(tmp_path, "long.jsonl")
    assert recognition.source is not None
    assert recognition.source.fields is not None
    assert recognition.source.fields.response_model == "system"
    assert recognition.source.fields.system is None
    assert recognition.source.fields.response_score == "score"


def test_verdicts_on_single_criteria_stand_beside_the_one_on_the_whole(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": item.question,
            "response_1": item.first,
            "response_2": item.second,
            "helpfulness": "response_1",
            "overall": say(item, ("response_1", "response_2", "tie")),
        }
        for item in TRUTH
    ]
    (tmp_path / "criteria.jsonl").write_bytes(lines(*rows))
    recognition = recognize(tmp_path, "criteria.jsonl")
    assert recognition.trial is not None
    verdicts = [verdict for row in recognition.trial.rows for verdict in row.verdicts]
    whole = {"first": "a", "second": "b", "tie": "tie"}
    assert [v.winner for v in verdicts if v.aspect is None] == [whole[item.better] for item in TRUTH]
    assert [v.winner for v in verdicts if v.aspect == "helpfulness"] == ["a"] * len(TRUTH)


@pytest.mark.parametrize(
    ("columns", "winner"),
    [
        (("response_a", "response_b"), lambda item, a, b: say(item, ("a", "b", "tie"))),
        (("answer_1", "answer_2"), lambda item, a, b: say(item, (a, b, "tie"))),
        (("chosen_id", "rejected_id"), None),
    ],
)
def test_a_file_of_votes_names_responses_of_another_file(
    columns: tuple[str, str], winner: Callable[[Item, str, str], str] | None, tmp_path: Path
) -> None:
    responses = [
        {"prompt_id": f"q{n}", "prompt": item.question, "response_id": f"q{n}-{k}", "response": text}
        for n, item in enumerate(TRUTH)
        for k, text in enumerate((item.first, item.second))
    ]
    votes = []
    for n, item in enumerate(TRUTH):
        a, b = f"q{n}-0", f"q{n}-1"
        if winner is not None:
            names = dict(zip(columns, (a, b), strict=True))
            votes.append({"prompt_id": f"q{n}", **names, "winner": winner(item, a, b), "rater": "w1"})
        elif item.better != "tie":
            better = (a, b) if item.better == "first" else (b, a)
            votes.append({"prompt_id": f"q{n}", **dict(zip(columns, better, strict=True)), "rater": "w1"})
    (tmp_path / "responses.jsonl").write_bytes(lines(*responses))
    (tmp_path / "votes.jsonl").write_bytes(lines(*votes))
    config = tmp_path / "curate.yaml"
    config.write_text("judge: {judges: [{name: length, kind: rule, rule: length}]}\n")
    files = [str(tmp_path / name) for name in ("responses.jsonl", "votes.jsonl")]
    result = CliRunner().invoke(app, ["ingest", *files, "--yes", "-c", str(config)])
    assert result.exit_code == 0, result.output
    with Lake.open(load_config(config).location) as lake:
        better = lake.rows(
            "SELECT r.messages[1].content[1].text FROM judgments j "
            "JOIN responses r ON r.response_id = if(outcome = 'b', response_b, response_a) WHERE outcome <> 'tie'"
        )
        assert lake.value("SELECT count(*) FROM judgments WHERE kind = 'human'") == len(votes)
    assert sorted(text for (text,) in better) == sorted(order(item)[0] for item in DECIDED)


@pytest.mark.parametrize(
    ("values", "scores"),
    [
        (("up", "down", None), {"up": 1.0, "down": 0.0}),
        (("thumbs_up", "thumbs_down"), {"thumbs_up": 1.0, "thumbs_down": 0.0}),
        ((1, 0), None),
        ((True, False), None),
        (("up", "sideways"), None),
    ],
)
def test_thumbs_of_single_answers_are_ratings_of_users_where_their_words_say_so(
    values: tuple[object, ...], scores: dict[str, float] | None, tmp_path: Path
) -> None:
    rows = [
        {"user_message": item.question, "bot_reply": item.first, "thumbs": values[place % len(values)]}
        for place, item in enumerate(TRUTH)
    ]
    (tmp_path / "log.jsonl").write_bytes(lines(*rows))
    recognition = recognize(tmp_path, "log.jsonl")
    if scores is None:
        assert recognition.certainty == "refused"
        return
    assert recognition.source is not None
    assert recognition.source.fields is not None
    assert recognition.source.fields.scores == scores
    assert recognition.source.annotator_kind == "implicit"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            {"version": 1, "items": [{"question": "?"}, {"question": "!"}]},
            "rows in its `items`: write them anew",
        ),
        (
            [
                {
                    "question_id": 1,
                    "model_id": "m1",
                    "answer_id": "a",
                    "choices": [{"index": 0, "turns": ["Oak."]}],
                }
            ],
            "whose questions are in another file: `join` brings",
        ),
    ],
)
def test_rows_that_are_not_yet_rows_are_refused_with_what_to_do(
    content: Any, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "file.json").write_text(json.dumps(content, indent=2))
    recognition = recognize(tmp_path, "file.json")
    assert recognition.certainty == "refused"
    assert sentence in recognition.problems[0]


@pytest.mark.parametrize("mark", ["<extra_id_0>System\n\n<extra_id_1>User\n", "<s>[INST] "])
def test_prompts_of_a_chat_template_are_never_certain(mark: str, tmp_path: Path) -> None:
    rows = [{"prompt": f"{mark}What is {n}?", "chosen": f"It is {n}.", "rejected": "No."} for n in range(3)]
    (tmp_path / "pairs.jsonl").write_bytes(lines(*rows))
    recognition = recognize(tmp_path, "pairs.jsonl")
    assert recognition.certainty == "likely"
    assert any("a mark of a chat template" in doubt for doubt in recognition.doubts)
