"""From people's labels to statuses and a claim, through a lake; and what a few new judgments rewrite."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import pyarrow as pa
import pytest

from curate.aggregate import aggregate_judgments
from curate.config.project import Config
from curate.lake.lake import Lake
from curate.records import Judgment, Prompt, Response, VerifyTask
from tests.conftest import judge_pair, make_prompt, make_response, table

TABLES = ("preferences", "rankings", "dropped_arcs", "graphs", "annotators", "guarantees", "assessments")


def config(**aggregate_settings: object) -> Config:
    return Config.model_validate({"aggregate": aggregate_settings})


def content(lake: Lake) -> list[list[tuple[object, ...]]]:
    return [lake.rows(f"SELECT * EXCLUDE run_id FROM {name} ORDER BY ALL") for name in TABLES]


def fill(
    lake: Lake, *, prompts: int = 100, labels: Sequence[int] = range(0), accuracy: float = 0.95, seed: int = 0
) -> list[tuple[Response, Response]]:
    """Prompts of three responses, two judges in both orders, and a person's labels on pairs by number."""
    rng = random.Random(seed)
    asked: list[Prompt] = [make_prompt(number) for number in range(prompts)]
    responses = [make_response(prompt, number) for prompt in asked for number in range(3)]
    pairs = [
        (a, b)
        for k in range(0, len(responses), 3)
        for a in responses[k : k + 3]
        for b in responses[k : k + 3]
        if a.response_id < b.response_id
    ]
    said = [
        judge_pair(a, b, annotator=name, shown=shown, accuracy=accuracy, rng=rng)
        for a, b in pairs
        for name in ("one", "two")
        for shown in ("ab", "ba")
    ]
    said += [
        judge_pair(*pairs[number], annotator="person", shown="ab", accuracy=1.0, rng=rng) for number in labels
    ]
    with lake.write("fill") as writer:
        writer.append("prompts", table(asked))
        writer.append("responses", table(responses))
        writer.append("judgments", table(said))
    return pairs


def test_above_the_threshold_is_accepted_and_the_rest_routed(lake: Lake) -> None:
    fill(lake, labels=range(0, 300, 3), accuracy=0.75)
    summary = aggregate_judgments(lake, config(guarantee={"looks": "one"}))
    assert "Guarantee: " in summary.note
    assert "holds for one look" in summary.note
    assert "for a random sample" in summary.note
    threshold, accepted, errors, labels = lake.rows(
        "SELECT threshold, accepted, errors, labels FROM guarantees"
    )[0]
    assert 0 < threshold <= 1
    assert labels <= 100
    assert errors < labels
    least, most = lake.rows(
        "SELECT min(confidence) FILTER (status = 'accepted'), max(confidence) FILTER (reason LIKE '%threshold') "
        "FROM preferences"
    )[0]
    assert least >= threshold - 1e-9
    assert most is None or most < threshold + 1e-9
    statuses = dict(lake.rows("SELECT status, count(*) FROM preferences GROUP BY 1"))
    assert statuses["verified"] == 100
    assert 0 < statuses["accepted"] <= accepted
    assert lake.value("SELECT count(*) FROM preferences WHERE status = 'routed' AND reason IS NULL") == 0


@pytest.mark.parametrize("labels", [0, 5, 15])
def test_with_too_few_labels_statuses_stay_and_the_claim_says_how_many_more(lake: Lake, labels: int) -> None:
    fill(lake, prompts=700, labels=range(labels))
    note = aggregate_judgments(lake, config()).note
    assert f"No guarantee: {labels} labels of people, about " in note
    assert " more needed" in note
    assert set(dict(lake.rows("SELECT status, 1 FROM preferences"))) <= {"accepted", "flipped", "verified"}


