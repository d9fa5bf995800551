"""Cross-fitted linear heads on fixed features, solved at once: least squares, averaged over how much it is shrunk.

Labels y = 2p − 1 are regressed on differences x of features: w(λ) = (Σ ω x xᵀ + λ)⁻¹ Σ ω y x. Labels that are flipped
at one rate η shrink the expected w by 1 − 2η and turn it nowhere, so squared loss on a linear score tolerates such
noise (Manwani and Sastry 2013, arXiv 1109.5231). What noise costs is variance. A large λ is the remedy: as it grows, w
becomes the mean of what chosen responses have more of, which is the least that wrong labels can move. How large it
should be is for held-out prompts to say, whose labels may be wrong too: solutions are averaged by how often each is the
best on resampled prompts (pseudo-BMA with a Bayesian bootstrap, Yao et al. 2018, arXiv 1704.02030).
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


def fit_linear_heads(items: EmbeddedPairs, folds: int, advance: Advance) -> HeadFit:
    """`folds + 1` heads: head k from all pairs but those of fold k, the last from all of them.

    Penalties of head k are weighed as epochs are in `curate.train.bradley_terry.fit_mlp_heads`: by how well the *other* fold
    heads predict what they have not seen; so is the factor by which its scores become log-odds. The same input gives
    the same bits.
    """
    with limit_to_one_thread():
        solved = _solve_heads(items, folds, advance)
        margins = _compute_margins(items, solved[:-1])
    size = np.maximum(np.sqrt(np.square(margins).mean(axis=1)), 1e-300)[:, None]
    losses = _compute_losses(items, margins / size)
    fold = np.full(len(items.prompts), folds)
    fold[items.prompt_of[items.chosen]] = items.fold
    shares = [_weigh_solutions(losses[:, :, fold != head]) for head in range(folds)]
    shares.append(_weigh_solutions(losses[:, :, fold < folds]))
    weights = np.stack([(each / size).T @ share for each, share in zip(solved, shares, strict=True)])
    found = shares[-1] @ (margins / size)
    loss = np.logaddexp(0.0, -found) + (1.0 - items.p_chosen) * found
    return HeadFit(
        _build_heads(weights), [1] * (folds + 1), [float(loss @ items.weight / items.weight.sum())]
    )


def _compute_differences(items: EmbeddedPairs, rows: slice) -> Float64:
    """float64[b, f]: features of the chosen less those of the rejected response."""
    sides = (items.chosen[rows], items.rejected[rows])
    first, second = (
        build_features(items.prompts[items.prompt_of[side]], items.responses[side]) for side in sides
    )
    return np.asarray(first, np.float64) - second


def _list_blocks(items: EmbeddedPairs) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, len(items.chosen), _BLOCK)]


def _sum_by_fold(items: EmbeddedPairs, folds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ ω x xᵀ float64[K, f, f] and Σ ω y x float64[K, f] of each fold."""
    width = 3 * items.responses.shape[1]
    products = torch.zeros(folds, width, width, dtype=torch.float64)
    targets = torch.zeros(folds, width, dtype=torch.float64)
    for rows in _list_blocks(items):
        found, weight, fold = _compute_differences(items, rows), items.weight[rows], items.fold[rows]
        label = weight * (2.0 * items.p_chosen[rows] - 1.0)
        for each in np.unique(fold):
            mine = torch.from_numpy(found[fold == each])
            products[each] += mine.T @ (mine * torch.from_numpy(weight[fold == each])[:, None])
            targets[each] += torch.from_numpy(label[fold == each]) @ mine
    return products, targets


def _solve_heads(items: EmbeddedPairs, folds: int, advance: Advance) -> list[Float64]:
    """float64[Λ, f] for each head."""
    products, targets = _sum_by_fold(items, folds)
    unit = float(products.sum(dim=0).trace()) / products.shape[1]
    found = []
    for head in range(folds + 1):
        seen = [fold for fold in range(folds) if fold != head]
        found.append(_solve_penalties(products[seen].sum(dim=0), targets[seen].sum(dim=0), unit))
        advance(1)
    return found


def _solve_penalties(product: torch.Tensor, target: torch.Tensor, unit: float) -> Float64:
    """float64[Λ, f]: the solution for each penalty."""
    values, vectors = torch.linalg.eigh(product)
    penalties = torch.from_numpy(_PENALTIES) * max(unit, 1e-300)
    shrunk = (vectors.T @ target)[:, None] / (values.clamp(min=0.0)[:, None] + penalties)
    return np.asarray((vectors @ shrunk).T.numpy())


def _compute_margins(items: EmbeddedPairs, solved: list[Float64]) -> Float64:
    """float64[Λ, n]: of each pair by the head that has not seen it."""
    margins = np.empty((len(_PENALTIES), len(items.chosen)))
    for rows in _list_blocks(items):
        found, fold = _compute_differences(items, rows), items.fold[rows]
        for each in np.unique(fold):
            mine = np.flatnonzero(fold == each)
            margins[:, rows.start + mine] = solved[each] @ found[mine].T
    return margins


def _compute_losses(items: EmbeddedPairs, margins: Float64) -> Float64:
    """Cross-entropy float64[Λ, S, P] of each prompt, summed over its pairs: −p log σ(m) − (1−p) log σ(−m)."""
    prompts, count = items.prompt_of[items.chosen], len(items.prompts)
    losses = np.empty((len(_PENALTIES), len(_SCALES), count))
    for at, row in enumerate(margins):
        for number, scale in enumerate(_SCALES):
            loss = np.logaddexp(0.0, -scale * row) + (1.0 - items.p_chosen) * scale * row
            losses[at, number] = np.bincount(prompts, items.weight * loss, count)
    return losses


def _weigh_solutions(losses: Float64) -> Float64:
    """float64[Λ]: what each solution is multiplied with, by its losses [Λ, S, P]."""
    scale = losses.sum(axis=2).argmin(axis=1)
    each = losses[np.arange(len(losses)), scale]  # [Λ, P]
    drawn = np.random.default_rng(0).standard_exponential((each.shape[1], _DRAWS))
    best = np.bincount((each @ drawn).argmin(axis=0), minlength=len(each))
    return np.asarray(best / _DRAWS * _SCALES[scale])


def _build_heads(weights: Float64) -> Heads:
    """A linear score as two units: silu(z) − silu(−z) = z."""
    w1 = np.stack([weights, -weights], axis=2).astype(np.float32)
    ends = np.tile(np.array([1.0, -1.0], np.float32), (len(weights), 1))
    return Heads(w1, np.zeros_like(ends), ends)
