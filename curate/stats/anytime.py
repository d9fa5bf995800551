"""A bound on the error of accepted labels that holds at every look at once: tests by betting.

A gambler bets, label after label, that the accepted labels disagree with people less than alpha. If they do not, the
wealth is a supermartingale, so it ever reaches 1/delta times its start with probability delta at most (Ville 1939). The
promise is printed once the wealth is there, whenever anybody looks. The bets are a fixed mixture of stakes, as of
Waudby-Smith and Ramdas (2023, arXiv 2010.09686); labels are drawn without replacement, as of their NeurIPS 2020 paper
(arXiv 2006.04347): what is left of a finite set is known better with each label.

A label gains `alpha` where it agrees, loses `1 - alpha` where it disagrees, and gains 0 where people see no difference
and such labels do not count. A set has an error rate above alpha exactly if its gains sum to less than 0.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curate.core.errors import CurateError
from curate.stats.guarantee import (
    Guarantee,
    StratifiedGuarantee,
    build_refusal,
    check_level,
    estimate_labels_for_some,
)

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

BETS = ((0.1, 0.2), (0.35, 0.3), (0.6, 0.4))
"""(error rate as a share of alpha that a bet grows fastest at, share of the wealth that is bet so)."""
RESERVE = 1.0 - sum(share for _, share in BETS)
"""Share of the wealth that is never bet: what a new revision of the labels can start with at least."""
CHAINS = ((0.5, 0.8), (0.2, 0.2))
"""(share of the pairs that the strictest threshold accepts, share of the wealth) of each sequence of thresholds."""
STEP = 0.02
_LUCK = 0.85
"""Errors come in clumps, and a promise is made where they have been rarest so far: as a share of the error rate."""
_EXTRA = 0.8
"""A mixture that need not know the error beforehand costs labels: as many as a delta smaller by this factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnytimeGuarantee:
    """The promise that the labels so far allow, and what the test leaves to a later one.

    `lead`: largest factor, over the sequences of thresholds, by which the wealth on their first threshold without a
    promise has grown, infinite where all have one. `left`: the least that is left of a unit of wealth on any threshold
    without a promise, at most 1.
    """

    guarantee: StratifiedGuarantee
    lead: float
    left: float


def compute_gains(agrees: NDArray[np.int8], alpha: float) -> Float64:
    """Compute the gain of each label: float64[n] of 1 (agrees), -1 (disagrees) and 0 (does not count)."""
    return np.select([agrees > 0, agrees < 0], [alpha, alpha - 1.0], 0.0)


def grow_wealth(gains: Float64, size: int, alpha: float, total: float = 0.0) -> Float64:
    """Compute the wealth after each label, float64[n + 1] from 1 on, if the gains of the whole set sum to `total`.

    Where the true sum is at most `total`, this is a non-negative supermartingale; it falls with `total`.

    Args:
        gains: float64[n], in the order in which the labels were drawn.
        size: Number of pairs of the set, of which the n are drawn without replacement.
        alpha: Largest error rate that is promised.
        total: Sum of the gains of the whole set, at least 0.
    """
    n = len(gains)
    if n > size:
        raise CurateError(f"{n} labels of a set of {size} pairs cannot be: each pair is drawn once.")
    # What the labels still to come gain on average.
    mean = (total - np.concatenate(([0.0], np.cumsum(gains)[:-1]))) / (size - np.arange(n)) if n else gains
    least = 1.0 - alpha + mean  # by how much the worst label is below that mean
    refuted = least < -1e-9  # so little is left that the sum cannot be so low any more
    wealth = np.full(n, RESERVE)
    with np.errstate(divide="ignore"):
        for place, share in BETS:
            # No stake may lose more than everything.
            stake = np.minimum((1.0 - place) / (1.0 - alpha), 1.0 / np.maximum(least, 1e-12))
            growth = np.log(np.maximum(1.0 + stake * (gains - mean), 0.0))
            wealth += share * np.exp(np.minimum(np.cumsum(growth), 600.0))
    if refuted.any():
        wealth[int(np.argmax(refuted)) :] = np.inf
    return np.concatenate(([1.0], wealth))


