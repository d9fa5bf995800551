"""Rewards moved to where embeddings make them likely: nearer to the truth, never down the energy, the same bits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from curate.train.refine import Settings, _contrast, _Energy, fit

SETTINGS = Settings(hidden=24, samples=16, epochs=12, climb=20, learning_rate=5e-3)


def made(pairs: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, the truth they hold, and rewards of a frozen model that are the truth with errors of their own."""
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((2 * pairs, 6)).astype(np.float32)
    truth = np.tanh(embeddings[:, 0]) + 0.5 * embeddings[:, 1]
    return embeddings, truth, 5.0 + 3.0 * (truth + 0.7 * rng.standard_normal(len(truth)))


def compared(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first = 2 * np.arange(len(truth) // 2)
    better = truth[first] >= truth[first + 1]
    return np.where(better, first, first + 1), np.where(better, first + 1, first)


def right(scores: np.ndarray, truth: np.ndarray) -> float:
    chosen, rejected = compared(truth)
    return float((scores[chosen] > scores[rejected]).mean())


def test_refined_rewards_are_nearer_to_the_truth() -> None:
    embeddings, truth, rewards = made()
    refiner = fit(embeddings, rewards, *compared(truth), SETTINGS)
    fresh, its_truth, its_rewards = made(seed=1)
    refined = refiner.score(fresh, its_rewards)
    assert right(refined, its_truth) > right(its_rewards, its_truth) + 0.05
    assert np.corrcoef(refined, its_truth)[0, 1] > np.corrcoef(its_rewards, its_truth)[0, 1] + 0.05
    assert refined.mean() == pytest.approx(its_rewards.mean(), abs=1.0)  # on the frozen model's scale


def test_only_pairs_that_the_model_agrees_with_teach() -> None:
    embeddings, truth, rewards = made(100)
    chosen, rejected = compared(truth)
    agree = rewards[chosen] > rewards[rejected]
    settings = dataclasses.replace(SETTINGS, epochs=2)
    refiner = fit(embeddings, rewards, chosen, rejected, settings)
    assert refiner.agreed == agree.sum() < 100
    alone = fit(embeddings, rewards, chosen[agree], rejected[agree], settings)
    assert np.array_equal(alone.score(embeddings, rewards), refiner.score(embeddings, rewards))
    with pytest.raises(ValueError, match="no pair whose label"):
        fit(embeddings, rewards, chosen[~agree], rejected[~agree])


def test_an_extreme_reward_starts_from_the_middle() -> None:
    embeddings, truth, rewards = made(100)
    refiner = fit(embeddings, rewards, *compared(truth), dataclasses.replace(SETTINGS, epochs=2))
    first, second = refiner.score(embeddings[[0, 0]], np.array([1e6, -1e6]))
    assert first == pytest.approx(second, abs=1e-4)
    assert abs(first) < 30


def test_the_loss_is_least_where_energy_is_the_log_of_the_density() -> None:
    """For a reward that is given ± its blur, f = log density of the given one beats a flat or a misplaced f."""
    settings = dataclasses.replace(SETTINGS, samples=512, blur=0.5, spreads=(1.0,))
    generator = torch.Generator().manual_seed(0)
    given = torch.zeros(400)

    class Known(_Energy):
        def __init__(self, centre: float, width: float) -> None:
            super().__init__(1, 1, torch.Generator())
            self.centre, self.width = centre, width

        def forward(self, seen: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
            return -0.5 * ((rewards - self.centre) / self.width).square()

    def loss(centre: float, width: float) -> float:
        generator.manual_seed(1)
        return float(_contrast(Known(centre, width), torch.zeros(400, 1), given, settings, generator))

    assert loss(0.0, 0.5) < min(loss(0.0, 100.0), loss(0.7, 0.5), loss(0.0, 0.1))
