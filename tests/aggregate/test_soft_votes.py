"""Probabilities as votes: they count in every model, hard ones as verdicts, and nothing hangs on names or order."""

from __future__ import annotations

import itertools
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.aggregate import aggregate_judgments
from curate.aggregate.human_votes import People
from curate.aggregate.posterior import estimate_posterior, order_responses
from curate.aggregate.soft_votes import calibrate_votes
from curate.aggregate.votes import Votes
from curate.cli.app import main
from curate.config.aggregate import ANNOTATOR_MODEL_NAMES, AggregateSection
from curate.config.project import Config, load_config
from curate.lake.lake import Lake
from curate.pipeline.labels import aggregate_votes
from tests.conftest import judge_pair, make_prompt, make_response, table

METHODS = ("ensemble-then-denoise", "denoise-then-ensemble")
PROMPTS, SIZE, JUDGES = 15, 4, 4
NOBODY = People(
    pairs=np.zeros(0, np.int64), verdict=np.zeros(0), is_drawn=np.zeros(0, np.bool_), coin=np.zeros(0)
)


def draw_votes(seed: int, *, graded: bool) -> Votes:
    """All pairs of a few prompts in both orders by judges of different skill, as probabilities or verdicts."""
    rng = np.random.default_rng(seed)
    rows = [
        (prompt, SIZE * prompt + i, SIZE * prompt + j, judge, shown)
        for prompt in range(PROMPTS)
        for i, j in itertools.combinations(range(SIZE), 2)
        for judge in range(JUDGES)
        for shown in (1, -1)
    ]
    prompt, a, b, annotator, shown = np.array(rows).T
    quality = rng.normal(size=PROMPTS * SIZE)
    margin = 2 * (quality[a] - quality[b]) + rng.normal(size=len(rows)) * (1 + annotator)
    p = np.round(1 / (1 + np.exp(-margin)), 3)
    outcome = np.sign(p - 0.5) * (rng.random(len(rows)) > 0.1)
    return Votes(
        offsets=np.arange(0, PROMPTS * SIZE + 1, SIZE),
        prompt=prompt.astype(np.int32),
        a=a.astype(np.int32),
        b=b.astype(np.int32),
        annotator=annotator.astype(np.int32),
        shown=shown.astype(np.int8),
        outcome=outcome.astype(np.int8),
        p_a=(p if graded else (1 + outcome) / 2).astype(np.float32),
        annotators=tuple(f"judge-{number}" for number in range(JUDGES)),
        human=np.zeros(JUDGES, np.bool_),
    )


def fit(votes: Votes, model: str, method: str = METHODS[0], kind: str = "soft") -> np.ndarray:
    """The posterior of all pairs, and the direction that the graphs give them: float64[2, E]."""
    section = AggregateSection.model_validate({"annotator_model": model, "method": method, "vote": kind})
    posterior = estimate_posterior(votes, NOBODY, section)
    return np.stack([posterior.p_a, order_responses(posterior).direction])


@pytest.mark.parametrize("model", ANNOTATOR_MODEL_NAMES)
@pytest.mark.parametrize("method", METHODS)
def test_soft_votes_of_0_and_1_are_hard_votes(model: str, method: str) -> None:
    votes = draw_votes(0, graded=False)
    assert np.array_equal(fit(votes, model, method), fit(votes, model, method, "hard"))
    graded = draw_votes(0, graded=True)
    assert np.array_equal(fit(graded, model, method, "hard"), fit(votes, model, method, "hard"))
    assert not np.array_equal(fit(graded, model, method)[0], fit(votes, model, method)[0])


@pytest.mark.parametrize("model", ANNOTATOR_MODEL_NAMES)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=5)
def test_names_sides_and_the_order_of_prompts_change_nothing(model: str, seed: int) -> None:
    votes = draw_votes(seed, graded=True)
    p_a, direction = fit(votes, model)
    renamed = replace(votes, annotator=JUDGES - 1 - votes.annotator, annotators=votes.annotators[::-1])
    order = np.lexsort((renamed.annotator, renamed.b, renamed.a))
    again = fit(select(renamed, order), model)
    assert again[0] == pytest.approx(p_a, abs=2e-3)
    assert np.array_equal(again[1], direction)
    size = PROMPTS * SIZE
    turned = replace(  # the last prompt first and the last response first: every pair swaps its sides
        votes,
        prompt=PROMPTS - 1 - votes.prompt,
        a=size - 1 - votes.b,
        b=size - 1 - votes.a,
        shown=-votes.shown,
        outcome=-votes.outcome,
        p_a=1 - votes.p_a,
    )
    mirrored = fit(select(turned, np.lexsort((turned.annotator, turned.b, turned.a))), model)[:, ::-1]
    where = np.array(pair_order())
    assert 1 - mirrored[0][where] == pytest.approx(p_a, abs=2e-3)
    sure = np.abs(p_a - 0.5) > 0.01
    assert np.array_equal(-mirrored[1][where][sure], direction[sure])


def select(votes: Votes, order: np.ndarray) -> Votes:
    columns = ("prompt", "a", "b", "annotator", "shown", "outcome", "p_a")
    return replace(votes, **{name: getattr(votes, name)[order] for name in columns})


def pair_order() -> list[int]:
    """Where the pairs of a prompt are once its responses are numbered backwards and the list is read backwards."""
    pairs = list(itertools.combinations(range(SIZE), 2))
    backwards = [(SIZE - 1 - j, SIZE - 1 - i) for i, j in reversed(pairs)]
    return [p * len(pairs) + backwards.index(pair) for p in range(PROMPTS) for pair in pairs]


