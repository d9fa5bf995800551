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

_RAMP = 5  # epochs until the share of pairs in a batch has fallen to the wanted one


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSettings:
    """Size of the heads, and how they are trained; the fields are options of the section `train`."""

    hidden: int
    epochs: int  # at most
    patience: int  # epochs without a lower held-out loss before training ends
    batch: int  # pairs
    learning_rate: float
    weight_decay: float
    dropout: float  # of the features
    folds: int
    seed: int
    members: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPairs:
    """Embedded prompts and responses, and the pairs of responses that were compared.

    | field                | type           | meaning |
    | ---                  | ---            | --- |
    | `prompts`            | float32[P, d]  | unit vectors |
    | `responses`          | float32[R, d]  | unit vectors |
    | `prompt_of`          | int64[R]       | prompt of each response |
    | `chosen`, `rejected` | int64[n]       | responses of each pair |
    | `p_chosen`           | float64[n]     | probability that the chosen response is the better one |
    | `weight`             | float64[n]     | weight of each pair |
    | `fold`               | int64[n]       | cross-fitting fold of each pair |
    | `response_fold`      | int64[R]       | cross-fitting fold of each response |
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
    """Learn in each batch from the pairs of smallest loss only; their share falls to `share` over the first epochs.

    `peer`: each of two members learns from the pairs that the other finds easy, so that no member confirms its own
    errors (co-teaching, Han et al. 2018, arXiv 1804.06872; for reward models CRM, arXiv 2505.10597). Without it, each
    member learns from the pairs that it finds easy itself (a curriculum).
    """

    share: float
    peer: bool

    def compute_share(self, epoch: int) -> float:
        """Return the share of a batch that is learnt from in an epoch (counted from 0)."""
        return 1.0 - (1.0 - self.share) * min(1.0, (epoch + 1) / _RAMP)


class BatchedHeads:
    """H heads with M members each, which share batches and dropout.

    All heads of a member start from the same weights, so that they differ by their data only. Members of one head
    differ by their start. Where there are several members and no selection, random weights of the prompts (Bayesian
    bootstrap, Rubin 1981) make them differ as models trained on other samples would.
    """

    def __init__(
        self,
        pairs: EmbeddedPairs,
        settings: HeadSettings,
        generator: torch.Generator,
        *,
        sees: Bools,
        p: Float64,
        weight: Float64,
        selection: SmallLossSelection | None = None,
    ) -> None:
        """Start the heads.

        Args:
            pairs: Features and pairs; its own labels and weights are not read.
            settings: Size and training of the heads.
            generator: Source of all random numbers.
            sees: bool[H, n], the pairs that each head is trained on.
            p: float64[H, n], probability that the chosen response is the better one, for each head.
            weight: float64[H, n], weight of each pair for each head.
            selection: Rule to leave out pairs of large loss; None: all pairs are learnt from.
        """
        self._settings, self._generator, self._pairs = settings, generator, pairs
        self._selection = selection
        self._epoch = 0
        self._heads, members = len(sees), settings.members
        inputs, hidden = 3 * pairs.responses.shape[1], settings.hidden

        def init_weight(*shape: int, scale: float) -> Tensor:
            starts = [torch.randn(*shape, generator=generator) * scale for _ in range(members)]
            spread = torch.stack(starts, dim=-2)[..., None, :].expand(
                *shape[:-1], members, self._heads, shape[-1]
            )
            return spread.clone().requires_grad_()

        # [3d, M, H, h], so that one matrix product computes all heads.
        self._w1 = init_weight(inputs, hidden, scale=inputs**-0.5)
        self._b1 = torch.zeros(members, self._heads, hidden, requires_grad=True)
        self._w2 = init_weight(hidden, scale=0.1 * hidden**-0.5)
        weights = [self._w1, self._b1, self._w2]
        self._optimizer = torch.optim.AdamW(
            weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._p = torch.from_numpy(p).float()  # [H, n]
        seen = torch.from_numpy(sees * weight).expand(members, -1, -1)  # [M, H, n]
        if members > 1 and selection is None:
            seen = seen * self._draw_prompt_weights()[:, None, :]
        # The mean weight of each head is 1.
        self._weight = (seen * len(pairs.chosen) / seen.sum(dim=2, keepdim=True)).float()

    def run_epoch(self) -> None:
        """Train all heads on all batches once, in a random order."""
        order = torch.randperm(len(self._pairs.chosen), generator=self._generator)
        for start in range(0, len(order), self._settings.batch):
            rows = order[start : start + self._settings.batch]
            margin = self._compute_batch_margins(rows, dropout=self._settings.dropout)
            loss = soft_bradley_terry(margin, self._p[:, rows].expand_as(margin))
            loss = loss * self.select_weights(loss.detach(), rows)
            self._optimizer.zero_grad()
            (loss.sum() / self._settings.batch).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        self._epoch += 1

    @torch.no_grad()
    def compute_margins(self) -> Float64:
        """Return float64[H, n]: score of chosen minus score of rejected, the mean over members."""
        margins = [
            self._compute_batch_margins(rows, dropout=0.0).mean(dim=0).double()
            for rows in torch.split(torch.arange(len(self._pairs.chosen)), 4096)
        ]
        return np.asarray(torch.cat(margins, dim=1).numpy())

    def copy_weights(self) -> HeadWeights:
        """Return the weights as they are now; further training does not change the copy."""
        weights = (self._w1.permute(1, 2, 0, 3), self._b1, self._w2)
        w1, b1, w2 = (weight.detach().numpy().copy() for weight in weights)
        return w1, b1, w2

    def select_weights(self, loss: Tensor, rows: Tensor) -> Tensor:
        """Return the weights [M, H, b] of the pairs `rows`: 0 for those that the selection leaves out.

        `loss` [M, H, b] is the loss of the same pairs.
        """
        weight = self._weight[:, :, rows]
        if self._selection is None:
            return weight
        ranking = loss.flip(0) if self._selection.peer else loss
        ranking = ranking.masked_fill(weight == 0, float("inf"))
        count = (weight > 0).sum(dim=2, keepdim=True) * self._selection.compute_share(self._epoch)
        place = ranking.argsort(dim=2, stable=True).argsort(dim=2)
        return weight * (place < count)

    def _draw_prompt_weights(self) -> Tensor:
        """Return float64[M, n]: of each pair the weight of its prompt, drawn from the exponential distribution."""
        prompts = torch.from_numpy(self._pairs.prompt_of[self._pairs.chosen])
        shape = (self._settings.members, len(self._pairs.prompts))
        weights = -torch.log1p(-torch.rand(shape, generator=self._generator, dtype=torch.float64))
        return weights[:, prompts]

    def _compute_batch_margins(self, rows: Tensor, *, dropout: float) -> Tensor:
        """Return [M, H, b]: margins of the pairs `rows`."""
        listed = rows.numpy()  # a tensor of one row would index like a plain number
        responses = np.concatenate([self._pairs.chosen[listed], self._pairs.rejected[listed]])
        chosen, rejected = self._compute_scores(responses, dropout).movedim(0, -1).chunk(2, dim=-1)
        return chosen - rejected

    def _compute_scores(self, rows: Int64, dropout: float) -> Tensor:
        """Return [b, M, H]: scores of the responses `rows`."""
        prompts, responses = self._pairs.prompts, self._pairs.responses
        inputs = torch.from_numpy(build_features(prompts[self._pairs.prompt_of[rows]], responses[rows]))
        if dropout:
            mask = torch.rand(inputs.shape, generator=self._generator) >= dropout
            inputs = inputs * mask / (1.0 - dropout)
        hidden = torch.matmul(inputs, self._w1.flatten(1)).reshape(-1, *self._b1.shape)  # [b, M, H, h]
        return (functional.silu(hidden + self._b1) * self._w2).sum(dim=3)


def sum_losses(margins: Float64, p: Float64, held_out_weight: Float64) -> Float64:
    """Return float64[H]: the weighted sum of each head's cross-entropy.

    Args:
        margins: float64[H, n].
        p: float64[n], probability that the chosen response is the better one.
        held_out_weight: float64[H, n], weight of each pair; 0 where a head is not measured on it.
    """
    loss = soft_bradley_terry(torch.from_numpy(margins), torch.from_numpy(p).expand(margins.shape))
    return np.asarray((loss.numpy() * held_out_weight).sum(axis=1))
