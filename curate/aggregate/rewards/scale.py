"""A common scale for reward models, whose zero and unit mean nothing from one model to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.votes import Float64, Int32
from curate.core.errors import CurateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Unit of each model (`unit` float64[M]), and the `quantile` of a prompt that becomes 0."""

    unit: Float64
    quantile: float

    def __call__(self, scores: Float64, prompt: Int32) -> Float64:
        """float64[R, M]: units above the reference reward of the same prompt and model; NaN stays NaN.

        A reward model knows its scores up to a constant per prompt (Bradley–Terry), so only this is comparable.
        """
        if scores.shape != (len(prompt), len(self.unit)):
            raise CurateError(
                f"scale: scores of shape {scores.shape} for {len(prompt)} responses and {len(self.unit)} models; "
                "give one row per response and one column per model."
            )
        return (scores - _find_references(scores, prompt, self.quantile)) / self.unit


def fit_scale(scores: Float64, prompt: Int32, *, quantile: float = 0.5) -> Scale:
    """The unit of each model is its standard deviation within prompts: no labels are needed.

    `scores` float64[R, M], `prompt` int32[R] in any order. Wang et al. (2024) take 0.85 or so as the reference
    `quantile`: "good" is then what few responses are. A model that scores all alike keeps its unit.
    """
    if not 0.0 <= quantile <= 1.0:
        raise CurateError(f"fit_scale: quantile is {quantile}; give a number from 0 to 1.")
    _, group = np.unique(prompt, return_inverse=True)
    unit = np.ones(scores.shape[1])
    for m in range(scores.shape[1]):
        there = ~np.isnan(scores[:, m])
        score, of = scores[there, m], group[there]
        count = np.bincount(of, minlength=1)
        mean = np.bincount(of, score, len(count)) / np.maximum(count, 1)
        freedom = int((count - 1)[count > 0].sum())
        square = float(((score - mean[of]) ** 2).sum())
        if freedom > 0 and square > 0.0:
            unit[m] = np.sqrt(square / freedom)
    return Scale(unit=unit, quantile=quantile)


def _find_references(scores: Float64, prompt: Int32, quantile: float) -> Float64:
    """The reference reward of each response's prompt, float64[R, M]."""
    order = np.argsort(prompt, kind="stable")
    starts = np.flatnonzero(np.diff(prompt[order], prepend=-1))
    result = np.full(scores.shape, np.nan)
    for rows in np.split(order, starts[1:]) if len(order) else []:
        part = scores[rows]
        known = ~np.isnan(part).all(axis=0)
        result[np.ix_(rows, known)] = np.nanquantile(part[:, known], quantile, axis=0)
    return result
