"""People who fail count less, and only they."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.aggregate import aggregate_judgments
from curate.aggregate.annotator_reliability import LEAST, estimate_reliability
from curate.aggregate.human_votes import collect_verdicts
from curate.aggregate.votes import Votes
from curate.config.project import Config
from curate.lake.lake import Lake
from tests.conftest import judge_pair, make_prompt, make_response, table

COLUMNS = ("prompt", "a", "b", "annotator", "shown", "outcome", "p_a")


def crowd(rights: list[float], pairs: int, *, each: int, seed: int = 0) -> tuple[Votes, np.ndarray]:
    """One pair a prompt, `each` of the people on every pair, right at their rates; and the truth in -1, 1."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([-1, 1], pairs)
    rows = []
    for pair in range(pairs):
        people = np.sort(rng.choice(len(rights), each, replace=False))
        rows += [(pair, k, truth[pair] * (1 if rng.random() < rights[k] else -1)) for k in people]
    prompt, person, outcome = np.array(rows, np.int64).reshape(-1, 3).T
    votes = Votes(
        offsets=2 * np.arange(pairs + 1, dtype=np.int64),
        prompt=prompt.astype(np.int32),
        a=(2 * prompt).astype(np.int32),
        b=(2 * prompt + 1).astype(np.int32),
        annotator=person.astype(np.int32),
        shown=np.zeros(len(prompt), np.int8),
        outcome=outcome.astype(np.int8),
        p_a=((1 + outcome) / 2).astype(np.float32),
        annotators=tuple(f"person-{k}" for k in range(len(rights))),
        human=np.ones(len(rights), np.bool_),
    )
    return votes, truth


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_with_one_answer_a_pair_everyone_counts_fully(seed, rights):
    votes, _ = crowd(rights, 40, each=1, seed=seed)
    assert np.all(estimate_reliability(votes) == 1.0)
    assert np.array_equal(collect_verdicts(votes, estimate_reliability(votes))[1], votes.outcome)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_with_a_few_answers_everyone_counts_fully(seed):
    votes, _ = crowd([0.9, 0.9, 0.1], 4, each=3, seed=seed)
    assert np.all(estimate_reliability(votes) == 1.0)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.2, 0.3]))
def test_who_fails_counts_less_and_the_others_do_not(seed, wrong):
    votes, truth = crowd([0.9, 0.85, wrong, 0.9, 0.95], 150, each=3, seed=seed)
    weight = estimate_reliability(votes)
    assert LEAST <= weight[2] < 0.5
    assert np.all(np.delete(weight, 2) == 1.0)
    better = np.sign(collect_verdicts(votes, weight)[1]) == truth
    plain = np.sign(collect_verdicts(votes, np.ones(5))[1]) == truth
    assert better.mean() >= plain.mean()


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_a_crowd_of_equals_counts_fully(seed):
    votes, _ = crowd([0.75] * 8, 120, each=3, seed=seed)
    assert np.sum(estimate_reliability(votes) < 1.0) <= 1


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.booleans())
def test_neither_the_order_of_the_votes_nor_of_a_pair_matters(seed, turn):
    votes, _ = crowd([0.9, 0.5, 0.8, 0.2], 60, each=3, seed=seed)
    some = np.random.default_rng(seed).permutation(len(votes))
    other = replace(votes, **{name: getattr(votes, name)[some] for name in COLUMNS})
    if turn:
        other = replace(other, outcome=-other.outcome)
    assert np.array_equal(estimate_reliability(votes), estimate_reliability(other))


def test_two_who_differ_are_both_believed():
    votes, _ = crowd([0.9, 0.2], 100, each=2)
    assert np.array_equal(estimate_reliability(votes), [1.0, 1.0])


def test_judges_have_no_part_in_it():
    votes, _ = crowd([0.9, 0.2, 0.9, 0.9], 100, each=3)
    panel = replace(votes, human=np.array([True, False, True, True]))
    assert np.all(estimate_reliability(panel) == 1.0)


def test_a_failing_person_is_shown_and_still_outweighs_the_judges(lake: Lake) -> None:
    """120 pairs by four people, one of them a coin; and one pair that only the coin judged, against ten judges."""
    rng = random.Random(0)
    prompts = [make_prompt(number) for number in range(121)]
    pairs = []
    for prompt in prompts:
        two = sorted((make_response(prompt, k) for k in range(2)), key=lambda each: each.response_id)
        pairs.append(tuple(two))
    rights = {"ann": 0.95, "bob": 0.95, "cy": 0.95, "coin": 0.5}
    said = [
        judge_pair(a, b, annotator=name, shown="ab", accuracy=right, rng=rng).model_copy(
            update={"kind": "human"}
        )
        for a, b in pairs[:120]
        for name, right in rights.items()
    ]
    a, b = pairs[120]
    alone = judge_pair(a, b, annotator="coin", shown="ab", accuracy=1.0, rng=rng)
    said.append(alone.model_copy(update={"kind": "human"}))
    other = "b" if alone.outcome == "a" else "a"
    said += [
        judge_pair(a, b, annotator=f"judge-{k}", shown="ab", accuracy=1.0, rng=rng).model_copy(
            update={"outcome": other}
        )
        for k in range(10)
    ]
    with lake.write("fill") as writer:
        writer.append("prompts", table(prompts))
        writer.append("responses", table([each for pair in pairs for each in pair]))
        writer.append("judgments", table(said))
    for model in ("majority", "panel"):
        summary = aggregate_judgments(lake, Config.model_validate({"aggregate": {"annotator_model": model}}))
        shown = dict(lake.rows("SELECT annotator_id, trust FROM annotators"))
        assert shown["ann"] == shown["bob"] == shown["cy"] == 1.0
        assert LEAST <= shown["coin"] < 0.5
        assert shown["judge-0"] is None
        assert "coin" in summary.note
        row = lake.rows("SELECT outcome, status FROM preferences WHERE prompt_id = ?", [a.prompt_id])
        assert row == [(alone.outcome, "verified")]
