"""Kinds of public files that came in with another meaning, or were refused: the same columns with invented texts."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from curate.config.ingest import Source
from curate.config.project import Config
from curate.data.conversation import get_final_text
from curate.ingest.recognition import Recognition, recognize_source

TREES = ("oak", "fir", "elm", "yew", "ash", "box", "fig", "bay")
QUESTIONS = [f"What do you know of the {tree}?" for tree in TREES]
GOOD = [f"The {tree} is a tree, and it grows slowly in these hills." for tree in TREES]
BAD = [f"A {tree} is a kind of fish that lives in deep water, I think." for tree in TREES]
TRIPLES = list(zip(QUESTIONS, GOOD, BAD, strict=True))


def recognize(folder: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Recognition:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return recognize_file(folder, name)


def recognize_file(folder: Path, name: str) -> Recognition:
    config = Config()
    object.__setattr__(config, "_folder", folder)
    return recognize_source(Source(source=name, format="auto"), config)


def list_rows(recognition: Recognition) -> list[tuple[str, list[str], list[str | None]]]:
    """(last turn of the prompt, the answers, their models) of every row."""
    assert recognition.trial is not None
    assert recognition.certainty != "refused", recognition.problems

    def last(turns: Any) -> str:
        return turns if isinstance(turns, str) else get_final_text(turns)

    return [
        (last(row.prompt), [last(r.answer) for r in row.responses], [r.model for r in row.responses])
        for row in recognition.trial.rows
    ]


def test_the_id_of_a_row_is_no_id_of_its_responses(tmp_path: Path) -> None:
    texts = [{"id": f"q{n}", "prompt": q, "responses": [a, b]} for n, (q, a, b) in enumerate(TRIPLES)]
    objects = [{**row, "responses": [{"model": "m1", "completion": row["responses"][0]}]} for row in texts]
    assert list_rows(recognize(tmp_path, texts)) == [(q, [a, b], [None, None]) for q, a, b in TRIPLES]
    assert list_rows(recognize(tmp_path, objects)) == [(q, [a], ["m1"]) for q, a, _ in TRIPLES]


def test_one_model_beside_a_list_wrote_all_of_it(tmp_path: Path) -> None:
    rows = [{"prompt": q, "responses": [a, b], "model": "m1"} for q, a, b in TRIPLES]
    assert list_rows(recognize(tmp_path, rows)) == [(q, [a, b], ["m1", "m1"]) for q, a, b in TRIPLES]


def test_a_reference_is_not_the_answer(tmp_path: Path) -> None:
    rows = [{"model_type": "m1", "context": q, "ref_text": a, "sample": b} for q, a, b in TRIPLES]
    assert list_rows(recognize(tmp_path, rows)) == [(q, [b], ["m1"]) for q, _, b in TRIPLES]


def test_turns_are_no_rival_answers(tmp_path: Path) -> None:
    rows = [
        {
            "task_description": q,
            "conversation": [{"speaker": "User", "text": q}, {"speaker": "Agent", "text": a}],
        }
        for q, a, _ in TRIPLES
    ]
    assert recognize(tmp_path, rows).certainty == "refused"


def test_a_column_of_lists_may_hold_something_else_in_a_few_rows(tmp_path: Path) -> None:
    """Neither a number in place of the list nor an item without its `index` ends recognition."""
    rows: list[dict[str, Any]] = [{"prompt": q, "outputs": [{"index": 0, "text": a}]} for q, a, _ in TRIPLES]
    assert list_rows(recognize(tmp_path, rows)) == [(q, [a], [None]) for q, a, _ in TRIPLES]
    rows += [{"prompt": "x", "outputs": 5}, {"prompt": "y", "outputs": [{"text": "z"}]}]
    assert recognize(tmp_path, rows).certainty == "refused"  # nothing says what `index` is


def test_a_few_words_again_and_again_are_no_answers(tmp_path: Path) -> None:
    rows = [{"text": q, "answer": ("accept", "reject")[n % 2]} for n, q in enumerate(QUESTIONS)]
    recognition = recognize(tmp_path, rows)
    assert recognition.certainty == "refused"
    assert "as a verdict does" in recognition.problems[0]


def test_a_third_column_makes_a_pair_a_list(tmp_path: Path) -> None:
    rows = [{"question": q, "guess 1": a, "guess 2": b, "guess 3": a + b} for q, a, b in TRIPLES]
    assert [answers for _, answers, _ in list_rows(recognize(tmp_path, rows))] == [
        [a, b, a + b] for _, a, b in TRIPLES
    ]


def test_what_a_judge_was_asked_is_not_the_question(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Which is better?\n{q}\nA:\n{a}\nB:\n{b}", "input": q, "output_A": a, "output_B": b}
        for q, a, b in TRIPLES
    ]
    single = [
        {"prompt": f"Rate this.\n{q}\nAnswer:\n{a}", "input": q, "output": a, "generator": "m"}
        for q, a, _ in TRIPLES
    ]
    assert list_rows(recognize(tmp_path, rows)) == [(q, [a, b], [None, None]) for q, a, b in TRIPLES]
    assert list_rows(recognize(tmp_path, single)) == [(q, [a], ["m"]) for q, a, _ in TRIPLES]


def test_a_placeholder_is_no_prompt(tmp_path: Path) -> None:
    rows = [{"prompt": "N/A", "input": q, "output_1": a, "output_2": b} for q, a, b in TRIPLES]
    assert [question for question, _, _ in list_rows(recognize(tmp_path, rows))] == QUESTIONS


@pytest.mark.parametrize("words", [("1_full_compliance", "2_full_refusal"), ("level/one", "level/two")])
def test_verdicts_of_one_word_are_seen(words: tuple[str, str], tmp_path: Path) -> None:
    rows = [
        {"prompt": q, "completion": a, "final_label": words[n % 2]} for n, (q, a, _) in enumerate(TRIPLES)
    ]
    recognition = recognize(tmp_path, rows)
    assert recognition.certainty == "refused"
    assert "`final_label`" in recognition.problems[0]


def test_a_file_without_one_answer_is_refused(tmp_path: Path) -> None:
    rows = [{"instruction": q, "input": "", "output": ""} for q in QUESTIONS]
    recognition = recognize(tmp_path, rows)
    assert recognition.certainty == "refused"
    assert "every answer is empty" in recognition.problems[0]


def test_answers_that_begin_no_conversation_have_their_prompt_elsewhere(tmp_path: Path) -> None:
    rows = [
        {
            "context": [{"from": "user", "content": q}],
            "chosen": [{"from": "assistant", "content": a}],
            "rejected": [{"from": "assistant", "content": b}],
        }
        for q, a, b in TRIPLES
    ]
    recognition = recognize(tmp_path, rows)
    assert list_rows(recognition) == [(q, [a, b], [None, None]) for q, a, b in TRIPLES]
    assert recognition.trial is not None
    assert {verdict.winner for row in recognition.trial.rows for verdict in row.verdicts} == {"a"}


def test_a_whole_conversation_ends_with_the_answer(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}
        for q, a, _ in TRIPLES
    ]
    recognition = recognize(tmp_path, rows)
    assert list_rows(recognition) == [(q, [a], [None]) for q, a, _ in TRIPLES]
    assert any("the last answer in `messages`" in doubt for doubt in recognition.doubts)


def test_text_beside_a_prompt_is_the_answer(tmp_path: Path) -> None:
    rows = [
        {"question_id": f"q{n}", "prompt": q, "text": a, "answer_id": f"a{n}", "model_id": "m1"}
        for n, (q, a, _) in enumerate(TRIPLES)
    ]
    assert list_rows(recognize(tmp_path, rows)) == [(q, [a], ["m1"]) for q, a, _ in TRIPLES]


def test_results_of_mechanical_turk_come_in_as_they_are_downloaded(tmp_path: Path) -> None:
    """Rows end before the columns to be filled in, and bookkeeping such as `Reward` is no verdict."""
    header = (
        "HITId,Reward,WorkerId,AssignmentStatus,Input.prompt,Input.a,Input.b,Answer.choice,Approve,Reject"
    )
    lines = [
        f'h{n},$0.10,W{n % 3},Approved,{q},"{a}","{b}",{"ab"[n % 2]}' for n, (q, a, b) in enumerate(TRIPLES)
    ]
    (tmp_path / "batch.csv").write_text("\n".join([header, *lines]) + "\n")
    recognition = recognize_file(tmp_path, "batch.csv")
    assert list_rows(recognition) == [(q, [a, b], [None, None]) for q, a, b in TRIPLES]
    assert recognition.trial is not None
    verdicts = [verdict for row in recognition.trial.rows for verdict in row.verdicts]
    assert [verdict.winner for verdict in verdicts] == ["a", "b"] * 4
    assert {verdict.kind for verdict in verdicts} == {"human"}
    assert {verdict.annotator for verdict in verdicts} == {"W0", "W1", "W2"}


def test_boxes_that_were_ticked_are_no_answers(tmp_path: Path) -> None:
    rows = [{"query": q, "option_1": n % 2 == 0, "option_2": n % 2 == 1} for n, q in enumerate(QUESTIONS)]
    assert recognize(tmp_path, rows).certainty == "refused"


def test_a_column_that_is_called_as_another_is_not_lost(tmp_path: Path) -> None:
    lines = [f'{q},"{a}","{b}"' for q, a, b in TRIPLES]
    (tmp_path / "twice.csv").write_text("\n".join(["prompt,response,response", *lines]) + "\n")
    recognition = recognize_file(tmp_path, "twice.csv")
    assert recognition.sample.columns == ("prompt", "response", "response.1")
    assert recognition.certainty == "refused" or [a for _, a, _ in list_rows(recognition)] == [
        [a, b] for _, a, b in TRIPLES
    ]


def test_a_document_of_several_lines_says_how_to_convert_it(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"q1": {"prompt": "a", "response": "b"}}, indent=1))
    with pytest.raises(Exception, match=r"jq -c '\.\[\]'"):
        recognize_file(tmp_path, "rows.json")


def test_a_row_of_very_many_keys_is_refused_at_once(tmp_path: Path) -> None:
    rows = [
        {"prompt": QUESTIONS[0], "chosen": GOOD[0], "rejected": BAD[0]} | {f"k{n}": n for n in range(20_000)}
    ]
    recognition = recognize(tmp_path, rows)
    assert recognition.certainty == "refused"
    assert recognition.problems[0].startswith("it has 20,003 columns, and only files of up to 2,000")


def test_columns_called_as_models_may_hold_conversations(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": q,
            "model_a": [{"role": "user", "content": q}, {"role": "assistant", "content": a}],
            "model_b": [{"role": "user", "content": q}, {"role": "assistant", "content": b}],
            "preference": ("model_a", "model_b", "tie")[number % 3],
        }
        for number, (q, a, b) in enumerate(TRIPLES)
    ]
    recognition = recognize(tmp_path, rows)
    assert list_rows(recognition) == [(q, [a, b], [None, None]) for q, a, b in TRIPLES]
    assert recognition.trial is not None
    assert [row.verdicts[0].winner for row in recognition.trial.rows[:3]] == ["a", "b", "tie"]
    assert all(
        isinstance(part.answer, str) for row in recognition.trial.rows for part in row.responses
    )  # one turn


def test_a_prompt_that_holds_the_question_asks_it_once(tmp_path: Path) -> None:
    rows = [{"query": q, "prompt": f"Be brief. {q}", "answer_a": a, "answer_b": b} for q, a, b in TRIPLES]
    assert [row[0] for row in list_rows(recognize(tmp_path, rows))] == [f"Be brief. {q}" for q in QUESTIONS]


def test_what_people_said_is_of_people(tmp_path: Path) -> None:
    rows = [
        {"question": q, "answer_a": a, "answer_b": b, "human_preference": "ab"[number % 2]}
        for number, (q, a, b) in enumerate(TRIPLES)
    ]
    recognition = recognize(tmp_path, rows)
    assert recognition.source is not None
    assert recognition.source.annotator_kind == "human"
    assert "`human_preference` is what people said" in recognition.doubts


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"winner": "ab", "axis": ["clarity", "clarity"]},
            "`axis` names the one criterion .*'clarity'.*`aspect`",
        ),
        ({"winner": "ab", "dimension": ["tone", "truth"]}, "`dimension` names the one criterion"),
        ({"prob_a": [0.2, 0.9]}, "`prob_a` may say which answer is better"),
        ({"prefers_b": [True, False]}, "`prefers_b` may say which answer is better"),
        ({"margin": [0.5, -0.5]}, "`margin` may say which answer is better"),
        (
            {"toxicity_score_a": [0.2, 0.9], "toxicity_score_b": [0.3, 0.1]},
            "less of `toxicity_score_a`.*`best: low`",
        ),
        (
            {"winner": "AB", "swapped": [True, False]},
            "`swapped` may say that the two were shown in another order",
        ),
        (
            {"winner": ["first", "second"], "order": ["ab", "ba"]},
            "`order` may say .*`winner` speaks of places",
        ),
    ],
)
def test_what_turns_a_verdict_around_or_says_it_is_neither_guessed_nor_lost(
    more: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    rows = [
        {"question": q, "answer_a": a, "answer_b": b}
        | {name: values[number % 2] for name, values in more.items()}
        for number, (q, a, b) in enumerate(TRIPLES)
    ]
    recognition = recognize(tmp_path, rows)
    assert recognition.certainty == "refused"
    assert re.search(sentence, " ".join(recognition.problems))


def test_thumbs_are_not_lost(tmp_path: Path) -> None:
    thumbs = ("thumbs_up", "thumbs_down", None)
    rows = [
        {"user_message": q, "bot_response": a, "feedback": thumbs[number % 3]}
        for number, (q, a, _) in enumerate(TRIPLES)
    ]
    recognition = recognize(tmp_path, rows)
    assert recognition.trial is not None
    ratings = [rating.score for row in recognition.trial.rows for rating in row.ratings]
    assert ratings == [1.0 if row["feedback"] == "thumbs_up" else 0.0 for row in rows if row["feedback"]]
    refused = recognize(tmp_path, [row | {"feedback": number % 2} for number, row in enumerate(rows)])
    assert "`feedback` may say which answer is better" in refused.problems[0]


def test_a_criterion_that_names_none_is_beside_the_verdict(tmp_path: Path) -> None:
    rows = [
        {"question": q, "answer_a": a, "answer_b": b, "winner": "ab"[number % 2], "dimension": "overall"}
        for number, (q, a, b) in enumerate(TRIPLES)
    ]
    assert recognize(tmp_path, rows).certainty == "likely"


@pytest.mark.parametrize("name", ["perplexity_score", "unsafe_score", "error_rating"])
def test_a_score_of_faults_has_no_direction(name: str, tmp_path: Path) -> None:
    inside = [
        {"prompt": q, "responses": [{"text": a, name: 1.5}, {"text": b, name: 9.5}]} for q, a, b in TRIPLES
    ]
    recognition = recognize(tmp_path, inside)
    assert recognition.certainty == "refused"
    assert f"less of `{name}` seems to be better" in recognition.problems[0]


def test_a_correct_answer_is_better_than_an_incorrect_one(tmp_path: Path) -> None:
    rows = [{"question": q, "correct_answer": a, "incorrect_answer": b} for q, a, b in TRIPLES]
    recognition = recognize(tmp_path, rows)
    assert list_rows(recognition) == [(q, [a, b], [None, None]) for q, a, b in TRIPLES]
    assert recognition.trial is not None
    assert {row.verdicts[0].winner for row in recognition.trial.rows} == {"a"}


def list_verdicts(recognition: Recognition) -> list[list[tuple[int, int, str | None, str]]]:
    """(a, b, winner, kind) of every verdict of every row."""
    assert recognition.trial is not None
    assert recognition.certainty != "refused", recognition.problems
    return [[(v.a, v.b, v.winner, v.kind) for v in row.verdicts] for row in recognition.trial.rows]


@pytest.mark.parametrize(("best", "worst"), [(0, 2), (1, 3)])
def test_the_best_and_the_worst_by_place_count_from_one_number(tmp_path: Path, best: int, worst: int) -> None:
    rows = [
        {"prompt": q, "responses": [a, "I do not know any trees.", b], "best": best, "worst": worst}
        for q, a, b in TRIPLES
    ]
    found = recognize(tmp_path, rows)
    assert found.source is not None
    assert found.source.fields is not None
    assert found.source.fields.places_from == best
    expected = [(0, 1, "a", "imported"), (0, 2, "a", "imported"), (1, 2, "a", "imported")]
    assert [sorted(row) for row in list_verdicts(found)] == [expected] * len(rows)


def test_the_worst_by_its_text_is_what_all_others_beat(tmp_path: Path) -> None:
    rows = [{"prompt": q, "responses": [a, b], "least_helpful": b} for q, a, b in TRIPLES]
    assert list_verdicts(recognize(tmp_path, rows)) == [[(0, 1, "a", "imported")]] * len(rows)
    several = [{"prompt": q, "responses": [a, b, "?"], "rejected": b} for q, a, b in TRIPLES]
    (problem,) = recognize(
        tmp_path, several
    ).problems  # that one which was chosen beats it, and who knows of others?
    assert "names the worse answer by its name: write `worst_response: rejected` where all others" in problem


def test_headings_of_qualtrics_are_no_rows(tmp_path: Path) -> None:
    names = ["ResponseId", "Q1_prompt", "Q1", "Q1_A", "Q1_B"]
    heading = ["Response ID", "Prompt", "Which one\nis better?", "Response A", "Response B"]
    ids = [json.dumps({"ImportId": name}) for name in names]
    rows = [[f"R_{n}", q, f"Response {'AB'[n % 2]}", a, b] for n, (q, a, b) in enumerate(TRIPLES)]
    with (tmp_path / "survey.csv").open("w", newline="") as file:
        csv.writer(file).writerows([names, heading, ids, *rows])
    found = recognize_file(tmp_path, "survey.csv")
    assert list_rows(found) == [(q, [a, b], [None, None]) for q, a, b in TRIPLES]
    assert list_verdicts(found) == [[(0, 1, "ab"[n % 2], "imported")] for n in range(len(rows))]
    assert found.sample.broken == {
        "The row is a heading: Qualtrics writes the questions and their ids below its header.": 2
    }


def test_columns_are_called_by_the_number_of_their_model(tmp_path: Path) -> None:
    rows = [
        {"context": q, "model1_response": a, "model2_response": b, "winner": f"model{n % 2 + 1}"}
        for n, (q, a, b) in enumerate(TRIPLES)
    ]
    found = recognize(tmp_path, rows)
    assert list_rows(found) == [(q, [a, b], [None, None]) for q, a, b in TRIPLES]
    assert list_verdicts(found) == [[(0, 1, "ab"[n % 2], "imported")] for n in range(len(rows))]
    names = [row | {"model1_name": "x-7b", "model2_name": "y-1b"} for row in rows]
    assert list_rows(recognize(tmp_path, names))[0][1] == [GOOD[0], BAD[0]]


def test_the_answer_that_is_not_preferred_is_the_worse_one(tmp_path: Path) -> None:
    rows = [{"prompt": q, "response_non_preferred": b, "response_preferred": a} for q, a, b in TRIPLES]
    found = recognize(tmp_path, rows)
    assert [answers for _, answers, _ in list_rows(found)] == [[a, b] for _, a, b in TRIPLES]
    assert list_verdicts(found) == [[(0, 1, "a", "imported")]] * len(rows)


def test_a_judge_that_is_called_as_models_are_is_one(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": q,
            "output_a": a,
            "output_b": b,
            "winner": "AB"[n % 2],
            "judge": ("gpt-4o", "claude-3")[n % 2],
        }
        for n, (q, a, b) in enumerate(TRIPLES)
    ]
    kinds = {kind for row in list_verdicts(recognize(tmp_path, rows)) for *_, kind in row}
    assert kinds == {"llm"}
    people = [row | {"judge": ("ada", "gpt-4o")[n % 2]} for n, row in enumerate(rows)]
    kinds = {kind for row in list_verdicts(recognize(tmp_path, people)) for *_, kind in row}
    assert kinds == {"imported"}


def test_conversations_that_are_written_as_one_text_are_never_certain(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"User: Hello!\nBot: Hi, what is it?\nUser: {q}", "chosen": a, "rejected": b}
        for q, a, b in TRIPLES
    ]
    found = recognize(tmp_path, rows)
    assert found.certainty == "likely"
    assert any(
        "lines of `User:` and `Bot:`, which stay in the text of one turn" in doubt for doubt in found.doubts
    )
    plain = [row | {"prompt": q} for row, q in zip(rows, QUESTIONS, strict=True)]
    assert recognize(tmp_path, plain).certainty == "certain"


def test_one_chosen_answer_beats_each_of_a_list(tmp_path: Path) -> None:
    rows = [{"prompt": q, "chosen": a, "rejected": [b, "No idea."]} for q, a, b in TRIPLES]
    expected = [[(0, 1, "a", "imported"), (0, 2, "a", "imported")]] * len(rows)
    found = recognize(tmp_path, rows)
    assert list_rows(found) == [(q, [a, b, "No idea."], [None] * 3) for q, a, b in TRIPLES]
    assert list_verdicts(found) == expected
    triplets = [{"query": q, "pos": [a], "neg": [b, "No idea."]} for q, a, b in TRIPLES]
    assert list_verdicts(recognize(tmp_path, triplets)) == expected


def test_columns_that_are_called_as_models_hold_answers_where_they_hold_sentences(tmp_path: Path) -> None:
    rows = [{"prompt": q, "Model A": a, "Model B": b, "flag": "A is better"} for q, a, b in TRIPLES]
    found = recognize(tmp_path, rows)
    assert list_rows(found) == [(q, [a, b], [None, None]) for q, a, b in TRIPLES]
    assert list_verdicts(found) == [[(0, 1, "a", "imported")]] * len(rows)
    names = [row | {"Model A": "gpt 4 turbo", "Model B": "claude 3 opus"} for row in rows]
    assert recognize(tmp_path, names).certainty == "refused"


def test_thumbs_are_read_as_pictures_too(tmp_path: Path) -> None:
    rows = [
        {"question": q, "answer": a, "feedback": ("👍", "👎", "👍🏽", "👎\ufe0f")[n % 4]}
        for n, (q, a, _) in enumerate(TRIPLES)
    ]
    found = recognize(tmp_path, rows)
    assert found.trial is not None
    assert [rating.score for row in found.trial.rows for rating in row.ratings] == [1, 0, 1, 0] * 2


@pytest.mark.parametrize(
    ("who", "kind"), [("annotator_id", "imported"), ("worker", "human"), ("judge_model", "llm")]
)
def test_a_list_of_votes_in_a_row_is_a_vote_each(tmp_path: Path, who: str, kind: str) -> None:
    names = ("gpt-4o", "claude-3") if kind == "llm" else ("p1", "p2")
    rows: list[dict[str, Any]] = [
        {
            "prompt": q,
            "response_a": a,
            "response_b": b,
            "annotations": [
                {who: name, "label": label, "comment": "so"}
                for name, label in zip(names, ("A", ("B", "Tie")[n % 2]), strict=True)
            ],
        }
        for n, (q, a, b) in enumerate(TRIPLES)
    ]
    found = recognize(tmp_path, rows)
    expected = [[(0, 1, "a", kind), (0, 1, ("b", "tie")[n % 2], kind)] for n in range(len(rows))]
    assert list_verdicts(found) == expected
    assert found.trial is not None
    assert [verdict.rationale for row in found.trial.rows for verdict in row.verdicts] == ["so"] * 2 * len(
        rows
    )
    assert {verdict.annotator for row in found.trial.rows for verdict in row.verdicts} == set(names)
    shown = [row | {"annotations": [vote | {"order": "ba"} for vote in row["annotations"]]} for row in rows]
    assert recognize(tmp_path, shown).certainty == "refused"
