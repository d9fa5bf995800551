"""Labels that are wrong, found by what models say that have not seen them.

Cross-fitted preference strength (after Secrets of RLHF II, arXiv 2401.06080): m = score(chosen) − score(rejected) by
a model trained without the pair's prompt. Labels are taken as flipped with rate η, so that they agree with m at the
rate P(agree) = (1−η) σ(a·m) + η σ(−a·m); η and a are fitted by maximum likelihood. The probability that the label
is right then is, by Bayes, q = (1−η) σ(a·m) / P(agree). Each remedy is a function of it:

| remedy   | the label's p becomes |
| ---      | --- |
| `flip`   | 1 − p where q < ½ |
| `drop`   | weight 0 where q < ½ |
| `soften` | q p + (1−q) (1−p) |
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from curate.core.progress import Advance
from curate.engine.threads import limit_to_one_thread
from curate.train.batched_heads import BatchedHeads, EmbeddedPairs, HeadSettings, sum_losses
from curate.train.bradley_terry import HeadLabels

Float64 = NDArray[np.float64]
Remedy = Literal["flip", "drop", "soften"]

_RATES = np.linspace(0.0, 0.48, 49)
_SCALES = np.geomspace(0.5, 16.0, 41)


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """η `rate` of flipped labels, and the `scale` a by which cross-fitted margins become log-odds."""

    rate: float
    scale: float

    def right(self, margins: Float64) -> Float64:
        """The probability that a label is right, given the margin in its favour."""
        agree = _sigmoid(self.scale * margins)
        kept = (1.0 - self.rate) * agree
        return np.asarray(kept / (kept + self.rate * (1.0 - agree) + 1e-300))


def estimate_noise(margins: Float64, p: Float64, weight: Float64, *, rate: float | None = None) -> LabelNoise:
    """Fit η (unless it is known: `rate`) and a, on a grid. `margins`, `p`, `weight` float64[n]."""
    rates = _RATES if rate is None else np.array([rate])
    best, found = np.inf, LabelNoise(0.0, 1.0)
    for scale in _SCALES:
        clean = _sigmoid(scale * margins)
        chance = (1.0 - rates[:, None]) * clean + rates[:, None] * (1.0 - clean)  # [rates, n]
        chance = np.clip(chance, 1e-12, 1.0 - 1e-12)
        losses = -(weight * (p * np.log(chance) + (1.0 - p) * np.log1p(-chance))).sum(axis=1)
        at = int(np.argmin(losses))
        if losses[at] < best:
            best, found = float(losses[at]), LabelNoise(float(rates[at]), float(scale))
    return found


def relabel_pairs(p: Float64, weight: Float64, right: Float64, remedy: Remedy) -> tuple[Float64, Float64]:
    """Labels and weights after a remedy, by the probability `right` float64[n] that each label is right."""
    wrong = right < 0.5
    match remedy:
        case "flip":
            return np.where(wrong, 1.0 - p, p), weight
        case "drop":
            return p, np.where(wrong, 0.0, weight)
        case "soften":
            return right * p + (1.0 - right) * (1.0 - p), weight


def relabel_for_heads(
    items: EmbeddedPairs, margins: Float64, remedy: Remedy, *, rate: float | None = None
) -> tuple[HeadLabels, list[LabelNoise]]:
    """Labels for each head of `fit`, made without any label of what the head is judged on, and the noise found.

    `margins` float64[K+1, n] of `cross_fitted`.
    """
    p = np.broadcast_to(items.p_chosen, margins.shape).copy()
    weight = np.broadcast_to(items.weight, margins.shape).copy()
    found = []
    for head in range(len(margins)):
        rows = items.fold != head
        noise = estimate_noise(margins[head, rows], items.p_chosen[rows], items.weight[rows], rate=rate)
        right = noise.right(margins[head, rows])
        p[head, rows], weight[head, rows] = relabel_pairs(
            items.p_chosen[rows], items.weight[rows], right, remedy
        )
        found.append(noise)
    return HeadLabels(p, weight), found


def estimate_rate(items: EmbeddedPairs, margins: Float64) -> float:
    """η of all labels. One rate for all heads: a single number says next to nothing of any one label."""
    return estimate_noise(margins[-1], items.p_chosen, items.weight).rate


def cross_fit_margins(items: EmbeddedPairs, settings: HeadSettings, advance: Advance) -> Float64:
    """float64[K+1, n]: for head k, the margin of each pair of fold j by a model without the folds j and k: what fold
    k says must not come back through the labels that head k learns from. Row K: by a model without fold j.

    How long those models are trained is decided for each k by their loss on the folds j ≠ k. Fold k's own pairs have
    margin 0 in row k: that head never sees them.
    """
    settings = dataclasses.replace(settings, members=1)
    folds = settings.folds
    left_out = [*itertools.combinations(range(folds), 2), *((fold,) for fold in range(folds))]
    sees = np.array([~np.isin(items.fold, out) for out in left_out])
    judges = [
        [(j, left_out.index((min(j, k), max(j, k)))) for j in range(folds) if j != k] for k in range(folds)
    ]
    judges.append([(j, left_out.index((j,))) for j in range(folds)])
    held = [np.array([(items.fold == j) * items.weight for j, _ in each]) for each in judges]
    shape = sees.shape
    with limit_to_one_thread():
        generator = torch.Generator().manual_seed(settings.seed)
        bank = BatchedHeads(
            items,
            settings,
            generator,
            sees=sees,
            p=np.broadcast_to(items.p_chosen, shape).copy(),
            weight=np.broadcast_to(items.weight, shape),
        )
        best = np.full(folds + 1, np.inf)
        found = np.zeros((folds + 1, len(items.chosen)))
        since = 0
        for _ in range(settings.epochs):
            bank.epoch()
            advance(1)
            margins = bank.margins()
            since += 1
            for k, each in enumerate(judges):
                rows = margins[[head for _, head in each]]
                loss = float(sum_losses(rows, items.p_chosen, held[k]).sum())
                if loss < best[k]:
                    best[k], since = loss, 0
                    for (j, _), row in zip(each, rows, strict=True):
                        found[k, items.fold == j] = row[items.fold == j]
            if since >= settings.patience:
                break
    return found


def _sigmoid(logits: Float64) -> Float64:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))
