"""Annotators who disagree: told apart, served each, and somebody new from a few votes."""

from __future__ import annotations

import numpy as np
import pytest

from curate.train.personal import Personal, Settings, Votes, fit

RNG = np.random.default_rng(0)
FEATURES = RNG.standard_normal((300, 8)).astype(np.float32)
TASTES = RNG.standard_normal((2, 8))  # two groups that have nothing in common
SETTINGS = Settings(prototypes=2, steps=200, shrink=1e-3)


def votes(tastes: list[int], each: int, *, seed: int) -> Votes:
    """Votes of annotators 0, 1, …, each of one taste, without errors."""
    rng = np.random.default_rng(seed)
    annotator = np.repeat(np.arange(len(tastes)), each)
    first, second = rng.integers(0, 300, size=(2, len(annotator)))
    liked = TASTES[np.array(tastes)[annotator]]
    better = ((FEATURES[first] - FEATURES[second]) * liked).sum(axis=1) > 0
    return Votes(annotator=annotator, first=first, second=second, p_first=better.astype(np.float64))


def right(model: Personal, name: str | None, held: Votes) -> float:
    scores = model.score(FEATURES, name)
    decided = held.first != held.second
    agree = (scores[held.first] > scores[held.second]) == (held.p_first > 0.5)
    return float(agree[decided].mean())


@pytest.fixture(scope="module")
def model() -> Personal:
    tastes = [0] * 5 + [1] * 10
    return fit(FEATURES, votes(tastes, 60, seed=1), [f"w{at}" for at in range(15)], SETTINGS)


def test_everybody_gets_their_own_and_one_for_all_suits_none(model: Personal) -> None:
    alike = fit(FEATURES, votes([0, 1], 400, seed=2), ["a", "b"], Settings(prototypes=1))
    for taste, name in ((0, "w2"), (1, "w12")):
        held = votes([taste], 300, seed=3)
        assert right(model, name, held) > 0.9
        assert right(alike, None, held) < 0.85
    assert model.shares("w2") == pytest.approx(model.shares("w3"), abs=0.2)
    assert model.shares(None).sum() == pytest.approx(1.0)


def test_a_stranger_is_scored_as_the_many_and_learnt_from_a_few_votes(model: Personal) -> None:
    held = votes([0], 300, seed=4)
    few = votes([0], 24, seed=5)
    known = model.with_annotator("new", FEATURES, few)
    assert right(known, "new", held) > 0.9 > 0.8 > right(model, None, held)
    assert (known.prototypes == model.prototypes).all()
    assert known.score(FEATURES, "w2").tolist() == model.score(FEATURES, "w2").tolist()
    again = known.with_annotator("new", FEATURES, votes([1], 40, seed=6))
    assert len(again.names) == len(known.names)
    assert right(again, "new", held) < right(known, "new", held)


def test_the_same_votes_give_the_same_bits(model: Personal) -> None:
    given = votes([0, 1], 30, seed=7)
    one, other = (fit(FEATURES, given, ["a", "b"], SETTINGS) for _ in range(2))
    assert (one.prototypes == other.prototypes).all()
    assert (one.own == other.own).all()
    with pytest.raises(ValueError, match="needs votes"):
        fit(FEATURES, votes([0], 0, seed=0), ["a"], SETTINGS)
