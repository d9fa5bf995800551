"""Which pairs are asked about: connected, no pair twice, and no more than there may be."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.config.judge import Pairs
from curate.judge.selection import (
    Pair,
    _fit_bradley_terry,
    compute_default_limit,
    list_round_robin,
    select_pairs,
)

ROUNDS: tuple[Pairs, ...] = ("swiss", "active")


def names(n: int) -> list[str]:
    return [f"r{number:02}" for number in range(n)]


def play(
    n: int, pairs: Pairs, limit: int | None, strength: list[float]
) -> tuple[dict[Pair, float | None], int]:
    """Ask round by round until nothing new is selected; the better wins with its Bradley–Terry probability."""
    place = {name: number for number, name in enumerate(names(n))}
    said: dict[Pair, float | None] = {}
    for rounds in itertools.count():
        new = select_pairs(names(n), pairs, limit, said) - set(said)
        if not new:
            return said, rounds
        for a, b in new:
            said[a, b] = 1 / (1 + math.exp(strength[place[b]] - strength[place[a]]))
    raise AssertionError


@given(st.integers(2, 17))
def test_a_round_robin_is_every_pair_once_and_connects_everybody_in_two_rounds(n: int) -> None:
    pairs = list(list_round_robin(names(n)))
    assert sorted(pairs) == list(itertools.combinations(names(n), 2))
    a_round = n // 2
    for start in range(0, len(pairs), a_round):
        met = [each for pair in pairs[start : start + a_round] for each in pair]
        assert len(met) == len(set(met))
    reached = {pairs[0][0]}
    for _ in range(n):
        reached |= {each for pair in pairs[: 2 * a_round] if reached & set(pair) for each in pair}
    if n % 2 == 0 or n == 3:
        assert reached == set(names(n))


@given(st.integers(2, 16), st.sampled_from(["round-robin", *ROUNDS]), st.integers(1, 60), st.integers(0, 9))
def test_as_many_pairs_as_allowed_and_the_same_ones_each_time(
    n: int, pairs: Pairs, limit: int, seed: int
) -> None:
    strength = np.random.default_rng(seed).normal(size=n).tolist()
    said, _ = play(n, pairs, limit, strength)
    assert len(said) == min(limit, n * (n - 1) // 2)
    assert all(a < b for a, b in said)
    assert play(n, pairs, limit, strength)[0] == said


def test_all_and_the_default() -> None:
    assert select_pairs(names(4), "all", None, {}) == set(itertools.combinations(names(4), 2))
    assert [compute_default_limit(n) for n in (0, 1, 2, 4, 16)] == [0, 0, 1, 4, 32]
    assert len(select_pairs(names(16), "round-robin", None, {})) == 32


def test_what_was_asked_in_vain_is_not_selected_again_and_counts() -> None:
    said: dict[Pair, float | None] = dict.fromkeys(select_pairs(names(8), "swiss", 8, {}), None)
    again = select_pairs(names(8), "swiss", 8, said)
    assert set(said) < again
    assert len(again) == 8


@pytest.mark.parametrize("pairs", ROUNDS)
def test_in_rounds_the_order_is_found_with_fewer_pairs(pairs: Pairs) -> None:
    """16 responses of known strength, 40 of 120 pairs: the fitted strengths find the order nearly as all pairs do."""
    strength = [number / 3 for number in range(16)]
    said, rounds = play(16, pairs, 40, strength)
    assert rounds in (5, 6)  # in a late Swiss round somebody may have met all that are near
    place = {name: number for number, name in enumerate(names(16))}
    fitted, _ = _fit_bradley_terry(
        16, [(place[a], place[b], p) for (a, b), p in said.items() if p is not None]
    )
    assert np.corrcoef(np.argsort(np.argsort(fitted)), np.arange(16))[0, 1] > 0.97


def test_active_asks_what_tells_most() -> None:
    """Of the pairs left, each one that it picks first has the largest p·(1−p)·Var among all, computed the long way."""
    strength = [0.0, 0.1, 2.0, 2.1, 4.0, 4.1]
    said, _ = play(6, "active", 6, strength)
    chosen = select_pairs(names(6), "active", 7, said) - set(said)
    place = {name: number for number, name in enumerate(names(6))}
    fitted, information = _fit_bradley_terry(
        6, [(place[a], place[b], p) for (a, b), p in said.items() if p is not None]
    )

    def gain(pair: Pair) -> float:
        a, b = place[pair[0]], place[pair[1]]
        p = 1 / (1 + math.exp(fitted[b] - fitted[a]))
        step = np.zeros(6)
        step[a], step[b] = 1.0, -1.0
        more = information + p * (1 - p) * np.outer(step, step)
        return float(np.linalg.slogdet(more)[1] - np.linalg.slogdet(information)[1])

    left = set(itertools.combinations(names(6), 2)) - set(said)
    assert {max(left, key=gain)} == chosen