def certify_anytime(
    confidence: Float64,
    drawn: Int64,
    agrees: NDArray[np.int8],
    *,
    alpha: float,
    delta: float,
    wealth: float = 1.0,
    dropped: Bool | None = None,
) -> AnytimeGuarantee:
    """Find the lowest threshold that the labels so far allow, however often this is asked.

    Thresholds are quantiles of the confidence, walked from strict to loose: with the first one without a promise a
    sequence ends, so only the first that deserves none must be guarded against, and no delta is shared among them. The
    sequences start at fixed shares of the pairs. The promise is about all pairs above the threshold, as they were
    labelled when the test began; a threshold passes only if it is shown for those too that are neither drawn nor
    dropped.

    Args:
        confidence: float64[Q] of all pairs, which must not depend on the labels `drawn`.
        drawn: int64[n], pairs in the order in which they were drawn at random, without replacement.
        agrees: int8[n], 1 where people agree with the label, -1 where they disagree, 0 where it does not count.
        alpha: Largest error rate that is promised.
        delta: Probability that a false promise is ever made.
        wealth: Share of delta that this test may use.
        dropped: bool[Q], pairs that are not accepted whatever their confidence, and may have been right.
    """
    check_level(alpha, delta)
    if len(drawn) != len(agrees):
        raise CurateError(
            f"{len(drawn)} labelled pairs have {len(agrees)} verdicts: give one verdict per pair."
        )
    ordered = np.sort(confidence)
    sure, gains = confidence[drawn], compute_gains(agrees, alpha)
    lost = np.zeros(0) if dropped is None else confidence[dropped]
    chains = _list_chains(ordered)
    best: tuple[float, int, Float64, float] | None = None
    lead, left = 0.0, 1.0
    for thresholds, share in chains:
        needed = 1.0 / (delta * wealth * share)
        passed = True
        for threshold in thresholds.tolist():
            size = len(ordered) - int(np.searchsorted(ordered, threshold))
            above = gains[sure >= threshold]
            current = float(grow_wealth(above, size, alpha)[-1])
            if passed and _is_shown(above, size, alpha, needed, int((lost >= threshold).sum())):
                if best is None or threshold < best[0]:
                    best = (threshold, size, above, needed)
                continue
            if passed:
                lead, passed = max(lead, current), False
            left = min(left, current)
        if passed and len(thresholds):
            lead = np.inf
    certified = _build_guarantee(confidence, drawn, agrees, best, alpha, delta * wealth)
    if certified.labels_needed:
        more = _count_labels_left_over(
            ordered, sure, gains, chains, certified.labels_needed, alpha, delta * wealth
        )
        certified = replace(certified, labels_needed=more)
    return AnytimeGuarantee(
        guarantee=StratifiedGuarantee(
            alpha=alpha, delta=delta, strata={0: certified}, accepted=certified.accepted
        ),
        lead=lead,
        left=left,
    )


def certify_strata_anytime(
    confidence: Float64,
    stratum: NDArray[np.generic],
    drawn: Int64,
    agrees: NDArray[np.int8],
    *,
    alpha: float,
    delta: float,
    wealth: float = 1.0,
    dropped: Bool | None = None,
) -> AnytimeGuarantee:
    """Find a threshold in each stratum; a stratum's share of the wealth is its share of the pairs.

    The union of what the strata accept disagrees at most alpha too.

    Args:
        confidence: float64[Q] of all pairs.
        stratum: [Q], the stratum of each pair, fixed before people's verdicts were seen.
        drawn: int64[n], as for `certify_anytime`.
        agrees: int8[n], as for `certify_anytime`.
        alpha: Largest error rate that is promised in each stratum.
        delta: Probability that a false promise is ever made in any stratum.
        wealth: Share of delta that this test may use.
        dropped: bool[Q], as for `certify_anytime`.
    """
    names, index = np.unique(stratum, return_inverse=True)
    strata: dict[Hashable, Guarantee] = {}
    accepted, lead, left = 0.0, 0.0, 1.0
    for k, name in enumerate(names.tolist()):
        members = np.flatnonzero(index == k)
        inside = index[drawn] == k
        part = certify_anytime(
            confidence[members],
            np.searchsorted(members, drawn[inside]),
            agrees[inside],
            alpha=alpha,
            delta=delta,
            wealth=wealth * len(members) / len(confidence),
            dropped=None if dropped is None else dropped[members],
        )
        strata[name] = part.guarantee.strata[0]
        accepted += strata[name].accepted * len(members)
        lead, left = max(lead, part.lead), min(left, part.left)
    return AnytimeGuarantee(
        guarantee=StratifiedGuarantee(
            alpha=alpha, delta=delta, strata=strata, accepted=accepted / max(len(confidence), 1)
        ),
        lead=lead,
        left=left,
    )


