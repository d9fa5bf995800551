"""One reward from M: the mean, or something that a single over-generous model cannot win."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from curate.aggregate.votes import Float64, Int64
from curate.core.errors import CurateError

Combination = Literal["mean", "median", "minimum", "mean-sd", "log-sigmoid"]
COMBINATIONS: tuple[str, ...] = get_args(Combination)


def combine_rewards(scores: Float64, how: Combination = "mean", *, risk: float = 1.0) -> Float64:
    """float64[R] from `scores` float64[R, M] on a common scale; NaN entries are left out, NaN where all are.

    | `how`         | reward | |
    | ---           | ---    | --- |
    | `mean`, `median` | | |
    | `minimum`     | the least of the models that scored the response | worst case (Coste et al. 2024) |
    | `mean-sd`     | mean − `risk` · sd over the models (0 for one model) | after their uncertainty-weighted reward,
      which takes off the variance; the sd has the unit of a reward |
    | `log-sigmoid` | Σ log σ(score), times M over the models present | logical AND: a response has to be good by every
      model, and being better than good by one earns nothing (Wang et al. 2024, "Transforming and Combining Rewards");
      take off each prompt's reference reward first (`fit_scale`), since σ(0) is where "good" begins |
    """
    if scores.ndim != 2:
        raise CurateError(
            f"combine: scores have {scores.ndim} dimensions; give one row per response, one column per model."
        )
    if how not in COMBINATIONS:
        raise CurateError(
            f"combine: there is no combination {how!r}; choose one of {', '.join(COMBINATIONS)}."
        )
    if not risk >= 0.0:
        raise CurateError(f"combine: risk is {risk}; give a number that is not negative.")
    present = ~np.isnan(scores)
    some = present.any(axis=1)
    result = np.full(len(scores), np.nan)
    if some.any():
        result[some] = _combine_scores(scores[some], present[some].sum(axis=1), how, risk)
    return result


def _combine_scores(scores: Float64, count: Int64, how: str, risk: float) -> Float64:
    reward: Float64
    if how == "median":
        reward = np.nanmedian(scores, axis=1)
    elif how == "minimum":
        reward = np.nanmin(scores, axis=1)
    elif how == "mean-sd":
        mean = np.nanmean(scores, axis=1)
        squares = np.nansum((scores - mean[:, None]) ** 2, axis=1)
        reward = mean - risk * np.sqrt(squares / np.maximum(count - 1, 1))
    elif how == "log-sigmoid":
        nothing = np.where(np.isnan(scores), np.inf, scores)  # log σ(∞) = 0
        reward = -np.logaddexp(0.0, -nothing).sum(axis=1) * scores.shape[1] / count
    else:
        reward = np.nanmean(scores, axis=1)
    return reward