@pytest.mark.parametrize("outcome", ["tie", "both"])
def test_labels_that_take_no_side_are_said_to_test_nothing(lake: Lake, outcome: str) -> None:
    """Ties, and people who contradict each other: no number of pairs would make a promise of them."""
    pairs = fill(lake)
    rng = random.Random(0)
    said = [
        judge_pair(*pair, annotator=name, shown="ab", accuracy=1.0, rng=rng)
        for pair in pairs[:40]
        for name in ("person", "person 2")
    ]
    if outcome == "tie":
        said = [verdict.model_copy(update={"outcome": "tie"}) for verdict in said]
    else:
        said = [
            verdict.model_copy(update={"outcome": "ab"[verdict.annotator_id == "person"]}) for verdict in said
        ]
    with lake.write("people") as writer:
        writer.append("judgments", table(said))
    note = aggregate_judgments(lake, config()).note
    assert "No guarantee: 40 labels of people, 40 of which take no side and test nothing, and the " in note
    assert "other pairs are likely too few for one" in note
    assert "people took a side on 0 pairs" in note
    # A tie that people called is theirs; people who contradict each other have called none.
    query = "SELECT status, reason, count(*) FROM preferences WHERE outcome = 'tie' GROUP BY ALL"
    expected = (
        ("verified", None) if outcome == "tie" else ("routed", "the verdicts of people contradict each other")
    )
    assert lake.rows(query) == [(*expected, 40)]


def test_an_error_that_was_measured_is_not_said_of_labels_that_have_learnt_more(lake: Lake) -> None:
    """Without a guarantee the labels learn from all verdicts, and what was tested are labels that learnt from some."""
    fill(lake, prompts=50, labels=range(0, 150, 3), accuracy=0.6)
    note = aggregate_judgments(lake, config(guarantee={"alpha": 0.02})).note
    holds, labels, learnt, tested = lake.rows("SELECT holds, labels, learnt, tested FROM assessments")[0]
    assert (holds, labels, learnt) == (False, 50, 50)
    assert 10 <= tested < 50
    found = re.search(
        r"A panel that learns from (\d+) of the 50 labels disagrees with people on about ", note
    )
    assert found is not None
    assert 0 < int(found[1]) <= 50 - tested  # a label on a tie of the panel tests nothing
    assert "the labels here learn from all 50, and nothing has tested them." in note
    assert "labels of the panel" not in note
    aggregate_judgments(lake, config(annotator_model="majority", guarantee={"alpha": 0.02}))
    claim = lake.value("SELECT claim FROM assessments")
    assert (
        "labels of the panel about" in claim
    )  # a majority learns nothing: these are the labels that were tested


@pytest.mark.parametrize("right", [(1.0, 1.0, 0.0), (1.0, 1.0, 0.5), (0.0, 0.0, 0.0)])
def test_a_person_whose_verdicts_are_reversed_is_named_though_nobody_else_judged_the_pairs(
    lake: Lake, right: tuple[float, ...]
) -> None:
    """Somebody who guesses is not named, and nobody is where all contradict the judges."""
    pairs = fill(lake)
    rng = random.Random(0)
    said = [
        judge_pair(*pair, annotator=f"person {k % 3}", shown="ab", accuracy=right[k % 3], rng=rng)
        for k, pair in enumerate(pairs[:60])
    ]
    with lake.write("people") as writer:
        writer.append("judgments", table(said))
    note = aggregate_judgments(lake, config()).note
    assert ("person 2 names the loser of the judges' majority in " in note) == (right == (1.0, 1.0, 0.0))
    assert "person 0 names" not in note


def test_no_guarantee_asked_for(lake: Lake) -> None:
    fill(lake, labels=range(60))
    aggregate_judgments(lake, config(annotator_model="majority", guarantee=None))
    assert lake.value("SELECT count(*) FROM guarantees") == 0
    assert lake.rows("SELECT holds, tested FROM assessments") == [(False, 60)]
    assert lake.value("SELECT count(*) FROM preferences WHERE status = 'routed'") == 0


def test_only_labels_drawn_at_random_count_where_tasks_are_planned(lake: Lake) -> None:
    pairs = fill(lake, labels=range(0, 300, 3))
    tasks = [
        VerifyTask(
            task_id=str(number),
            prompt_id=a.prompt_id,
            form="pairwise",
            responses=(a.response_id, b.response_id),
            strategy="random" if number % 2 else "uncertain",
            run_id="r",
        )
        for number, (a, b) in enumerate(pairs[0:300:3])
    ]
    with lake.write("tasks") as writer:
        writer.append("verify_tasks", table(tasks))
    aggregate_judgments(lake, config(annotator_model="majority"))
    assert lake.rows("SELECT labels, tested, drawn FROM assessments") == [(100, 50, True)]


