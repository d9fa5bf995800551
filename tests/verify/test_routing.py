"""Strategies against what they promise, and the default against naive greedy computation of its own formula."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from curate.config.verify import ROUTING_STRATEGIES, VerifyPlan
from curate.core.errors import CurateError
from curate.verify.routing import ROUTING, WeightedStrategy, open_mix, open_strategy
from curate.verify.routing.base import RoutingStrategy
from curate.verify.routing.errors import count_neighbours
from curate.verify.routing.expected_value import _Learning
from curate.verify.routing.pairs import Int64, Pairs, draw_permanently


def choose(name: str, pairs: Pairs, n: int) -> Int64:
    return open_strategy(name).choose_pairs(pairs, n)


def some_pairs(seed: int, size: int = 30, judges: int = 4, dimensions: int = 5) -> Pairs:
    rng = np.random.default_rng(seed)
    p_a = rng.uniform(0.02, 0.98, size)
    gold = np.where(rng.random(size) < 0.3, rng.choice([-1.0, 0.0, 1.0], size), np.nan)
    place = rng.normal(size=(size, dimensions))
    return Pairs(
        draw=rng.random(size),
        p_a=p_a,
        confidence=np.maximum(p_a, 1 - p_a),
        votes=rng.choice([-1.0, 0.0, 1.0], (size, judges)),
        dropped_weight=np.maximum(rng.normal(size=size), 0),
        human_verdict=gold,
        is_open=np.isnan(gold) & (rng.random(size) < 0.9),
        threshold=0.8,
        reward_p_a=np.where(rng.random(size) < 0.5, rng.random(size), np.nan),
        embedding_difference=rng.normal(size=(size, dimensions)),
        pair_embedding=place / np.linalg.norm(place, axis=1, keepdims=True),
    )


@given(st.sampled_from(ROUTING.names), st.integers(0, 1000), st.integers(0, 40))
def test_each_strategy_chooses_open_pairs_once_whatever_their_order(name: str, seed: int, n: int) -> None:
    pairs = some_pairs(seed)
    chosen = choose(name, pairs, n)
    assert len(chosen) <= n
    assert len(set(chosen.tolist())) == len(chosen)
    assert pairs.is_open[chosen].all()
    turned = np.random.default_rng(seed + 1).permutation(len(pairs))
    names = [field for field in Pairs.__dataclass_fields__ if field != "threshold"]
    shuffled = replace(pairs, **{field: getattr(pairs, field)[turned] for field in names})
    assert sorted(turned[choose(name, shuffled, n)]) == sorted(chosen)


@pytest.mark.parametrize("name", ["random", "uncertainty", "expected-value", "d-optimal", "threshold"])
def test_where_there_is_enough_the_budget_is_used_up(name: str) -> None:
    pairs = some_pairs(0)
    assert len(choose(name, pairs, 5)) == 5
    assert sorted(choose(name, pairs, 99)) == np.flatnonzero(pairs.is_open).tolist()


def test_random_is_blind() -> None:
    pairs = some_pairs(1)
    other = some_pairs(2)
    blind = replace(other, draw=pairs.draw, is_open=pairs.is_open)
    assert choose("random", pairs, 7).tolist() == choose("random", blind, 7).tolist()


def test_the_draw_of_a_pair_never_changes_and_is_uniform() -> None:
    names = [(f"a{i}", f"b{i}") for i in range(2000)]
    draw = draw_permanently(names, 7)
    assert draw_permanently(names[::-1], 7)[::-1].tolist() == draw.tolist()
    assert draw.tolist() != draw_permanently(names, 8).tolist()
    assert ((draw >= 0) & (draw < 1)).all()
    assert np.abs(np.sort(draw) - (np.arange(2000) + 0.5) / 2000).max() < 0.04  # Kolmogorov at far below 1 %


def test_neighbours_follow_the_published_rule() -> None:
    assert [count_neighbours(p) for p in (0.0, 0.5, 0.51, 0.75, 0.874, 0.876, 1.0)] == [8, 8, 4, 2, 2, 1, 0]


def test_errors_are_retrieved_by_nearness_worst_first() -> None:
    angle = np.linspace(0, 1, 30)
    pairs = replace(
        some_pairs(3),
        pair_embedding=np.stack([np.cos(angle), np.sin(angle)], axis=1),
        human_verdict=np.where(np.arange(30) == 20, 1.0, np.nan),
        reward_p_a=np.full(30, 0.1),  # wrong about pair 20
        is_open=np.arange(30) != 20,
    )
    assert sorted(choose("errors", pairs, 99)) == [16, 17, 18, 19, 21, 22, 23, 24]


def test_d_optimal_takes_the_greedy_best_determinant() -> None:
    pairs = some_pairs(4, size=12)
    chosen = choose("d-optimal", pairs, 4)
    x = pairs.embedding_difference
    weight = np.clip(pairs.p_a * (1 - pairs.p_a), 0.01, 0.25)
    known = x[~np.isnan(pairs.human_verdict)]
    precision = np.eye(x.shape[1]) / 10 + 0.25 * known.T @ known
    left = np.flatnonzero(pairs.is_open).tolist()
    for pair in chosen:
        gain = {q: np.linalg.slogdet(precision + weight[q] * np.outer(x[q], x[q]))[1] for q in left}
        assert gain[pair] == pytest.approx(max(gain.values()))
        precision += weight[pair] * np.outer(x[pair], x[pair])
        left.remove(pair)


def test_an_answer_shrinks_the_covariance_as_bayes_says() -> None:
    pairs = some_pairs(5, size=15)
    candidates = np.flatnonzero(pairs.is_open)
    learn = _Learning(pairs, candidates)
    before = learn._candidate @ learn._candidate.T
    learn.condition_on(2)
    weight = learn._weight[2]
    expected = before - np.outer(before[:, 2], before[:, 2]) * weight / (1 + weight * before[2, 2])
    np.testing.assert_allclose(learn._candidate @ learn._candidate.T, expected, atol=1e-10)


def test_what_is_learnt_is_the_expected_shortfall() -> None:
    """Against numerical integration, in the linear approximation around ½ that the docstring states."""
    pairs = some_pairs(6, size=6)
    candidates = np.flatnonzero(pairs.is_open)
    learn = _Learning(pairs, candidates)
    order = candidates[np.argsort(pairs.draw[candidates])]  # targets come in the order of the draw
    covariance = learn._candidate @ learn._target.T
    gain = learn.compute_gain()
    for i, q in enumerate(candidates):
        total = 0.0
        for j, target in enumerate(order):
            if target == q:
                continue
            spread = float(learn._target[j] @ learn._target[j])
            kappa = 1 / np.sqrt(1 + np.pi / 8 * spread)
            mean = abs(np.log(pairs.p_a[target] / (1 - pairs.p_a[target]))) / kappa
            own = float(learn._candidate[i] @ learn._candidate[i])
            move = abs(covariance[i, j]) * np.sqrt(learn._weight[i] / (1 + learn._weight[i] * own))
            if move < 1e-6:
                continue
            lost = quad(
                lambda z, mean=mean, move=move: max(-(mean + move * z), 0) * np.exp(-z * z / 2),
                -12,
                12,
                limit=500,
            )[0]
            total += kappa / 2 * lost / np.sqrt(2 * np.pi)
        assert gain[i] == pytest.approx(total, abs=1e-6)


def test_copies_of_one_pattern_are_not_all_asked() -> None:
    """Ten pairs that only one judge speaks of and ten that only another does: one of each comes first."""
    opinion = np.zeros((20, 2))
    opinion[:10, 0], opinion[10:, 1] = 1.0, 1.0
    flat, nothing = np.full(20, 0.6), np.full(20, np.nan)
    pairs = Pairs(
        draw=np.linspace(0, 0.9, 20),
        p_a=flat,
        confidence=flat,
        votes=opinion,
        dropped_weight=np.zeros(20),
        human_verdict=nothing,
        is_open=np.ones(20, np.bool_),
        threshold=float("nan"),
        reward_p_a=nothing,
        embedding_difference=np.zeros((20, 0)),
        pair_embedding=np.zeros((20, 0)),
    )
    first, second = choose("expected-value", pairs, 2)
    assert (first < 10) != (second < 10)


def test_many_pairs_are_narrowed_down_without_losing_the_budget() -> None:
    pairs = replace(some_pairs(7, size=6000), is_open=np.ones(6000, np.bool_))
    chosen = choose("expected-value", pairs, 50)
    assert len(set(chosen.tolist())) == 50
    assert pairs.confidence[chosen].mean() < pairs.confidence.mean() - 0.1


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(CurateError, match="which is no kind of routing strategy: known are d-optimal"):
        open_strategy("guess")


def test_the_names_that_a_mix_takes_are_those_of_the_registry() -> None:
    assert {*ROUTING_STRATEGIES, "random"} == set(ROUTING.names)


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"uncertainy": 1}, "names 'uncertainy', .* did you mean `uncertainty`"),
        ({"random": 1}, "verify.plan.random"),
        ({"errors": 0}, "needs a share above 0"),
        ({"./mine.py:Mine": {"weight": 1}}, "share"),
    ],
)
def test_a_mix_is_checked_when_it_is_read(mix: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VerifyPlan.model_validate({"mix": mix})


def test_options_of_a_strategy_stand_beside_its_share(tmp_path: Path) -> None:
    mix = VerifyPlan.model_validate({"mix": {"errors": 1, "threshold": {"share": 2}}}).mix
    first, second = open_mix(mix, folder=tmp_path)
    assert (first.name, first.share, second.name, second.share) == ("errors", 1.0, "threshold", 2.0)
    mix = VerifyPlan.model_validate({"mix": {"threshold": {"share": 1, "width": 3}}}).mix
    with pytest.raises(CurateError, match=r"unknown key `verify\.plan\.mix\.threshold\.width`"):
        open_mix(mix, folder=tmp_path)


@pytest.mark.parametrize("rows", [[0, 0], [0, 1, 2], [99], [-1]])
def test_a_choice_that_breaks_the_contract_is_refused(rows: list[int]) -> None:
    class Careless(RoutingStrategy):
        def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
            return np.array(rows)

    pairs = replace(some_pairs(0), is_open=np.ones(30, np.bool_))
    with pytest.raises(CurateError, match="'careless' must choose at most 2 different rows of 30 pairs"):
        WeightedStrategy("careless", Careless(), 1.0).choose_pairs(pairs, 2)
    closed = replace(pairs, is_open=np.zeros(30, np.bool_))
    with pytest.raises(CurateError, match="careless"):
        WeightedStrategy("careless", Careless(), 1.0).choose_pairs(closed, 4)
