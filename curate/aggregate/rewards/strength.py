"""How strong a labelled preference is, by reward models that never trained on it (Secrets of RLHF II, 2401.06080)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.votes import Float64, Int32, Int64
from curate.core.errors import CurateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """Of Q labelled pairs: `mean`, `sd` float64[Q] of the margin (chosen less rejected) over the `models` int64[Q] that
    did not train on the pair; `p_right` float64[Q], their mean σ(margin): the probability that the label is right, if
    margins are in logits. All NaN (and 0 models) where every model trained on the pair.
    """

    mean: Float64
    sd: Float64
    p_right: Float64
    models: Int64


def folds_by_prompt(prompt: Int32, folds: int, *, seed: int = 0) -> Int64:
    """int64[Q], which of `folds` each pair belongs to: pairs of one prompt together, so that none leaks into training.

    Model k trains on the pairs of all folds but k, and `trained[:, k] = fold != k`.
    """
    if folds < 2:
        raise CurateError(
            f"folds_by_prompt: {folds} folds; give 2 or more, or no model is left to score a pair."
        )
    names, group = np.unique(prompt, return_inverse=True)
    if len(names) < folds:
        raise CurateError(f"folds_by_prompt: {len(names)} prompts for {folds} folds; give fewer folds.")
    fold = np.arange(len(names)) % folds
    result: Int64 = np.random.default_rng(seed).permutation(fold)[group]
    return result


def preference_strength(margins: Float64, trained: NDArray[np.bool_] | None = None) -> Strength:
    """Means and deviations over the models that may speak.

    `margins` float64[Q, M], score of the chosen response less that of the rejected one, NaN where there is none;
    `trained` bool[Q, M]: the model saw this pair in training, so its margin says nothing and is left out.
    """
    if trained is not None and trained.shape != margins.shape:
        raise CurateError(
            f"preference_strength: `trained` has shape {trained.shape} and `margins` {margins.shape}: give one shape."
        )
    spoke = ~np.isnan(margins) if trained is None else ~np.isnan(margins) & ~trained
    models = spoke.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(spoke, margins, 0.0).sum(axis=1) / models
        square = np.where(spoke, margins - mean[:, None], 0.0) ** 2
        sd = np.where(
            models > 1, np.sqrt(square.sum(axis=1) / np.maximum(models - 1, 1)), np.where(models, 0.0, np.nan)
        )
        right = np.where(spoke, 1.0 / (1.0 + np.exp(-np.clip(margins, -700, 700))), 0.0).sum(axis=1) / models
    return Strength(mean=mean, sd=sd, p_right=right, models=models)
