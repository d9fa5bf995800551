"""Cross-fitted Bradley–Terry heads on fixed features, all trained side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from curate.engine.embedding_reward import Heads, features
from curate.engine.threads import one_thread
from curate.progress import Advance
from curate.train.losses import soft_bradley_terry

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    hidden: int
    epochs: int  # at most
    patience: int  # epochs without a better held-out loss before training ends
    batch: int  # pairs
    learning_rate: float
    weight_decay: float
    dropout: float  # of the features
    folds: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
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
class Fit:
    """`epochs[k]`: how long head k was trained; `held_out_loss[e]`: mean over the pairs after e+1 epochs."""

    heads: Heads
    epochs: list[int]
    held_out_loss: list[float]


def fit(items: Items, settings: Settings, advance: Advance) -> Fit:
    """Train `folds + 1` heads: head k on all pairs but those of fold k, the last on all of them.

    How many epochs a head gets is decided by held-out loss, without looking at what the head is judged on:
    head k takes the epoch at which the *other* fold heads predict their own held-out folds best; the final head
    takes the best over all folds. The heads share batches and dropout, so one pass trains them all, on one
    thread: the same input gives the same bits.
    """
    with one_thread():
        generator = torch.Generator().manual_seed(settings.seed)
        bank = _Bank(items, settings, generator)
        history: list[Heads] = []
        losses: list[Float64] = []
        for epoch in range(settings.epochs):
            bank.epoch()
            advance(1)
            history.append(bank.heads())
            losses.append(bank.held_out_loss())
            totals = [float(each.sum()) for each in losses]
            if epoch - int(np.argmin(totals)) >= settings.patience:
                break
    curve = np.stack(losses)  # [epochs, folds], summed over the pairs of the fold
    others = curve.sum(axis=1, keepdims=True) - curve
    picked = [int(np.argmin(others[:, k])) for k in range(settings.folds)] + [
        int(np.argmin(curve.sum(axis=1)))
    ]
    heads = Heads(
        *(
            np.stack([getattr(history[epoch], part)[k] for k, epoch in enumerate(picked)])
            for part in ("w1", "b1", "w2")
        )
    )
    mean = curve.sum(axis=1) / items.weight.sum()
    return Fit(heads, [epoch + 1 for epoch in picked], [float(each) for each in mean])


class _Bank:
    """Heads as one batched MLP: parameters have a leading dimension of K + 1, and so do the scores."""

    def __init__(self, items: Items, settings: Settings, generator: torch.Generator) -> None:
        self._settings = settings
        self._generator = generator
        self._prompts, self._responses = items.prompts, items.responses
        self._prompt_of, self._chosen, self._rejected = items.prompt_of, items.chosen, items.rejected
        heads, inputs, hidden = settings.folds + 1, 3 * items.responses.shape[1], settings.hidden

        def shared(*shape: int, scale: float) -> Tensor:
            """All heads start alike: they differ by their data only."""
            start = torch.randn(*shape, generator=generator) * scale
            return start.expand(heads, *shape).clone().requires_grad_()

        self._w1 = shared(inputs, hidden, scale=inputs**-0.5)
        self._b1 = torch.zeros(heads, hidden, requires_grad=True)
        self._w2 = shared(hidden, scale=0.1 * hidden**-0.5)
        self._optimizer = torch.optim.AdamW(
            [self._w1, self._b1, self._w2], lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._p_chosen = torch.from_numpy(items.p_chosen).float().expand(heads, -1)
        sees = np.arange(heads)[:, None] != items.fold[None, :]
        self._weight = torch.from_numpy(sees * items.weight[None, :]).float()  # [K+1, n]
        self._held = torch.from_numpy(~sees[:-1] * items.weight[None, :])  # [K, n]
        scale = self._weight.sum(dim=1, keepdim=True) / len(items.chosen)
        self._weight /= scale  # mean 1 for each head, whatever it sees

    def epoch(self) -> None:
        order = torch.randperm(len(self._chosen), generator=self._generator)
        for start in range(0, len(order), self._settings.batch):
            rows = order[start : start + self._settings.batch]
            margin = self._margin(rows, dropout=self._settings.dropout)
            loss = soft_bradley_terry(margin, self._p_chosen[:, rows]) * self._weight[:, rows]
            self._optimizer.zero_grad()
            (loss.sum() / self._settings.batch).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()

    @torch.no_grad()
    def held_out_loss(self) -> Float64:
        """float64[K]: summed loss of each fold head over its held-out fold."""
        sums = torch.zeros(self._settings.folds, dtype=torch.float64)
        for start in range(0, len(self._chosen), 4096):
            rows = torch.arange(start, min(start + 4096, len(self._chosen)))
            margin = self._margin(rows, dropout=0.0)[:-1]
            loss = soft_bradley_terry(margin, self._p_chosen[:-1, rows])
            sums += (loss.double() * self._held[:, rows]).sum(dim=1)
        return np.asarray(sums.numpy())

    def heads(self) -> Heads:
        return Heads(*(each.detach().numpy().copy() for each in (self._w1, self._b1, self._w2)))

    def _margin(self, rows: Tensor, *, dropout: float) -> Tensor:
        """[K+1, n]: score of chosen minus score of rejected."""
        chosen, rejected = (
            self._scores(self._chosen, rows, dropout),
            self._scores(self._rejected, rows, dropout),
        )
        return chosen - rejected

    def _scores(self, side: Int64, rows: Tensor, dropout: float) -> Tensor:
        items = side[rows.numpy()]
        inputs = torch.from_numpy(features(self._prompts[self._prompt_of[items]], self._responses[items]))
        if dropout:
            kept = torch.rand(inputs.shape, generator=self._generator) >= dropout
            inputs = inputs * kept / (1.0 - dropout)
        hidden = functional.silu(torch.matmul(inputs, self._w1) + self._b1[:, None, :])  # [K+1, n, h]
        return torch.einsum("knh,kh->kn", hidden, self._w2)