def test_a_model_never_learns_from_what_tests_it(lake: Lake) -> None:
    fill(lake, labels=range(0, 300, 3))
    aggregate_judgments(lake, config(annotator_model="one_coin"))
    holds, labels, learnt, tested = lake.rows("SELECT holds, labels, learnt, tested FROM assessments")[0]
    assert holds
    assert labels == 100
    assert learnt + tested == 100
    assert 10 < learnt < 50


def test_strata_by_category_and_by_agreement(lake: Lake) -> None:
    fill(lake, labels=range(0, 300, 2))
    lake.rows(
        "UPDATE lake.prompts SET meta = '{\"topic\": \"' || if(hash(prompt_id) % 2 = 0, 'x', 'y') || '\"}'"
    )
    aggregate_judgments(lake, config(guarantee={"strata": "category", "category": "topic"}))
    found = lake.rows("SELECT stratum, delta FROM guarantees ORDER BY 1")
    assert [name for name, _ in found] == ["x", "y"]
    assert sum(delta for _, delta in found) == pytest.approx(0.1)
    assert all(delta == pytest.approx(0.05, abs=0.01) for _, delta in found)
    aggregate_judgments(lake, config(guarantee={"strata": "agreement"}))
    names = {name for (name,) in lake.rows("SELECT stratum FROM guarantees")}
    assert names <= {"judges unanimous", "most judges agree", "judges divided"}


@pytest.mark.parametrize("model", ["majority", "one_coin"])
def test_incremental_is_from_scratch_and_rewrites_only_what_changed(lake: Lake, model: str) -> None:
    pairs = fill(lake, labels=range(0, 300, 3))
    settings = config(annotator_model=model, guarantee={"looks": "one"})  # nothing is remembered
    aggregate_judgments(lake, settings)
    first = lake.value("SELECT any_value(run_id) FROM preferences")
    rng = random.Random(5)
    new: list[Judgment] = [
        judge_pair(*pair, annotator="one-more", shown="ab", accuracy=0.0, rng=rng) for pair in pairs[1:3]
    ]
    with lake.write("new") as writer:
        writer.append("judgments", table(new))
    aggregate_judgments(lake, settings)
    rewritten = lake.value("SELECT count(DISTINCT prompt_id) FROM preferences WHERE run_id <> ?", [first])
    if model == "majority":  # one prompt of a hundred
        assert rewritten == 1
    after = content(lake)
    with lake.write("forget") as writer:
        for name in TABLES:
            writer.delete(name, "true")
        writer.delete("runs", "true")
    aggregate_judgments(lake, settings)
    assert content(lake) == after


def test_replace_touches_only_groups_that_differ(lake: Lake) -> None:
    def rows(values: dict[str, int], run: str) -> pa.Table:
        return pa.table(
            {
                "prompt_id": list(values),
                "response_id": ["r"] * len(values),
                "rank": list(values.values()),
                "iteration": [0] * len(values),
                "run_id": [run] * len(values),
            }
        )

    with lake.write("one") as writer:
        assert writer.replace(
            "rankings", rows(dict.fromkeys("abcdef", 1), "one"), "prompt_id", "iteration = ?", [0]
        )
    with lake.write("two") as writer:
        changed = {**dict.fromkeys("abcde", 1), "b": 2, "g": 1}
        assert writer.replace("rankings", rows(changed, "two"), "prompt_id", "iteration = ?", [0]) == 3
    found = lake.rows("SELECT prompt_id, rank, run_id FROM rankings ORDER BY 1")
    assert found == [
        ("a", 1, "one"),
        ("b", 2, "two"),
        ("c", 1, "one"),
        ("d", 1, "one"),
        ("e", 1, "one"),
        ("g", 1, "two"),
    ]
