"""Cross-fitted Bradley–Terry heads on fixed features, all trained side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from curate.core.progress import Advance
from curate.engine.threads import limit_to_one_thread
from curate.reward.embedding_reward import Combine, Heads
from curate.train.batched_heads import (
    BatchedHeads,
    EmbeddedPairs,
    HeadSettings,
    HeadWeights,
    SmallLossSelection,
    sum_losses,
)

__all__ = ["EmbeddedPairs", "HeadFit", "HeadLabels", "HeadSettings", "SmallLossSelection", "fit_mlp_heads"]

Float64 = NDArray[np.float64]

_SCALES = tuple(np.geomspace(0.05, 1.0, 8))


@dataclass(frozen=True, slots=True)
class HeadLabels:
    """What each head is taught: `p`, `weight` float64[K+1, n]. Held-out loss is measured on the data's own labels."""

    p: Float64
    weight: Float64


@dataclass(frozen=True, slots=True)
class HeadFit:
    """`epochs[k]`: how long head k was trained; `held_out_loss[e]`: mean over the pairs after e+1 epochs."""

    heads: Heads
    epochs: list[int]
    held_out_loss: list[float]


def fit_mlp_heads(
    items: EmbeddedPairs,
    settings: HeadSettings,
    advance: Advance,
    *,
    labels: HeadLabels | None = None,
    selection: SmallLossSelection | None = None,
    combine: Combine = "mean",
) -> HeadFit:
    """Train `folds + 1` heads: head k on all pairs but those of fold k, the last on all of them.

    How many epochs a head gets is decided by held-out loss, without looking at what the head is judged on:
    head k takes the epoch at which the *other* fold heads predict their own held-out folds best; the final head
    takes the best over all folds. The heads share batches and dropout, so one pass trains them all, on one
    thread: the same input gives the same bits.
    """
    folds = settings.folds
    sees = np.arange(folds + 1)[:, None] != items.fold[None, :]
    held = ~sees[:-1] * items.weight
    if labels is None:
        shape = sees.shape
        labels = HeadLabels(
            np.broadcast_to(items.p_chosen, shape).copy(), np.broadcast_to(items.weight, shape)
        )
    with limit_to_one_thread():
        generator = torch.Generator().manual_seed(settings.seed)
        bank = BatchedHeads(
            items, settings, generator, sees=sees, p=labels.p, weight=labels.weight, selection=selection
        )
        history: list[HeadWeights] = []
        losses: list[Float64] = []
        for epoch in range(settings.epochs):
            bank.epoch()
            advance(1)
            history.append(bank.parts())
            margins = bank.margins()[:-1]
            # Who learns from easy pairs only is too sure of itself: its margins are judged at their best scale.
            scales = (1.0,) if selection is None else _SCALES
            scaled = [sum_losses(scale * margins, items.p_chosen, held) for scale in scales]
            losses.append(min(scaled, key=lambda each: float(each.sum())))
            totals = [float(each.sum()) for each in losses]
            if epoch - int(np.argmin(totals)) >= settings.patience:
                break
    curve = np.stack(losses)  # [epochs, folds], summed over the pairs of the fold
    others = curve.sum(axis=1, keepdims=True) - curve
    picked = [int(np.argmin(others[:, k])) for k in range(folds)] + [int(np.argmin(curve.sum(axis=1)))]
    mean = curve.sum(axis=1) / items.weight.sum()
    heads = _assemble_heads([(history[epoch], k) for k, epoch in enumerate(picked)], combine)
    return HeadFit(heads, [epoch + 1 for epoch in picked], [float(each) for each in mean])


def _assemble_heads(picked: list[tuple[HeadWeights, int]], combine: Combine) -> Heads:
    """The members of a head stand side by side in its hidden layer."""
    w1 = np.stack([np.concatenate(list(parts[0][:, k]), axis=1) for parts, k in picked])
    b1, w2 = (np.stack([parts[at][:, k].reshape(-1) for parts, k in picked]) for at in (1, 2))
    return Heads(w1, b1, w2, members=len(picked[0][0][0]), combine=combine)
