"""Many small heads on the same frozen features, trained side by side as one batched MLP."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from curate.reward.embedding_reward import build_features
from curate.train.losses import soft_bradley_terry

Bools = NDArray[np.bool_]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
HeadWeights = tuple[Float32, Float32, Float32]
"""w1 float32[M, H, 3d, h], b1 float32[M, H, h], w2 float32[M, H, h]."""

_RAMP = 5  # epochs until no more than the wanted share of a batch is learnt from


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSettings:
    hidden: int
    epochs: int  # at most
    patience: int  # epochs without a better held-out loss before training ends
    batch: int  # pairs
    learning_rate: float
    weight_decay: float
    dropout: float  # of the features
    folds: int
    seed: int
    members: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPairs:
    """What is scored, and which pairs of it were compared.

    `prompts` float32[P, d] and `responses` float32[R, d] are unit vectors, `prompt_of` int64[R];
    pairs: `chosen`, `rejected` int64[n] into responses, `p_chosen`, `weight` float64[n], `fold` int64[n];
    `response_fold` int64[R].
    """

    prompts: Float32
    responses: Float32
    prompt_of: Int64
    chosen: Int64
    rejected: Int64
    p_chosen: Float64
    weight: Float64
    fold: Int64
    response_fold: Int64


@dataclass(frozen=True, slots=True)
class SmallLossSelection:
    """Learn in each batch from the pairs of smallest loss only, their share falling to `share` over some epochs.

    `peer`: of two members each learns from what the other finds easy (co-teaching, Han et al. 2018, arXiv 1804.06872;
    for reward models CRM, arXiv 2505.10597), so that they do not confirm their own errors; else each from its own
    (a curriculum).
    """

    share: float
    peer: bool

    def at(self, epoch: int) -> float:
        return 1.0 - (1.0 - self.share) * min(1.0, (epoch + 1) / _RAMP)


class BatchedHeads:
    """H heads with M members each. `sees` bool[H, n]: which pairs a head is trained on; `p`, `weight` float64[H, n].

    The heads of a member start alike: they differ by their data only. Members of one head differ by their start and,
    where there are several and no selection, by random weights of the prompts (Bayesian bootstrap, Rubin 1981): their
    disagreement is then that of models trained on other samples.
    """

    def __init__(
        self,
        items: EmbeddedPairs,
        settings: HeadSettings,
        generator: torch.Generator,
        *,
        sees: Bools,
        p: Float64,
        weight: Float64,
        selection: SmallLossSelection | None = None,
    ) -> None:
        self._settings, self._generator, self._items = settings, generator, items
        self._selection = selection
        self._epoch = 0
        self._heads, members = len(sees), settings.members
        inputs, hidden = 3 * items.responses.shape[1], settings.hidden

        def shared(*shape: int, scale: float) -> Tensor:
            starts = [torch.randn(*shape, generator=generator) * scale for _ in range(members)]
            spread = torch.stack(starts, dim=-2)[..., None, :].expand(
                *shape[:-1], members, self._heads, shape[-1]
            )
            return spread.clone().requires_grad_()

        # [3d, M, H, h], so that one matrix product does all heads.
        self._w1 = shared(inputs, hidden, scale=inputs**-0.5)
        self._b1 = torch.zeros(members, self._heads, hidden, requires_grad=True)
        self._w2 = shared(hidden, scale=0.1 * hidden**-0.5)
        weights = [self._w1, self._b1, self._w2]
        self._optimizer = torch.optim.AdamW(
            weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._p = torch.from_numpy(p).float()  # [H, n]
        seen = torch.from_numpy(sees * weight).expand(members, -1, -1)  # [M, H, n]
        if members > 1 and selection is None:
            seen = seen * self._bootstrap()[:, None, :]
        self._weight = (seen * len(items.chosen) / seen.sum(dim=2, keepdim=True)).float()  # mean 1 for each

    def epoch(self) -> None:
        order = torch.randperm(len(self._items.chosen), generator=self._generator)
        for start in range(0, len(order), self._settings.batch):
            rows = order[start : start + self._settings.batch]
            margin = self._margin(rows, dropout=self._settings.dropout)
            loss = soft_bradley_terry(margin, self._p[:, rows].expand_as(margin))
            loss = loss * self.chosen_weight(loss.detach(), rows)
            self._optimizer.zero_grad()
            (loss.sum() / self._settings.batch).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        self._epoch += 1

    @torch.no_grad()
    def margins(self) -> Float64:
        """float64[H, n]: score of chosen minus score of rejected, the mean over members."""
        parts = [
            self._margin(rows, dropout=0.0).mean(dim=0).double()
            for rows in torch.split(torch.arange(len(self._items.chosen)), 4096)
        ]
        return np.asarray(torch.cat(parts, dim=1).numpy())

    def parts(self) -> HeadWeights:
        weights = (self._w1.permute(1, 2, 0, 3), self._b1, self._w2)
        w1, b1, w2 = (each.detach().numpy().copy() for each in weights)
        return w1, b1, w2

    def chosen_weight(self, loss: Tensor, rows: Tensor) -> Tensor:
        """[M, H, b] of `loss` [M, H, b]: the weights of the pairs `rows`, 0 for what the selection leaves out."""
        weight = self._weight[:, :, rows]
        if self._selection is None:
            return weight
        judged = loss.flip(0) if self._selection.peer else loss
        judged = judged.masked_fill(weight == 0, float("inf"))
        kept = (weight > 0).sum(dim=2, keepdim=True) * self._selection.at(self._epoch)
        place = judged.argsort(dim=2, stable=True).argsort(dim=2)
        return weight * (place < kept)

    def _bootstrap(self) -> Tensor:
        """float64[M, n]: an exponential weight per member and prompt."""
        prompts = torch.from_numpy(self._items.prompt_of[self._items.chosen])
        shape = (self._settings.members, len(self._items.prompts))
        drawn = -torch.log1p(-torch.rand(shape, generator=self._generator, dtype=torch.float64))
        return drawn[:, prompts]

    def _margin(self, rows: Tensor, *, dropout: float) -> Tensor:
        """[M, H, b]."""
        scores = self._scores(np.concatenate([self._items.chosen[rows], self._items.rejected[rows]]), dropout)
        chosen, rejected = scores.movedim(0, -1).chunk(2, dim=-1)
        return chosen - rejected

    def _scores(self, items: Int64, dropout: float) -> Tensor:
        """[b, M, H]."""
        prompts, responses = self._items.prompts, self._items.responses
        inputs = torch.from_numpy(build_features(prompts[self._items.prompt_of[items]], responses[items]))
        if dropout:
            kept = torch.rand(inputs.shape, generator=self._generator) >= dropout
            inputs = inputs * kept / (1.0 - dropout)
        hidden = torch.matmul(inputs, self._w1.flatten(1)).reshape(-1, *self._b1.shape)  # [b, M, H, h]
        return (functional.silu(hidden + self._b1) * self._w2).sum(dim=3)


def sum_losses(margins: Float64, p: Float64, held: Float64) -> Float64:
    """float64[H]: cross-entropy of `margins` [H, n] against labels `p` [n], summed with the weights `held` [H, n]."""
    loss = soft_bradley_terry(torch.from_numpy(margins), torch.from_numpy(p).expand(margins.shape))
    return np.asarray((loss.numpy() * held).sum(axis=1))
