"""Groups of views: found where there are two, not invented where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.stats.mixture import Ballots, find_views, fit_mixture


def ballots(
    views: int, seed: int, *, people: int = 40, responses: int = 40, each: int = 30
) -> tuple[Ballots, np.ndarray]:
    """A third of the people hold another view, if there are two; verdicts follow Bradley–Terry."""
    rng = np.random.default_rng(seed)
    strength = rng.normal(0, 1.5, (views, responses))
    group = (np.arange(people) % 3 == 0).astype(np.int64) * (views - 1)
    annotator = np.repeat(np.arange(people), each)
    a = rng.integers(0, responses, people * each)
    b = (a + rng.integers(1, responses, people * each)) % responses
    margin = strength[group[annotator], a] - strength[group[annotator], b]
    y = (rng.random(people * each) < 1 / (1 + np.exp(-margin))).astype(np.float64)
    return Ballots(annotator=annotator, a=a, b=b, y=y, annotators=people, responses=responses), group


@pytest.mark.parametrize("seed", [0, 1])
def test_two_views_are_found_with_their_members(seed: int) -> None:
    said, group = ballots(2, seed)
    found = find_views(said, most=3)
    assert found.mixture.groups == 2
    assert found.mixture.share[0] > found.mixture.share[1]
    assert np.mean(found.mixture.belongs.argmax(axis=1) == group) >= 0.95


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_view_stays_one(seed: int) -> None:
    found = find_views(ballots(1, seed)[0])
    assert found.mixture.groups == 1
    mean, error = found.gain[2]
    assert mean <= 2 * error


def test_noise_is_no_view() -> None:
    said, _ = ballots(1, 3)
    rng = np.random.default_rng(3)
    careless = said.annotator % 4 == 0  # a quarter of the people toss coins
    y = np.where(careless, rng.integers(0, 2, len(said.y)), said.y).astype(np.float64)
    noisy = Ballots(
        annotator=said.annotator,
        a=said.a,
        b=said.b,
        y=y,
        annotators=said.annotators,
        responses=said.responses,
    )
    found = find_views(noisy)
    if (
        found.mixture.groups == 2
    ):  # those without a view may be a group, but then they are exactly these people
        assert np.mean((found.mixture.belongs.argmax(axis=1) == 1) == (np.arange(40) % 4 == 0)) >= 0.9
    else:
        assert found.mixture.groups == 1


def test_one_group_is_bradley_terry() -> None:
    """The fit is where the gradient of the penalised likelihood vanishes."""
    said, _ = ballots(1, 4, people=10, responses=8)
    strength = fit_mixture(said, 1).strength[0]
    p = 1 / (1 + np.exp(-(strength[said.a] - strength[said.b])))
    slope = np.bincount(said.a, said.y - p, 8) - np.bincount(said.b, said.y - p, 8) - strength / 2
    assert np.abs(slope).max() < 0.05


def test_real_people_are_not_split_without_need(shared_data: Path) -> None:
    items = pl.read_parquet(shared_data / "pandalm" / "items.parquet")
    prompt = (items["instruction"] + "\n" + items["input"].fill_null("")).to_list()
    sides = {"A": 1.0, "tie": 0.5, "B": 0.0}
    rows = [
        (
            person,
            (prompt[i], items["model_a"][i]),
            (prompt[i], items["model_b"][i]),
            sides[items[f"annotator{person + 1}"][i]],
        )
        for i in range(items.height)
        for person in range(3)
        if items[f"annotator{person + 1}"][i] in sides
    ]
    number = {key: i for i, key in enumerate(sorted({key for row in rows for key in row[1:3]}))}
    said = Ballots(
        annotator=np.array([row[0] for row in rows]),
        a=np.array([number[row[1]] for row in rows]),
        b=np.array([number[row[2]] for row in rows]),
        y=np.array([row[3] for row in rows]),
        annotators=3,
        responses=len(number),
    )
    assert find_views(said).mixture.groups == 1