@pytest.mark.parametrize("model", ["majority", "one_coin", "panel"])
def test_both_graph_orders_agree_where_no_judge_contradicts_itself(model: str) -> None:
    votes = draw_votes(3, graded=True)
    rng = np.random.default_rng(0)
    quality = rng.normal(size=(JUDGES, PROMPTS * SIZE))
    margin = quality[votes.annotator, votes.a] - quality[votes.annotator, votes.b]  # each judge has an order
    votes = replace(
        votes, outcome=np.sign(margin).astype(np.int8), p_a=(1 / (1 + np.exp(-margin))).astype(np.float32)
    )
    assert np.array_equal(fit(votes, model, METHODS[0]), fit(votes, model, METHODS[1]))


@pytest.mark.parametrize("model", ANNOTATOR_MODEL_NAMES)
@pytest.mark.parametrize("method", METHODS)
def test_a_sure_vote_outweighs_a_doubtful_one_through_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, method: str
) -> None:
    """P(a) = .99 in one order and .45 in the other: an arc to a, where verdicts alone would cancel out."""
    run(monkeypatch, "init", str(tmp_path / "p"))
    monkeypatch.chdir(tmp_path / "p")
    text = Path("curate.yaml").read_text(encoding="utf-8")
    settings = load_config(Path("curate.yaml"))
    assert settings.aggregate.vote == "soft"
    with Lake.open(settings.location) as lake:
        write_doubtful_judges(lake)
    for kind in ("soft", "hard"):
        section = f"aggregate: {{annotator_model: {model}, method: {method}, vote: {kind}}}\n"
        Path("curate.yaml").write_text(replace_section(text, section), encoding="utf-8")
        run(monkeypatch, "aggregate")
        with Lake.open(settings.location, read_only=True) as lake:
            outcome = lake.value(
                "SELECT outcome FROM preferences JOIN prompts USING (prompt_id) WHERE key = 'q0'"
            )
        if kind == "soft":
            assert outcome == "a"
        elif model in ("majority", "one_coin"):  # panel knows habits besides
            assert outcome == "tie"


def replace_section(text: str, section: str) -> str:
    lines = text.splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith("aggregate:"))
    end = next((n for n in range(start + 1, len(lines)) if lines[n][:1] not in (" ", "#", "\n")), len(lines))
    return "".join([*lines[:start], section, *lines[end:]])


def write_doubtful_judges(lake: Lake) -> None:
    """Two judges who are sure of 39 pairs in both orders, and of the first pair in one order alone."""
    prompts = [make_prompt(number) for number in range(40)]
    responses = [[make_response(prompt, k) for k in range(2)] for prompt in prompts]
    rng = random.Random(0)
    judgments = [
        judge_pair(*pair, annotator=name, shown=shown, accuracy=1.0, rng=rng).model_copy(
            update={"p_a": p, "outcome": "a" if p > 0.5 else "b"}
        )
        for number, pair in enumerate(responses)
        for name in ("one", "two")
        for shown, p in (("ab", 0.99), ("ba", 0.9 if number else 0.45))
    ]
    with lake.write("fill") as writer:
        writer.append("prompts", table(list(prompts)))
        writer.append("responses", table([response for pair in responses for response in pair]))
        writer.append("judgments", table(list(judgments)))


def test_python_sets_it_beside_a_frame_of_votes() -> None:
    votes = [
        {"prompt": "p", "a": "x", "b": "y", "annotator": "j", "shown": shown, "winner": winner, "p_a": p}
        for shown, winner, p in (("ab", "a", 0.99), ("ba", "b", 0.45))
    ]
    assert aggregate_votes(pl.DataFrame(votes)).preferences["winner"].to_list() == ["a"]
    assert aggregate_votes(pl.DataFrame(votes), vote="hard").preferences["winner"].to_list() == ["tie"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


def test_labels_show_how_far_a_judge_is_to_be_believed() -> None:
    """A judge that says .99 and is right half of the time is worth little once people have labelled some pairs."""
    votes = draw_votes(1, graded=True)
    rng = np.random.default_rng(0)
    boaster = votes.annotator == 0
    p = np.where(boaster, np.where(rng.random(len(votes)) < 0.5, 0.99, 0.01), votes.p_a).astype(np.float32)
    votes = replace(votes, p_a=p, outcome=np.sign(p - 0.5).astype(np.int8))
    pairs = np.unique(votes.pair_keys())
    people = People(
        pairs=pairs,
        verdict=rng.choice([-1.0, 1.0], len(pairs)),
        is_drawn=np.ones(len(pairs), np.bool_),
        coin=np.zeros(len(pairs)),
    )
    calibrated = calibrate_votes(votes, people)
    assert np.abs(calibrated.p_a[boaster] - 0.5).max() < 0.2
    unlabelled = calibrate_votes(votes, NOBODY)
    assert unlabelled.p_a == pytest.approx(votes.p_a, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_rankings_follow_preferences_with_soft_votes(sample_lake: Lake, method: str) -> None:
    sample_lake.rows("SELECT setseed(0.2)")
    sample_lake.rows(
        "UPDATE lake.judgments SET p_a = CASE outcome WHEN 'a' THEN 0.5 + 0.49 * random() ELSE 0.5 * random() END"
    )
    for model in ("auto", *ANNOTATOR_MODEL_NAMES):
        aggregate_judgments(
            sample_lake, Config.model_validate({"aggregate": {"annotator_model": model, "method": method}})
        )
        rows = sample_lake.rows(
            "SELECT outcome, a.score, b.score FROM preferences AS p "
            "JOIN rankings AS a ON a.response_id = p.response_a "
            "JOIN rankings AS b ON b.response_id = p.response_b"
        )
        assert rows
        for outcome, a, b in rows:  # where x ties with y and with z, and y beats z, no scores are equal
            assert {"a": a > b, "b": a < b, "tie": abs(a - b) < 0.02}[outcome]
