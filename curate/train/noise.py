"""Wrong labels: how likely each label is right, and what a remedy turns it into.

Cross-fitted preference strength (after Secrets of RLHF II, arXiv 2401.06080): m = score(chosen) − score(rejected), by
a model that was trained without the pair's prompt. Labels are assumed to be flipped with rate η, so that they agree
with m with probability P(agree) = (1−η) σ(a·m) + η σ(−a·m); η and a are fitted by maximum likelihood. By Bayes' rule
the probability that the label is right is q = (1−η) σ(a·m) / P(agree). Each remedy is a function of q:

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
    """The share η (`rate`) of flipped labels, and the factor a (`scale`) from cross-fitted margins to log-odds."""

    rate: float
    scale: float

    def estimate_correctness(self, margins: Float64) -> Float64:
        """Return the probability that a label is right, given the margin of its chosen response."""
        agree = _sigmoid(self.scale * margins)
        unflipped = (1.0 - self.rate) * agree
        return np.asarray(unflipped / (unflipped + self.rate * (1.0 - agree) + 1e-300))


def estimate_noise(margins: Float64, p: Float64, weight: Float64, *, rate: float | None = None) -> LabelNoise:
    """Fit η and a by maximum likelihood on a grid.

    Args:
        margins: float64[n], margins of models that were not trained on the pair's prompt.
        p: float64[n], probability that the chosen response is the better one.
        weight: float64[n], weight of each pair.
        rate: η where it is known; then only a is fitted.
    """
    rates = _RATES if rate is None else np.array([rate])
    best, noise = np.inf, LabelNoise(0.0, 1.0)
    for scale in _SCALES:
        clean = _sigmoid(scale * margins)
        chance = (1.0 - rates[:, None]) * clean + rates[:, None] * (1.0 - clean)  # [rates, n]
        chance = np.clip(chance, 1e-12, 1.0 - 1e-12)
        losses = -(weight * (p * np.log(chance) + (1.0 - p) * np.log1p(-chance))).sum(axis=1)
        lowest = int(np.argmin(losses))
        if losses[lowest] < best:
            best, noise = float(losses[lowest]), LabelNoise(float(rates[lowest]), float(scale))
    return noise


def relabel_pairs(
    p: Float64, weight: Float64, correctness: Float64, remedy: Remedy
) -> tuple[Float64, Float64]:
    """Return labels and weights after a remedy.

    Args:
        p: float64[n], labels.
        weight: float64[n], weights.
        correctness: float64[n], probability that each label is right.
        remedy: See the module's docstring.
    """
    wrong = correctness < 0.5
    match remedy:
        case "flip":
            return np.where(wrong, 1.0 - p, p), weight
        case "drop":
            return p, np.where(wrong, 0.0, weight)
        case "soften":
            return correctness * p + (1.0 - correctness) * (1.0 - p), weight


def relabel_for_heads(
    pairs: EmbeddedPairs, margins: Float64, remedy: Remedy, *, rate: float | None = None
) -> tuple[HeadLabels, list[LabelNoise]]:
    """Relabel the pairs for each head, without any label of the fold that the head is judged on.

    Args:
        pairs: Pairs with the labels of the data.
        margins: float64[K+1, n] of `cross_fit_margins`.
        remedy: See the module's docstring.
        rate: Share of flipped labels where it is known.

    Returns:
        Labels for `fit_mlp_heads`, and the noise estimated for each head.
    """
    p = np.broadcast_to(pairs.p_chosen, margins.shape).copy()
    weight = np.broadcast_to(pairs.weight, margins.shape).copy()
    noises = []
    for head in range(len(margins)):
        rows = pairs.fold != head
        noise = estimate_noise(margins[head, rows], pairs.p_chosen[rows], pairs.weight[rows], rate=rate)
        correctness = noise.estimate_correctness(margins[head, rows])
        p[head, rows], weight[head, rows] = relabel_pairs(
            pairs.p_chosen[rows], pairs.weight[rows], correctness, remedy
        )
        noises.append(noise)
    return HeadLabels(p, weight), noises


def estimate_rate(pairs: EmbeddedPairs, margins: Float64) -> float:
    """Estimate η from all labels, for all heads: a single number gives away next to nothing about any one label."""
    return estimate_noise(margins[-1], pairs.p_chosen, pairs.weight).rate


def cross_fit_margins(pairs: EmbeddedPairs, settings: HeadSettings, advance: Advance) -> Float64:
    """Return float64[K+1, n]: margins of each pair by models that were not trained on its fold.

    Row k is for head k: a pair of fold j gets its margin from a model that was trained without the folds j and k. So no
    label of fold k comes back through the labels that head k learns from. Pairs of fold k itself have margin 0 in row
    k, because head k never sees them. Row K is for the last head: models without fold j alone.

    For each k, the number of epochs of these models is decided by their loss on the folds j ≠ k.

    Args:
        pairs: Embeddings and labelled pairs.
        settings: Size and training of the models; `members` counts as 1.
        advance: Called once an epoch.
    """
    settings = dataclasses.replace(settings, members=1)
    folds = settings.folds
    left_out = [*itertools.combinations(range(folds), 2), *((fold,) for fold in range(folds))]
    sees = np.array([~np.isin(pairs.fold, out) for out in left_out])
    # For each row k: the folds j that it has margins of, each with the number of the model that gives them.
    fold_models = [
        [(j, left_out.index((min(j, k), max(j, k)))) for j in range(folds) if j != k] for k in range(folds)
    ]
    fold_models.append([(j, left_out.index((j,))) for j in range(folds)])
    held_out_weight = [np.array([(pairs.fold == j) * pairs.weight for j, _ in row]) for row in fold_models]
    shape = sees.shape
    with limit_to_one_thread():
        generator = torch.Generator().manual_seed(settings.seed)
        models = BatchedHeads(
            pairs,
            settings,
            generator,
            sees=sees,
            p=np.broadcast_to(pairs.p_chosen, shape).copy(),
            weight=np.broadcast_to(pairs.weight, shape),
        )
        best = np.full(folds + 1, np.inf)
        best_margins = np.zeros((folds + 1, len(pairs.chosen)))
        epochs_since_best = 0
        for _ in range(settings.epochs):
            models.run_epoch()
            advance(1)
            margins = models.compute_margins()
            epochs_since_best += 1
            for k, row in enumerate(fold_models):
                row_margins = margins[[model for _, model in row]]
                loss = float(sum_losses(row_margins, pairs.p_chosen, held_out_weight[k]).sum())
                if loss < best[k]:
                    best[k], epochs_since_best = loss, 0
                    for (j, _), fold_margins in zip(row, row_margins, strict=True):
                        best_margins[k, pairs.fold == j] = fold_margins[pairs.fold == j]
            if epochs_since_best >= settings.patience:
                break
    return best_margins


def _sigmoid(logits: Float64) -> Float64:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))