def _list_chains(ordered: Float64) -> list[tuple[Float64, float]]:
    """List the sequences of thresholds with their shares; equal ones are one."""
    if not len(ordered):
        return []
    chains = []
    for start, share in CHAINS:
        shares = np.arange(start, 1.0 + STEP / 2, STEP)
        cuts = np.quantile(ordered, np.clip(1.0 - shares, 0.0, 1.0), method="lower")
        chains.append((np.unique(cuts)[::-1], share))
    if all(np.array_equal(chain, chains[0][0]) for chain, _ in chains):
        return [(chains[0][0], 1.0)]
    return chains


def _is_shown(gains: Float64, size: int, alpha: float, needed: float, dropped: int) -> bool:
    """Tell whether the wealth was ever enough, against a set whose pairs neither drawn nor dropped are too wrong.

    No promise stands while more of its labels disagree than alpha, even if there was wealth enough before: that would
    be right, but only if the labels are drawn at random indeed.
    """
    total = float(gains.sum())
    if total < 0:
        return False
    return bool(grow_wealth(gains, size, alpha, total + alpha * dropped).max() >= needed)


def _count_labels_left_over(
    ordered: Float64,
    sure: Float64,
    gains: Float64,
    chains: list[tuple[Float64, float]],
    least: int,
    alpha: float,
    level: float,
) -> int:
    """Count the labels more, at least `least`, that would likely leave pairs enough to make a promise about.

    A promise must hold for the pairs without labels, and in a small set few are left by the time that there are labels
    enough. Labels to come are taken to disagree as those so far, with two more at half of alpha, evenly spread. Where
    nine of ten pairs would not do, it is one more than there are pairs.
    """
    left = len(ordered) - len(gains)
    tried = np.unique(np.ceil(least * 1.1 ** np.arange(32))).astype(np.int64)
    for more in tried[tried <= 0.9 * left].tolist():
        for thresholds, share in chains:
            size = len(ordered) - int(np.searchsorted(ordered, thresholds[0]))  # a sequence must begin here
            above = gains[sure >= thresholds[0]]
            coming = min(round(more * (size - len(above)) / left), size - len(above))
            rate = _LUCK * min((np.count_nonzero(above < 0) + alpha) / (len(above) + 2), 0.75 * alpha)
            wrong = np.diff(np.floor(np.arange(coming + 1) * rate)) > 0
            path = np.concatenate((above, np.where(wrong, alpha - 1.0, alpha)))
            if _is_shown(path, size, alpha, 1.0 / (level * share), 0):
                return int(more)
    return max(least, len(ordered) + 1)


def _bound_error(gains: Float64, size: int, alpha: float, needed: float) -> float:
    """Bound the error rate of the set: the rate at the largest sum of gains that the labels refute."""
    low, high = max(float(gains.sum()), 0.0), alpha * size
    for _ in range(20):
        middle = (low + high) / 2
        enough = grow_wealth(gains, size, alpha, middle).max() >= needed
        low, high = (middle, high) if enough else (low, middle)
    return alpha - low / size


def _build_guarantee(
    confidence: Float64,
    drawn: Int64,
    agrees: NDArray[np.int8],
    best: tuple[float, int, Float64, float] | None,
    alpha: float,
    level: float,
) -> Guarantee:
    if best is None:
        counted = agrees != 0
        sure = confidence[drawn[counted]]
        needed = estimate_labels_for_some(confidence, sure, agrees[counted] > 0, alpha, level * _EXTRA)
        if needed is not None:
            needed = max(
                needed, len(drawn) // 10
            )  # labels enough and no promise: the next few will hardly do
        return build_refusal(alpha, level, labels_needed=needed)
    threshold, size, gains, needed_wealth = best
    return Guarantee(
        alpha=alpha,
        delta=level,
        threshold=threshold,
        accepted=size / len(confidence),
        n=int(np.count_nonzero(gains)),
        errors=int((gains < 0).sum()),
        upper=_bound_error(gains, size, alpha, needed_wealth),
        labels_needed=0,
    )
