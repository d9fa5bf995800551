"""Cross-fitted linear heads on fixed features: least squares, averaged over ridge penalties.

Labels y = 2p − 1 are regressed on differences x of features: w(λ) = (Σ ω x xᵀ + λ)⁻¹ Σ ω y x.

- Flipping labels at one rate η multiplies the expected w by 1 − 2η and does not turn it, so squared loss on a linear
  score tolerates such noise (Manwani and Sastry 2013, arXiv 1109.5231). What noise adds is variance.
- A large λ reduces the variance: as it grows, w approaches the mean difference between chosen and rejected responses,
  which wrong labels move least.
- Held-out prompts decide how large λ should be. Their labels may be wrong too, so solutions are averaged: each counts
  by how often it is the best one on resampled prompts (pseudo-BMA with a Bayesian bootstrap, Yao et al. 2018,
  arXiv 1704.02030).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from curate.core.progress import Advance
from curate.engine.threads import limit_to_one_thread
from curate.reward.embedding_reward import Heads, build_features
from curate.train.batched_heads import EmbeddedPairs
from curate.train.bradley_terry import HeadFit

Float64 = NDArray[np.float64]

_PENALTIES = np.geomspace(0.1, 1e4, 16)  # in mean eigenvalues of Σ ω x xᵀ
_SCALES = np.geomspace(1 / 64, 8.0, 19)  # log-odds of a margin of 1
_DRAWS = 200
_BLOCK = 4096  # pairs


def fit_linear_heads(pairs: EmbeddedPairs, folds: int, advance: Advance) -> HeadFit:
    """Solve `folds + 1` heads: head k from all pairs but those of fold k, the last one from all pairs.

    The weights of head k's penalties, and the factor that turns its scores into log-odds, come from how well the
    *other* fold heads predict their own held-out folds, as epochs do in `fit_mlp_heads`. The same input gives the same
    bits.

    Args:
        pairs: Embeddings and labelled pairs.
        folds: Number of cross-fitting folds, as in `pairs.fold`.
        advance: Called once a head.
    """
    with limit_to_one_thread():
        solutions = _solve_heads(pairs, folds, advance)
        margins = _compute_margins(pairs, solutions[:-1])
    size = np.maximum(np.sqrt(np.square(margins).mean(axis=1)), 1e-300)[:, None]
    losses = _compute_losses(pairs, margins / size)
    fold = np.full(len(pairs.prompts), folds)
    fold[pairs.prompt_of[pairs.chosen]] = pairs.fold
    shares = [_weigh_solutions(losses[:, :, fold != head]) for head in range(folds)]
    shares.append(_weigh_solutions(losses[:, :, fold < folds]))
    weights = np.stack(
        [(solution / size).T @ share for solution, share in zip(solutions, shares, strict=True)]
    )
    margin = shares[-1] @ (margins / size)
    loss = np.logaddexp(0.0, -margin) + (1.0 - pairs.p_chosen) * margin
    held_out_loss = float(loss @ pairs.weight / pairs.weight.sum())
    return HeadFit(_build_heads(weights), [1] * (folds + 1), [held_out_loss])


def _compute_differences(pairs: EmbeddedPairs, rows: slice) -> Float64:
    """Return float64[b, f]: features of the chosen minus those of the rejected response."""
    sides = (pairs.chosen[rows], pairs.rejected[rows])
    first, second = (
        build_features(pairs.prompts[pairs.prompt_of[side]], pairs.responses[side]) for side in sides
    )
    return np.asarray(first, np.float64) - second


def _list_blocks(pairs: EmbeddedPairs) -> list[slice]:
    """List blocks of pairs that bound the memory for their features."""
    return [slice(start, start + _BLOCK) for start in range(0, len(pairs.chosen), _BLOCK)]


def _sum_by_fold(pairs: EmbeddedPairs, folds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return Σ ω x xᵀ float64[K, f, f] and Σ ω y x float64[K, f] of each fold."""
    width = 3 * pairs.responses.shape[1]
    products = torch.zeros(folds, width, width, dtype=torch.float64)
    targets = torch.zeros(folds, width, dtype=torch.float64)
    for rows in _list_blocks(pairs):
        differences, weight, fold = _compute_differences(pairs, rows), pairs.weight[rows], pairs.fold[rows]
        label = weight * (2.0 * pairs.p_chosen[rows] - 1.0)
        for number in np.unique(fold):
            inside = fold == number
            x = torch.from_numpy(differences[inside])
            products[number] += x.T @ (x * torch.from_numpy(weight[inside])[:, None])
            targets[number] += torch.from_numpy(label[inside]) @ x
    return products, targets


