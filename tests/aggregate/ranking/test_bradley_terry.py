"""Strengths against the likelihood written down plainly, known truths, and what the bootstrap should cover."""

from __future__ import annotations

import numpy as np
import pytest

from curate.aggregate.ranking.bradley_terry import bootstrap_scores, bradley_terry
from curate.aggregate.ranking.tournament import Tournament
from curate.core.errors import CurateError


def davidson_tournament(strength, nu, votes, rng):
    """Votes over random pairs under Davidson's model (nu = 0: no ties)."""
    m = len(strength)
    a, b = np.triu_indices(m, 1)
    met = rng.multinomial(votes, np.full(len(a), 1 / len(a)))
    half = (strength[a] - strength[b]) / 2
    odds = np.stack((np.exp(half), np.exp(-half), np.full(len(a), nu)))
    drawn = np.stack(
        [rng.multinomial(n, p) for n, p in zip(met, (odds / odds.sum(0)).T, strict=True)], axis=1
    )
    wins_a, wins_b, ties = drawn.astype(float)
    return Tournament(models=m, a=a, b=b, wins_a=wins_a, wins_b=wins_b, ties=ties, votes=float(votes))


def minus_log_posterior(cells, strength, nu, prior_sd):
    """The likelihood of every result as it stands in the paper; nu = 0: ties are half a win for each."""
    loss = 0.5 * (strength**2).sum() / prior_sd**2 + (0.5 * np.log(nu) ** 2 / prior_sd**2 if nu else 0.0)
    for a, b, wins, losses, ties in zip(
        cells.a, cells.b, cells.wins_a, cells.wins_b, cells.ties, strict=True
    ):
        p, q = np.exp(strength[a]), np.exp(strength[b])
        total = p + q + nu * np.sqrt(p * q)
        if nu:
            loss -= (
                wins * np.log(p / total)
                + losses * np.log(q / total)
                + ties * np.log(nu * np.sqrt(p * q) / total)
            )
        else:
            loss -= (wins + ties / 2) * np.log(p / total) + (losses + ties / 2) * np.log(q / total)
    return loss


@pytest.mark.parametrize("ties", ["half", "davidson"])
@pytest.mark.parametrize("seed", range(4))
def test_no_step_away_from_the_fit_is_better(ties, seed):
    rng = np.random.default_rng(seed)
    cells = davidson_tournament(rng.normal(0, 1, 5), 0.5, 60, rng)
    found = bradley_terry(cells, ties=ties, prior_sd=3.0)
    least = minus_log_posterior(cells, found.strength, found.tie, 3.0)
    for k in range(5):
        for step in (-1e-3, 1e-3):
            other = found.strength.copy()
            other[k] += step
            assert minus_log_posterior(cells, other, found.tie, 3.0) > least
    if ties == "davidson":
        for factor in (0.999, 1.001):
            assert minus_log_posterior(cells, found.strength, found.tie * factor, 3.0) > least
    else:
        assert found.tie == 0.0
    assert found.strength.sum() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("ties", "nu"), [("half", 0.0), ("davidson", 0.7)])
def test_known_strengths_are_recovered(ties, nu):
    rng = np.random.default_rng(0)
    truth = np.linspace(-2, 2, 9)
    found = bradley_terry(davidson_tournament(truth, nu, 200_000, rng), ties=ties)
    np.testing.assert_allclose(found.strength, truth, atol=0.06)
    assert found.tie == pytest.approx(nu, abs=0.03)
    assert (np.diff(found.elo) > 0).all()
    assert found.elo.mean() == pytest.approx(1000.0)


@pytest.mark.parametrize(("ties", "nu"), [("half", 0.0), ("davidson", 0.7)])
def test_intervals_cover_the_truth_about_as_often_as_they_say(ties, nu):
    truth = np.array([-1.0, -0.3, 0.2, 1.1])
    inside = []
    for seed in range(60):
        cells = davidson_tournament(truth, nu, 800, np.random.default_rng(seed))
        interval = bootstrap_scores(cells, ties=ties, resamples=200, level=0.9, seed=seed)
        inside.append((interval.low <= truth) & (truth <= interval.high))
    assert 0.83 <= np.mean(inside) <= 0.96  # 240 statements at 0.9: standard error 0.02


def test_bootstrap_is_the_same_for_a_seed_whatever_the_threads():
    cells = davidson_tournament(np.array([0.0, 0.5, 1.0]), 0.3, 300, np.random.default_rng(1))
    one, two = (
        bootstrap_scores(cells, resamples=50, threads=1),
        bootstrap_scores(cells, resamples=50, threads=3),
    )
    np.testing.assert_array_equal(one.low, two.low)
    np.testing.assert_array_equal(one.worst_rank, two.worst_rank)
    assert not np.array_equal(one.low, bootstrap_scores(cells, resamples=50, seed=1).low)
    assert (one.best_rank <= one.worst_rank).all()


def test_a_model_that_always_wins_and_groups_that_never_met_stay_finite():
    one = np.ones(1)
    cells = Tournament(
        models=4,
        a=np.array([0, 2]),
        b=np.array([1, 3]),
        wins_a=np.array([50.0, 5.0]),
        wins_b=np.array([0.0, 5.0]),
        ties=np.zeros(2),
        votes=60.0,
    )
    strength = bradley_terry(cells).strength
    assert np.isfinite(strength).all()
    assert strength[0] > strength[2] == pytest.approx(strength[3])
    assert strength[1] < strength[3]
    empty = Tournament(models=2, a=one[:0].astype(int), b=one[:0].astype(int), wins_a=one[:0], wins_b=one[:0], ties=one[:0], votes=0.0)  # fmt: skip  # noqa: E501
    assert bradley_terry(empty).strength.tolist() == [0.0, 0.0]
    with pytest.raises(CurateError, match="no votes"):
        bootstrap_scores(empty)


def test_wrong_options_are_named():
    cells = davidson_tournament(np.zeros(2), 0.0, 10, np.random.default_rng(0))
    with pytest.raises(CurateError, match="ties='rao'"):
        bradley_terry(cells, ties="rao")
    with pytest.raises(CurateError, match="1 resamples"):
        bootstrap_scores(cells, resamples=1)


def test_agrees_with_evalica():
    import evalica

    rng = np.random.default_rng(3)
    a = rng.integers(0, 6, 3000)
    b = (a + rng.integers(1, 6, 3000)) % 6
    outcome = rng.choice([1, 0, -1], 3000, p=[0.5, 0.2, 0.3])
    low, high, sign = np.minimum(a, b), np.maximum(a, b), np.where(a < b, outcome, -outcome)
    x, y = np.triu_indices(6, 1)
    counts = [
        np.bincount((low * 6 + high)[sign == s], minlength=36)[x * 6 + y].astype(float) for s in (1, -1, 0)
    ]
    cells = Tournament(models=6, a=x, b=y, wins_a=counts[0], wins_b=counts[1], ties=counts[2], votes=3000.0)
    winner = {1: evalica.Winner.X, 0: evalica.Winner.Draw, -1: evalica.Winner.Y}
    peer = evalica.bradley_terry(
        a.tolist(), b.tolist(), [winner[int(o)] for o in outcome], tolerance=1e-12, limit=10_000
    )
    theirs = np.log(peer.scores.reindex(range(6)).to_numpy())
    np.testing.assert_allclose(bradley_terry(cells, prior_sd=1e4).strength, theirs - theirs.mean(), atol=1e-6)
