"""Pairs on which reward models contradict each other, or the label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.votes import Float64
from curate.core.errors import CurateError


def measure_agreement(margins: Float64) -> Float64:
    """float64[Q], the share of the models that take the side of their majority; NaN where none takes a side.

    `margins` float64[Q, M]; 0 and NaN take no side.
    """
    ahead, behind = (margins > 0).sum(axis=1), (margins < 0).sum(axis=1)
    sided = ahead + behind
    share: Float64 = np.divide(
        np.maximum(ahead, behind), sided, out=np.full(len(margins), np.nan), where=sided > 0
    )
    return share


def select_agreeing_pairs(
    margins: Float64, *, least: float = 1.0, outcome: Float64 | None = None
) -> NDArray[np.bool_]:
    """bool[Q], the pairs on which at least `least` of the models agree, and with the label where there is one.

    `outcome` float64[Q] in {0, ½, 1}, the label for a; ½ and NaN contradict nobody. `least` 1: all agree.
    """
    if not 0.5 <= least <= 1.0:
        raise CurateError(f"without_conflict: least is {least}; give a share from 0.5 to 1.")
    kept: NDArray[np.bool_] = np.nan_to_num(measure_agreement(margins)) >= least - 1e-12
    if outcome is not None:
        side = np.sign((margins > 0).sum(axis=1) - (margins < 0).sum(axis=1))
        kept &= ~(side * np.nan_to_num(np.sign(outcome - 0.5)) < 0)
    return kept