def _solve_heads(pairs: EmbeddedPairs, folds: int, advance: Advance) -> list[Float64]:
    """Return float64[Λ, f] for each head: its weights under each penalty."""
    products, targets = _sum_by_fold(pairs, folds)
    unit = float(products.sum(dim=0).trace()) / products.shape[1]
    solutions = []
    for head in range(folds + 1):
        seen = [fold for fold in range(folds) if fold != head]
        solutions.append(_solve_penalties(products[seen].sum(dim=0), targets[seen].sum(dim=0), unit))
        advance(1)
    return solutions


def _solve_penalties(product: torch.Tensor, target: torch.Tensor, unit: float) -> Float64:
    """Return float64[Λ, f]: the solution under each penalty, in units of `unit`."""
    values, vectors = torch.linalg.eigh(product)
    penalties = torch.from_numpy(_PENALTIES) * max(unit, 1e-300)
    shrunk = (vectors.T @ target)[:, None] / (values.clamp(min=0.0)[:, None] + penalties)
    return np.asarray((vectors @ shrunk).T.numpy())


def _compute_margins(pairs: EmbeddedPairs, solutions: list[Float64]) -> Float64:
    """Return float64[Λ, n]: margin of each pair by the head that was not trained on its prompt."""
    margins = np.empty((len(_PENALTIES), len(pairs.chosen)))
    for rows in _list_blocks(pairs):
        differences, fold = _compute_differences(pairs, rows), pairs.fold[rows]
        for number in np.unique(fold):
            inside = np.flatnonzero(fold == number)
            margins[:, rows.start + inside] = solutions[number] @ differences[inside].T
    return margins


def _compute_losses(pairs: EmbeddedPairs, margins: Float64) -> Float64:
    """Return float64[Λ, S, P]: cross-entropy −p log σ(m) − (1−p) log σ(−m), summed over the pairs of each prompt."""
    prompts, count = pairs.prompt_of[pairs.chosen], len(pairs.prompts)
    losses = np.empty((len(_PENALTIES), len(_SCALES), count))
    for penalty, row in enumerate(margins):
        for number, scale in enumerate(_SCALES):
            loss = np.logaddexp(0.0, -scale * row) + (1.0 - pairs.p_chosen) * scale * row
            losses[penalty, number] = np.bincount(prompts, pairs.weight * loss, count)
    return losses


def _weigh_solutions(losses: Float64) -> Float64:
    """Return float64[Λ]: the factor of each solution in the average, from its losses [Λ, S, P]."""
    scale = losses.sum(axis=2).argmin(axis=1)
    prompt_losses = losses[np.arange(len(losses)), scale]  # [Λ, P]
    prompt_weights = np.random.default_rng(0).standard_exponential((prompt_losses.shape[1], _DRAWS))
    wins = np.bincount((prompt_losses @ prompt_weights).argmin(axis=0), minlength=len(prompt_losses))
    return np.asarray(wins / _DRAWS * _SCALES[scale])


def _build_heads(weights: Float64) -> Heads:
    """Write a linear score as two hidden units: silu(z) − silu(−z) = z."""
    w1 = np.stack([weights, -weights], axis=2).astype(np.float32)
    ends = np.tile(np.array([1.0, -1.0], np.float32), (len(weights), 1))
    return Heads(w1, np.zeros_like(ends), ends)
