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

_SCALES = tuple(np.geomspace(0.05, 1.0, 8))  # of the margins of heads that learn from easy pairs only


@dataclass(frozen=True, slots=True)
class HeadLabels:
    """Labels that each head is trained on: `p`, `weight` float64[K+1, n].

    Held-out loss is always measured on the labels of the data.
    """

    p: Float64
    weight: Float64


@dataclass(frozen=True, slots=True)
class HeadFit:
    """Trained heads: `epochs[k]` is how long head k was trained, `held_out_loss[e]` the mean loss after e+1 epochs."""

    heads: Heads
    epochs: list[int]
    held_out_loss: list[float]


def fit_mlp_heads(
    pairs: EmbeddedPairs,
    settings: HeadSettings,
    advance: Advance,
    *,
    labels: HeadLabels | None = None,
    selection: SmallLossSelection | None = None,
    combine: Combine = "mean",
) -> HeadFit:
    """Train `folds + 1` heads: head k on all pairs but those of fold k, the last one on all pairs.

    Held-out loss decides how many epochs a head gets, without looking at the fold that the head is judged on: head k
    takes the epoch at which the *other* fold heads predict their own held-out folds best; the last head takes the best
    epoch over all folds. The heads share batches and dropout, so one pass trains them all, on one thread: the same
    input gives the same bits.

    Args:
        pairs: Embeddings and labelled pairs.
        settings: Size and training of the heads, number of folds, seed.
        advance: Called once an epoch.
        labels: Labels and weights for each head; None: those of `pairs`.
        selection: Rule to leave out pairs of large loss.
        combine: How the scores of several members become one.
    """
    folds = settings.folds
    sees = np.arange(folds + 1)[:, None] != pairs.fold[None, :]
    held_out_weight = ~sees[:-1] * pairs.weight
    if labels is None:
        shape = sees.shape
        labels = HeadLabels(
            np.broadcast_to(pairs.p_chosen, shape).copy(), np.broadcast_to(pairs.weight, shape)
        )
    with limit_to_one_thread():
        generator = torch.Generator().manual_seed(settings.seed)
        heads = BatchedHeads(
            pairs, settings, generator, sees=sees, p=labels.p, weight=labels.weight, selection=selection
        )
        history: list[HeadWeights] = []
        losses: list[Float64] = []
        for epoch in range(settings.epochs):
            heads.run_epoch()
            advance(1)
            history.append(heads.copy_weights())
            margins = heads.compute_margins()[:-1]
            # A head that learns from easy pairs only is overconfident: measure its margins at their best scale.
            scales = (1.0,) if selection is None else _SCALES
            by_scale = [sum_losses(scale * margins, pairs.p_chosen, held_out_weight) for scale in scales]
            losses.append(min(by_scale, key=lambda fold_losses: float(fold_losses.sum())))
            totals = [float(fold_losses.sum()) for fold_losses in losses]
            if epoch - int(np.argmin(totals)) >= settings.patience:
                break
    curve = np.stack(losses)  # [epochs, folds], summed over the pairs of the fold
    others = curve.sum(axis=1, keepdims=True) - curve
    best = [int(np.argmin(others[:, k])) for k in range(folds)] + [int(np.argmin(curve.sum(axis=1)))]
    mean = curve.sum(axis=1) / pairs.weight.sum()
    fitted = _assemble_heads([(history[epoch], k) for k, epoch in enumerate(best)], combine)
    return HeadFit(fitted, [epoch + 1 for epoch in best], [float(loss) for loss in mean])


def _assemble_heads(best: list[tuple[HeadWeights, int]], combine: Combine) -> Heads:
    """Take head k from its best epoch's weights; its members stand side by side in the hidden layer."""
    w1 = np.stack([np.concatenate(list(weights[0][:, k]), axis=1) for weights, k in best])
    b1, w2 = (np.stack([weights[layer][:, k].reshape(-1) for weights, k in best]) for layer in (1, 2))
    return Heads(w1, b1, w2, members=len(best[0][0][0]), combine=combine)
