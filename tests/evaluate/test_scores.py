"""From predictions to credit: held against a naive count, and the rules on ties and silence."""

from __future__ import annotations

import random

import polars as pl
import pytest

from curate.evaluate.scores import (
    PAIRS,
    compute_win_rates,
    credit_best,
    credit_pairs,
    estimate_scores,
)


def test_credit_is_a_count_of_right_wrong_and_undecided() -> None:
    rng = random.Random(0)
    pairs = [(f"p{p}", f"a{i}", f"b{i}", rng.choice([-1, 0, 1])) for p in range(9) for i in range(5)]
    votes = [
        (subject, *pair[:3], rng.choice([0.0, 0.2, 0.5, 0.7, 1.0]))
        for subject in ("x", "y")
        for pair in pairs
        if rng.random() < 0.8
    ]
    gold = pl.DataFrame(pairs, ["prompt_id", "a", "b", "gold"], orient="row")
    predictions = pl.DataFrame(votes, ["subject", "prompt_id", "a", "b", "p"], orient="row")
    sign = {pair[:3]: pair[3] for pair in pairs}
    for subject in ("x", "y"):
        naive = [
            0.5 if p == 0.5 else float((p > 0.5) == (sign[prompt, a, b] > 0))
            for who, prompt, a, b, p in votes
            if who == subject and sign[prompt, a, b] != 0
        ]
        computed = credit_pairs(gold, predictions).filter(pl.col("subject") == subject)["credit"]
        assert sorted(computed) == sorted(naive)
        prompts = sorted({pair[0] for pair in pairs})
        score = next(
            entry
            for entry in estimate_scores(credit_pairs(gold, predictions), prompts, PAIRS, resamples=100)
            if entry.subject == subject
        )
        assert score.estimate.value == pytest.approx(sum(naive) / len(naive))
        assert score.estimate.n == len(naive)


def gold_of(best: dict[str, bool]) -> pl.DataFrame:
    rows = [("p", response, is_best) for response, is_best in best.items()]
    return pl.DataFrame(rows, ["prompt_id", "response_id", "best"], orient="row")


def make_scores(**scores: float) -> pl.DataFrame:
    rows = [("s", "p", response, score) for response, score in scores.items()]
    return pl.DataFrame(rows, ["subject", "prompt_id", "response_id", "score"], orient="row")


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"x": 3.0, "y": 2.0, "z": 1.0}, [1.0]),
        ({"x": 1.0, "y": 2.0, "z": 1.0}, [0.0]),
        ({"x": 2.0, "y": 2.0, "z": 1.0}, [0.5]),
        ({"x": 1.0, "y": 1.0, "z": 1.0}, [1 / 3]),
        ({"x": 3.0, "y": 2.0}, []),  # z is not placed: nothing is said of the prompt
    ],
)
def test_best_of_n_is_the_share_of_the_top_that_is_best(
    scores: dict[str, float], expected: list[float]
) -> None:
    credit = credit_best(gold_of({"x": True, "y": False, "z": False}), make_scores(**scores))["credit"]
    assert credit.to_list() == pytest.approx(expected)


def test_win_rates_are_mean_probabilities_over_the_pairs_of_a_response() -> None:
    rows = [("s", "p", "x", "y", 0.9), ("s", "p", "x", "z", 0.5), ("s", "p", "y", "z", 0.2)]
    rates = compute_win_rates(pl.DataFrame(rows, ["subject", "prompt_id", "a", "b", "p"], orient="row"))
    computed = dict(rates.select("response_id", "score").iter_rows())
    assert computed == pytest.approx({"x": 0.7, "y": 0.15, "z": 0.65})
