"""What to do with a labelled pair whose strength is known: keep, drop, flip, soften, or ask for a margin.

By Secrets of RLHF II (2401.06080): labels that strength contradicts most are mostly wrong, and flipping them helps;
those around zero are coin tosses; the strongest are what a reward model overfits, and a softer label holds it back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.rewards.strength import Strength
from curate.aggregate.votes import Float64
from curate.core.errors import CurateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """For Q pairs: `keep`, `flip` bool[Q] (a dropped pair is never flipped); `smoothing` float64[Q], probability given
    to the other side in L = -(1-s) log σ(Δ) - s log σ(-Δ); `margin` float64[Q] ≥ 0 for L = -log σ(Δ - margin), in the
    direction of the treated label. Pairs without a strength are kept as they are, with margin 0."""

    keep: NDArray[np.bool_]
    flip: NDArray[np.bool_]
    smoothing: Float64
    margin: Float64


def treat_by_quantile(
    strength: Strength, *, flip: float = 0.0, drop: float = 0.0, soften: float = 0.0, smoothing: float = 0.1
) -> Treatment:
    """Shares of the pairs by mean margin: the weakest `flip` are flipped, the next `drop` dropped, the strongest
    `soften` smoothed. A pair is flipped only if its mean margin is below 0: a share is a guess about the data, which a
    positive margin contradicts; such pairs are dropped."""
    shares = (flip, drop, soften)
    if min(shares) < 0.0 or sum(shares) > 1.0:
        raise CurateError(
            f"treat_by_quantile: flip {flip}, drop {drop}, soften {soften}; give shares that are not negative and "
            "sum to at most 1."
        )
    known = strength.models > 0
    n = int(known.sum())
    place = np.full(len(known), np.nan)
    place[np.flatnonzero(known)[np.argsort(strength.mean[known], kind="stable")]] = np.arange(n)
    lowest, low, high = np.floor(np.array([flip, flip + drop, 1.0 - soften]) * n + 1e-9)
    weakest, top = known & (place < lowest), known & (place >= high)
    contradicted = weakest & (strength.mean < 0)
    dropped = (known & (place < low)) & ~contradicted
    return _build_treatment(strength, dropped, contradicted, top & ~dropped & ~contradicted, smoothing)


def treat_by_posterior(
    strength: Strength,
    *,
    flip_below: float = 0.2,
    keep_above: float = 0.5,
    soften_above: float = 1.0,
    smoothing: float = 0.1,
) -> Treatment:
    """By `p_right`: below `flip_below` flipped, below `keep_above` dropped, above `soften_above` smoothed."""
    if not 0.0 <= flip_below <= 0.5 or not flip_below <= keep_above <= soften_above <= 1.0:
        raise CurateError(
            f"treat_by_posterior: flip_below {flip_below}, keep_above {keep_above}, soften_above {soften_above}; give "
            "rising probabilities, flip_below at most 0.5."
        )
    known = strength.models > 0
    flipped = known & (strength.p_right < flip_below)
    dropped = known & ~flipped & (strength.p_right < keep_above)
    return _build_treatment(strength, dropped, flipped, known & (strength.p_right > soften_above), smoothing)


def _build_treatment(
    strength: Strength,
    dropped: NDArray[np.bool_],
    flipped: NDArray[np.bool_],
    softened: NDArray[np.bool_],
    smoothing: float,
) -> Treatment:
    if not 0.0 <= smoothing <= 0.5:
        raise CurateError(f"treatment: smoothing is {smoothing}; give a number from 0 to 0.5.")
    towards = np.where(flipped, -1.0, 1.0) * np.nan_to_num(strength.mean)
    return Treatment(
        keep=~dropped,
        flip=flipped,
        smoothing=np.where(softened, smoothing, 0.0),
        margin=np.maximum(towards, 0.0),
    )
