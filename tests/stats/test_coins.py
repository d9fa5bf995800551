"""The chance of few successes in tosses of fair coins, against counting all of them."""

from __future__ import annotations

from math import comb

import pytest

from curate.stats.coins import compute_tail


@pytest.mark.parametrize("n", [0, 1, 2, 7, 40])
def test_the_tail_is_the_share_of_all_outcomes(n: int) -> None:
    for successes in range(n + 1):
        counted = sum(comb(n, k) for k in range(successes + 1)) / 2**n
        assert compute_tail(successes, n) == pytest.approx(counted, rel=1e-12)


def test_many_tosses_are_counted_at_once() -> None:
    assert compute_tail(500_000, 1_000_000) == pytest.approx(0.5, abs=1e-3)
