"""Cross-fitted linear heads on fixed features, solved at once: least squares whose penalty held-out prompts choose.

Labels y = 2p − 1 are regressed on differences x of features: w = (Σ ω x xᵀ + λ)⁻¹ Σ ω y x. Labels that are flipped at
one rate η shrink the expected w by 1 − 2η and turn it nowhere, so squared loss on a linear score tolerates such noise
(Manwani and Sastry 2013, arXiv 1109.5231). What noise costs is variance, and λ is the remedy: the largest is taken
whose loss on held-out prompts is within a standard error of the least (Breiman et al. 1984). As λ grows, w becomes
the mean of what chosen responses have more of, which is the least that wrong labels can move.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from curate.engine.embedding_reward import Heads, features
from curate.engine.threads import one_thread
from curate.progress import Advance
from curate.train.bank import Items
from curate.train.bradley_terry import Fit

Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

_PENALTIES = np.geomspace(0.1, 1e4, 16)  # in mean eigenvalues of Σ ω x xᵀ
_SCALES = np.geomspace(1 / 64, 4.0, 17)  # log-odds of a typical margin
_BLOCK = 4096  # pairs


def fit_linear(items: Items, folds: int, advance: Advance) -> Fit:
    """`folds + 1` heads: head k from all pairs but those of fold k, the last from all of them.

    The penalty of head k is chosen as in `curate.train.bradley_terry.fit`, by how well the *other* fold heads predict
    what they have not seen; so is the factor by which its scores become log-odds. There is no chance in it.
    """
    with one_thread():
        solved = _solved(items, folds, advance)
        losses, spread = _losses(items, _margins(items, solved[:-1]))
    fold = np.full(len(items.prompts), folds)
    fold[items.prompt_of[items.chosen]] = items.fold
    picked = [_pick(losses[:, :, fold != head]) for head in range(folds)] + [_pick(losses)]
    weights = np.stack(
        [solved[head][at] * (_SCALES[scale] / spread[at]) for head, (at, scale) in enumerate(picked)]
    )
    at, scale = picked[-1]
    return Fit(_heads(weights), [1] * (folds + 1), [float(losses[at, scale].sum() / items.weight.sum())])


def _differences(items: Items, rows: slice) -> Float64:
    """float64[b, f]: features of the chosen less those of the rejected response."""
    sides = (items.chosen[rows], items.rejected[rows])
    first, second = (features(items.prompts[items.prompt_of[side]], items.responses[side]) for side in sides)
    return np.asarray(first, np.float64) - second


def _blocks(items: Items) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, len(items.chosen), _BLOCK)]


def _sums(items: Items, folds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ ω x xᵀ float64[K, f, f] and Σ ω y x float64[K, f] of each fold."""
    width = 3 * items.responses.shape[1]
    products = torch.zeros(folds, width, width, dtype=torch.float64)
    targets = torch.zeros(folds, width, dtype=torch.float64)
    for rows in _blocks(items):
        found, weight, fold = _differences(items, rows), items.weight[rows], items.fold[rows]
        label = weight * (2.0 * items.p_chosen[rows] - 1.0)
        for each in np.unique(fold):
            mine = torch.from_numpy(found[fold == each])
            products[each] += mine.T @ (mine * torch.from_numpy(weight[fold == each])[:, None])
            targets[each] += torch.from_numpy(label[fold == each]) @ mine
    return products, targets


def _solved(items: Items, folds: int, advance: Advance) -> list[Float64]:
    """float64[Λ, f] for each head."""
    products, targets = _sums(items, folds)
    unit = float(products.sum(dim=0).trace()) / products.shape[1]
    found = []
    for head in range(folds + 1):
        seen = [fold for fold in range(folds) if fold != head]
        found.append(_path(products[seen].sum(dim=0), targets[seen].sum(dim=0), unit))
        advance(1)
    return found


def _path(product: torch.Tensor, target: torch.Tensor, unit: float) -> Float64:
    """float64[Λ, f]: the solution for each penalty."""
    values, vectors = torch.linalg.eigh(product)
    penalties = torch.from_numpy(_PENALTIES) * max(unit, 1e-300)
    shrunk = (vectors.T @ target)[:, None] / (values.clamp(min=0.0)[:, None] + penalties)
    return np.asarray((vectors @ shrunk).T.numpy())


def _margins(items: Items, solved: list[Float64]) -> Float64:
    """float64[Λ, n]: of each pair by the head that has not seen it."""
    margins = np.empty((len(_PENALTIES), len(items.chosen)))
    for rows in _blocks(items):
        found, fold = _differences(items, rows), items.fold[rows]
        for each in np.unique(fold):
            mine = np.flatnonzero(fold == each)
            margins[:, rows.start + mine] = solved[each] @ found[mine].T
    return margins


def _losses(items: Items, margins: Float64) -> tuple[Float64, Float64]:
    """Cross-entropy float64[Λ, S, P] of each prompt, summed over its pairs, and the size [Λ] of a typical margin."""
    spread = np.maximum(np.sqrt(np.square(margins).mean(axis=1)), 1e-300)
    prompts, count = items.prompt_of[items.chosen], len(items.prompts)
    losses = np.empty((len(_PENALTIES), len(_SCALES), count))
    for at, row in enumerate(margins / spread[:, None]):
        for number, scale in enumerate(_SCALES):
            # −p log σ(m) − (1−p) log σ(−m)
            loss = np.logaddexp(0.0, -scale * row) + (1.0 - items.p_chosen) * scale * row
            losses[at, number] = np.bincount(prompts, items.weight * loss, count)
    return losses, spread


def _pick(losses: Float64) -> tuple[int, int]:
    """Penalty and scale by losses [Λ, S, P]."""
    scale = losses.sum(axis=2).argmin(axis=1)
    each = losses[np.arange(len(losses)), scale]  # [Λ, P]
    extra = each - each[each.sum(axis=1).argmin()]
    error = extra.std(axis=1) * np.sqrt(extra.shape[1])
    at = int(np.flatnonzero(extra.sum(axis=1) <= error)[-1])
    return at, int(scale[at])


def _heads(weights: Float64) -> Heads:
    """A linear score as two units: silu(z) − silu(−z) = z."""
    w1 = np.stack([weights, -weights], axis=2).astype(np.float32)
    ends = np.tile(np.array([1.0, -1.0], np.float32), (len(weights), 1))
    return Heads(w1, np.zeros_like(ends), ends)
