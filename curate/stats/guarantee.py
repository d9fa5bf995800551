"""The rate at which accepted labels disagree with people, with exact confidence.

The labelled pairs must be a random sample of all pairs, or of each stratum, drawn without looking at the
outcome.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from curate.core.errors import CurateError

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
MOST_LABELS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """A bound on how often accepted labels disagree with people.

    With confidence 1 - delta, labels of pairs with confidence ≥ `threshold` disagree at most `alpha`.
    `threshold` is infinite where nothing can be accepted. `accepted` is the share of all pairs at or above
    it; `n`, `errors` are the labelled pairs there and how many disagree; `upper` their Clopper-Pearson bound;
    `labels_needed`: how many more labelled pairs would likely let some of the surest pairs be accepted (0
    when something is accepted, None when more labels would not help: the error there is too high).
    """

    alpha: float
    delta: float
    threshold: float
    accepted: float
    n: int
    errors: int
    upper: float
    labels_needed: int | None

    @property
    def holds(self) -> bool:
        return bool(np.isfinite(self.threshold))


@dataclass(frozen=True, slots=True, kw_only=True)
class StratifiedGuarantee:
    """One guarantee per stratum at delta / strata: all hold together with confidence 1 - delta."""

    alpha: float
    delta: float
    strata: dict[Hashable, Guarantee]
    accepted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRate:
    """An estimate in 0 … 1 with a two-sided interval at confidence 1 - delta."""

    estimate: float
    lower: float
    upper: float
    delta: float
    n: int


def clopper_pearson(errors: int, n: int, delta: float) -> tuple[float, float]:
    """One-sided exact bounds on a binomial rate, each at confidence 1 - delta (Clopper & Pearson 1934)."""
    from scipy.special import betaincinv  # scipy.stats has the same, and takes a second to import

    if not 0 <= errors <= n:
        raise CurateError(
            f"{errors} errors among {n} labels cannot be: errors must lie between 0 and the labels."
        )
    lower = 0.0 if errors == 0 else float(betaincinv(errors, n - errors + 1, delta))
    upper = 1.0 if errors == n else float(betaincinv(errors + 1, n - errors, 1 - delta))
    return lower, upper


def fewest_labels(alpha: float, delta: float, *, errors: int = 0) -> int:
    """Count the labels with `errors` errors that show a rate ≤ alpha: P(X ≤ errors | alpha) ≤ delta."""
    from scipy.special import bdtr

    check_level(alpha, delta)
    n = max(int(np.ceil(np.log(delta) / np.log1p(-alpha))), errors + 1)
    while bdtr(errors, n, alpha) > delta:
        n += 1
    return n


def build_refusal(alpha: float, delta: float, *, labels_needed: int | None) -> Guarantee:
    """Build the guarantee that accepts nothing; `labels_needed`: how many more labels would likely do, if any."""
    return Guarantee(
        alpha=alpha,
        delta=delta,
        threshold=np.inf,
        accepted=0.0,
        n=0,
        errors=0,
        upper=1.0,
        labels_needed=labels_needed,
    )


def certify_threshold(
    confidence: Float64, labelled: Int64, agrees: Bool, *, alpha: float, delta: float, grid: int = 100
) -> Guarantee:
    """The lowest threshold that fixed-sequence testing certifies (Jung et al. 2024, arXiv 2407.18370).

    `confidence` float64[Q] of all pairs; `labelled` int64[L] which of them people labelled; `agrees` bool[L]
    whether the label that the panel gives is theirs. Thresholds are quantiles of the confidence of all pairs,
    walked from strict to loose, from the first with labels enough to pass in spite of two errors (or with
    half of the labels, where that is fewer); the walk ends at the first whose exact upper bound exceeds
    alpha. Neither the grid nor its start looks at `agrees`, so testing each at level delta keeps the whole at
    delta.
    """
    check_level(alpha, delta)
    if len(labelled) != len(agrees):
        raise CurateError(
            f"{len(labelled)} labelled pairs have {len(agrees)} verdicts: give one verdict per pair."
        )
    sure = confidence[labelled]
    enough = max(fewest_labels(alpha, delta), min(fewest_labels(alpha, delta, errors=2), len(labelled) // 2))
    passed: tuple[float, int, int, float] | None = None
    for threshold in _list_thresholds(confidence, grid):
        above = sure >= threshold
        n, errors = int(above.sum()), int((above & ~agrees).sum())
        if n < enough:
            continue
        upper = clopper_pearson(errors, n, delta)[1]
        if upper > alpha:
            break
        passed = (float(threshold), n, errors, upper)
    if passed is None:
        needed = estimate_labels_for_some(confidence, sure, agrees, alpha, delta)
        return build_refusal(alpha, delta, labels_needed=needed)
    threshold, n, errors, upper = passed
    accepted = float(np.mean(confidence >= threshold))
    return Guarantee(
        alpha=alpha, delta=delta, threshold=threshold, accepted=accepted, n=n, errors=errors, upper=upper,
        labels_needed=0,
    )  # fmt: skip


def certify_strata(
    confidence: Float64,
    stratum: NDArray[np.generic],
    labelled: Int64,
    agrees: Bool,
    *,
    alpha: float,
    delta: float,
    grid: int = 100,
) -> StratifiedGuarantee:
    """A threshold per stratum. Bonferroni over the strata that have labels enough to be tested at all.

    `stratum` [Q]: the stratum of each pair, fixed before people's verdicts were seen. The union of what the
    strata accept disagrees at most alpha too, with confidence 1 - delta.
    """
    names, at = np.unique(stratum, return_inverse=True)
    count = np.bincount(at[labelled], minlength=len(names))
    testable = len(names)
    # Fewer tests need fewer labels each, so drop the poorest strata until the rest can all be tested.
    for n in np.sort(count):
        if n >= fewest_labels(alpha, delta / max(testable, 1)):
            break
        testable -= 1
    level = delta / max(testable, 1)
    strata: dict[Hashable, Guarantee] = {}
    accepted = 0.0
    for k, name in enumerate(names.tolist()):
        members = np.flatnonzero(at == k)
        here = at[labelled] == k
        index = np.searchsorted(members, labelled[here])
        tested = count[k] >= fewest_labels(alpha, level)
        strata[name] = certify_threshold(
            confidence[members],
            index if tested else index[:0],
            agrees[here] if tested else agrees[:0],
            alpha=alpha,
            delta=level,
            grid=grid,
        )
        accepted += strata[name].accepted * len(members)
    return StratifiedGuarantee(
        alpha=alpha, delta=delta, strata=strata, accepted=accepted / max(len(confidence), 1)
    )


def prediction_powered_error(
    confidence: Float64, labelled: Int64, agrees: Bool, *, delta: float = 0.1
) -> ErrorRate:
    """Estimate the disagreement rate over all pairs from few labels and the model's own error.

    That error is 1 - confidence, on all pairs. Prediction-powered inference with the variance-minimising weight λ
    (Angelopoulos et al. 2023, arXiv 2311.01453): mean over all of λ·f plus mean over labelled of (e - λ·f).
    Normal interval with Student's t; without errors, or without any label, the exact binomial interval, which then is
    the honest one.
    """
    from scipy.special import stdtrit

    n, total = len(labelled), len(confidence)
    error = (~agrees).astype(np.float64)
    exact = clopper_pearson(int(error.sum()), n, delta / 2) if n else (0.0, 1.0)
    if n < 2 or error.sum() in (0, n):
        estimate = float(error.mean()) if n else float("nan")
        return ErrorRate(estimate=estimate, lower=exact[0], upper=exact[1], delta=delta, n=n)
    predicted = 1 - confidence
    at = predicted[labelled]
    spread = float(np.var(predicted))
    covariance = float(np.cov(error, at, ddof=1)[0, 1])
    # Labels are part of the whole, so the finite population shrinks both terms alike.
    weight = float(np.clip(covariance / (spread * (1 + n / total)), 0, 1)) if spread > 0 else 0.0
    estimate = weight * float(predicted.mean()) + float(np.mean(error - weight * at))
    variance = float(np.var(error - weight * at, ddof=1)) / n + weight**2 * spread / total
    margin = float(stdtrit(n - 1, 1 - delta / 2)) * np.sqrt(variance)
    return ErrorRate(
        estimate=float(np.clip(estimate, 0, 1)),
        lower=float(max(estimate - margin, 0)),
        upper=float(min(estimate + margin, 1)),
        delta=delta,
        n=n,
    )


@cache
def count_labels_needed(rate: float, *, alpha: float, delta: float, power: float = 0.8) -> int | None:
    """Labels after which a true disagreement `rate` below alpha is certified with probability `power`.

    None when rate ≥ alpha, or when more than 100,000 would be needed.
    """
    from scipy.special import bdtr, bdtrik

    check_level(alpha, delta)
    if rate >= alpha:
        return None
    low, high = fewest_labels(alpha, delta), MOST_LABELS

    def enough(n: int) -> bool:
        # Most errors among n that still pass: P(X ≤ k | alpha) ≤ delta.
        most = int(np.ceil(bdtrik(delta, n, alpha)))
        while most >= 0 and bdtr(most, n, alpha) > delta:
            most -= 1
        return most >= 0 and bool(bdtr(most, n, rate) >= power)

    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def estimate_labels_for_some(
    confidence: Float64, sure: Float64, agrees: Bool, alpha: float, delta: float
) -> int | None:
    """More labels, drawn as before, that would likely certify some share of the surest pairs; the cheapest share.

    The rate of a share is what its labels say, with two more at half of alpha: without labels that is the guess. Where
    all shares look too wrong, but some may only have been unlucky, those are taken to be just good enough.
    """
    counted: list[tuple[float, int, int]] = []
    shares = np.arange(1, 11) / 10
    cuts = np.quantile(confidence, 1 - shares) if len(confidence) else ()
    for share, cut in zip(shares, cuts, strict=False):
        above = sure >= cut
        n, errors = int(above.sum()), int((above & ~agrees).sum())
        if n == 0 or clopper_pearson(errors, n, delta)[0] < alpha:
            counted.append((float(share), n, errors))
    rates = [round((errors + alpha) / (n + 2), 3) for _, n, errors in counted]
    if all(rate >= alpha for rate in rates):
        rates = [0.75 * alpha] * len(counted)
    needed = [count_labels_needed(rate, alpha=alpha, delta=delta) for rate in rates]
    more = [
        max(int(np.ceil((total - n) / share)), 1)
        for total, (share, n, _) in zip(needed, counted, strict=True)
        if total is not None
    ]
    return min(more, default=None)


def _list_thresholds(confidence: Float64, grid: int) -> Float64:
    if len(confidence) == 0:
        return np.zeros(0)
    steps: Float64 = np.unique(np.quantile(confidence, np.linspace(0, 1, grid + 1), method="higher"))
    return steps[::-1]


def check_level(alpha: float, delta: float) -> None:
    """Raise `CurateError` where a share or a chance is none."""
    if not (0 < alpha < 1 and 0 < delta < 1):
        raise CurateError(
            f"alpha = {alpha} and delta = {delta} must both lie between 0 and 1, for example 0.1 and 0.1."
        )
