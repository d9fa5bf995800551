"""Rewards of a frozen model, moved to where an energy model of rewards finds them likeliest: no weight of it changes.

After EBRM (Lochab and Zhang 2025, arXiv 2504.13134). An energy f(e, r) of a response's embedding e and its reward r is
learnt on pairs whose label the frozen model agrees with, by noise contrastive estimation with noisy positives (NCE+,
Gustafsson et al. 2020, arXiv 2005.01698): the given reward, itself blurred, against others drawn around it. A response
is then scored by climbing f from its own reward; one that lies outside of what was seen starts from the middle.

    refiner = fit(embeddings, rewards, chosen, rejected)
    refiner.score(embeddings, rewards)      # rewards on the frozen model's scale
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from curate.engine.threads import limit_to_one_thread

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Distances are in standard deviations of the rewards. `spreads`: of the rewards drawn around a given one, in equal
    parts; `blur`: by how much of such a spread the given one is itself uncertain; `reach`: beyond it a reward is not
    trusted as a start; `climb`: steps of at most `stride` uphill.
    """

    hidden: int = 64
    samples: int = 64
    spreads: tuple[float, ...] = (0.25, 0.5, 1.0)
    blur: float = 0.3
    reach: float = 3.0
    climb: int = 50
    stride: float = 0.1
    epochs: int = 20
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    seed: int = 0


class Refiner:
    """`agreed`: how many pairs it learnt from; `middle` and `scale`: mean and standard deviation of their rewards."""

    def __init__(self, energy: _Energy, settings: Settings, middle: float, scale: float, agreed: int) -> None:
        self.agreed = agreed
        self._energy, self._settings = energy.eval(), settings
        self._middle, self._scale = middle, scale

    def score(self, embeddings: Float32, rewards: Float64) -> Float64:
        """float64[n] of float32[n, d] and float64[n]."""
        start = torch.from_numpy((np.asarray(rewards, np.float64) - self._middle) / self._scale).float()
        start = torch.where(start.abs() <= self._settings.reach, start, torch.zeros_like(start))
        with limit_to_one_thread():
            found = self._climbed(self._energy.of(torch.from_numpy(embeddings)), start)
        return np.asarray(found.double().numpy() * self._scale + self._middle)

    def _climbed(self, seen: Tensor, reward: Tensor) -> Tensor:
        """Gradient ascent; a step that would lead down is halved, so that f never falls."""
        stride = torch.full_like(reward, self._settings.stride)
        for _ in range(self._settings.climb):
            here = reward.clone().requires_grad_()
            height = self._energy(seen, here[:, None])[:, 0]
            (slope,) = torch.autograd.grad(height.sum(), here)
            step = reward + stride * slope.clamp(-1.0, 1.0)
            with torch.no_grad():
                better = self._energy(seen, step[:, None])[:, 0] >= height
            reward = torch.where(better, step, reward)
            stride = torch.where(better, stride, stride / 2.0)
        return reward


def fit(
    embeddings: Float32, rewards: Float64, chosen: Int64, rejected: Int64, settings: Settings | None = None
) -> Refiner:
    """Learn from pairs (`chosen[i]` is better than `rejected[i]`, both rows of `embeddings` float32[n, d] and
    `rewards` float64[n]) whose chosen one has the higher reward. The same input gives the same bits.
    """
    settings = settings or Settings()
    agree = rewards[chosen] > rewards[rejected]
    rows = np.concatenate([chosen[agree], rejected[agree]])
    middle, scale = (float(rewards[rows].mean()), float(rewards[rows].std())) if len(rows) else (0.0, 0.0)
    if not scale > 0.0:
        raise ValueError("no pair whose label the rewards agree with")
    seen = torch.from_numpy(embeddings[rows])
    given = torch.from_numpy((rewards[rows] - middle) / scale).float()
    with limit_to_one_thread():
        generator = torch.Generator().manual_seed(settings.seed)
        energy = _Energy(embeddings.shape[1], settings.hidden, generator)
        optimizer = torch.optim.AdamW(
            energy.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        for _ in range(settings.epochs):
            for batch in torch.split(torch.randperm(len(given), generator=generator), settings.batch):
                loss = _contrast(energy, seen[batch], given[batch], settings, generator)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
    return Refiner(energy, settings, middle, scale, int(agree.sum()))


class _Energy(nn.Module):
    """f(e, r): the higher, the likelier r is the reward of e."""

    def __init__(self, width: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.seen, self.reward = nn.Linear(width, hidden), nn.Linear(1, hidden)
        self.inner, self.last = nn.Linear(hidden, hidden), nn.Linear(hidden, 1)
        for layer in (self.seen, self.reward, self.inner, self.last):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)

    def of(self, embeddings: Tensor) -> Tensor:
        """What does not depend on the reward, [n, h]."""
        with torch.no_grad():
            found: Tensor = self.seen(embeddings)
        return found

    def forward(self, seen: Tensor, rewards: Tensor) -> Tensor:
        """[n, m] of what `seen` [n, h] says of the rewards [n, m]."""
        first = functional.silu(seen[:, None, :] + self.reward(rewards[..., None]))
        found: Tensor = self.last(functional.silu(self.inner(first)))[..., 0]
        return found


def _contrast(
    energy: _Energy, embeddings: Tensor, given: Tensor, settings: Settings, generator: torch.Generator
) -> Tensor:
    """NCE+: −log of the blurred reward's share among itself and the others, by exp f over the chance to be drawn."""
    spreads = torch.tensor(settings.spreads)

    def drawn(count: int) -> Tensor:
        kind = torch.randint(len(spreads), (len(given), count), generator=generator)
        return torch.randn(len(given), count, generator=generator) * spreads[kind]

    away = torch.cat([settings.blur * drawn(1), drawn(settings.samples)], dim=1)
    normal = -0.5 * (away[..., None] / spreads).square() - spreads.log()
    chance = torch.logsumexp(normal, dim=2) - math.log(len(spreads))
    weighed = energy(energy.seen(embeddings), given[:, None] + away) - chance
    return -torch.log_softmax(weighed, dim=1)[:, 0].mean()
