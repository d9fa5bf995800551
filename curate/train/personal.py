"""Rewards that differ by annotator: a few prototypes, mixed for each person in shares of their own.

After PAL (Chen et al. 2024, arXiv 2406.08469), on fixed features x of responses: reward of annotator u =
Σ_k softmax(common + own_u)_k · w_k · x. `common` is what a stranger gets; `own_u` is drawn towards 0, so that it
takes votes to differ. Somebody new needs a few votes and no new prototypes.

    model = fit(items, votes, names)                       # once, on everybody's votes
    model = model.with_annotator("ann", items, ann_votes)  # few-shot: the prototypes stay
    model.score(features, "ann")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from curate.engine.threads import limit_to_one_thread
from curate.train.losses import bradley_terry

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """`annotator`, `first`, `second` int64[n]: who compared which rows of the features; `p_first` float64[n]: the
    probability that the first is better, as that annotator says (0, ½, 1, or in between).
    """

    annotator: Int64
    first: Int64
    second: Int64
    p_first: Float64


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`shrink`: weight of Σ w² of the prototypes; `own`: of Σ own² of an annotator, in votes."""

    prototypes: int = 4
    shrink: float = 3e-3
    own: float = 1.0
    steps: int = 150
    learning_rate: float = 0.03
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """`prototypes` float32[f, K]; `common` float32[K]; `own` float32[A, K] of the annotators `names`."""

    settings: Settings
    prototypes: Float32
    common: Float32
    own: Float32
    names: tuple[str, ...]

    def shares(self, annotator: str | None) -> Float64:
        """float64[K], of sum 1: how an annotator mixes the prototypes; whoever is not known as the many do."""
        own = self.own[self.names.index(annotator)] if annotator in self.names else 0.0
        mixed = np.exp((self.common + own).astype(np.float64))
        return np.asarray(mixed / mixed.sum())

    def score(self, features: Float32, annotator: str | None = None) -> Float64:
        """float64[n] of float32[n, f]: rewards as one annotator would give them."""
        return np.asarray(features.astype(np.float64) @ self.prototypes @ self.shares(annotator))

    def with_annotator(self, name: str, features: Float32, votes: Votes) -> Personal:
        """Learn the shares of somebody new (or again) from votes, all of them theirs."""
        theirs = replace(votes, annotator=np.zeros(len(votes.first), np.int64))
        fixed = (torch.from_numpy(self.prototypes), torch.from_numpy(self.common))
        own = torch.zeros(1, len(self.common), requires_grad=True)
        _minimise([own], lambda: _loss(features, theirs, *fixed, own, self.settings), self.settings)
        others = [at for at, each in enumerate(self.names) if each != name]
        return replace(
            self,
            own=np.concatenate([self.own[others], own.detach().numpy()]),
            names=(*(self.names[at] for at in others), name),
        )


def fit(features: Float32, votes: Votes, names: Sequence[str], settings: Settings | None = None) -> Personal:
    """Learn prototypes and shares from the votes of the annotators `names` (numbered in `votes`).

    One prototype is Bradley and Terry's model for all. The same input gives the same bits.
    """
    settings = settings or Settings()
    if len(votes.first) == 0 or settings.prototypes < 1:
        raise ValueError("a personal reward needs votes and a prototype")
    generator = torch.Generator().manual_seed(settings.seed)
    kinds, width = settings.prototypes, features.shape[1]
    prototypes = (0.01 * torch.randn(width, kinds, generator=generator)).requires_grad_()
    common = torch.zeros(kinds, requires_grad=True)
    own = (0.1 * torch.randn(len(names), kinds, generator=generator)).requires_grad_()
    weights = [prototypes, common, own]
    _minimise(weights, lambda: _loss(features, votes, prototypes, common, own, settings), settings)
    return Personal(
        settings=settings,
        prototypes=prototypes.detach().numpy(),
        common=common.detach().numpy(),
        own=own.detach().numpy(),
        names=tuple(names),
    )


def _loss(
    features: Float32, votes: Votes, prototypes: Tensor, common: Tensor, own: Tensor, settings: Settings
) -> Tensor:
    scores = torch.from_numpy(features) @ prototypes  # [rows, K]
    first, second, who = (torch.from_numpy(each) for each in (votes.first, votes.second, votes.annotator))
    shares = torch.softmax(common + own, dim=1)
    margin = ((scores[first] - scores[second]) * shares[who]).sum(dim=1)
    said = torch.from_numpy(votes.p_first).to(margin.dtype)
    drawn = settings.shrink * prototypes.square().sum() + settings.own * own.square().sum() / len(margin)
    return bradley_terry(margin, said) + drawn


def _minimise(weights: list[Tensor], loss: Callable[[], Tensor], settings: Settings) -> None:
    optimizer = torch.optim.Adam(weights, lr=settings.learning_rate)
    with limit_to_one_thread():
        for _ in range(settings.steps):
            optimizer.zero_grad()
            loss().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
