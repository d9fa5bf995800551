"""EM for the panel model: priors that annotators share, labels of people clamped."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.annotators.pairs import PairTable, count_outcomes, take
from curate.aggregate.annotators.panel_kernels import (
    NU,
    expectation,
    length_slope_sums,
    log_prior_of_length,
    maximise,
    renew,
    vote_log_probability,
)
from curate.aggregate.kernel import over_slices
from curate.aggregate.votes import Float32, Float64, Int8

LENGTH_BINS = np.array([-1.5, -0.6, 0.0, 0.6, 1.5])
_LENGTH_EDGES = np.array([-1.0, -0.3, 0.3, 1.0])
_PRIOR_MEAN = np.array([1.5, 0.0, -1.0, 1.0, 0.0])
_PRIOR_SD = np.array([1.0, 1.0, 1.5, 1.0, 0.5])
_PRIOR_STRENGTH = 3.0
_LABEL_LOG_ODDS = 4.0
_NEVER = -20.0
_HABIT_ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelParameters:
    """What EM learns about A annotators; enough for a refit on new votes to start warm.

    `value` float64[A, 5] is (κ, β, ν, δ, γ) of `panel_kernels`; `mean`, `variance` float64[5]: the Gaussian
    prior that all annotators share.
    """

    value: Float64
    mean: Float64
    variance: Float64
    tie_prior: float
    length_slope: float

    @staticmethod
    def start(size: int, tie_prior: float) -> PanelParameters:
        mean = _PRIOR_MEAN.copy()
        if tie_prior == 0:
            # Mass on a tie that nobody ever voted would be given back for every gain in ability.
            mean[NU] = _NEVER
        return PanelParameters(
            value=np.tile(mean, (size, 1)),
            mean=mean,
            variance=_PRIOR_SD**2,
            tie_prior=tie_prior,
            length_slope=0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelState:
    """A fit: parameters, posterior float64[Q, 3] of (b, tie, a), log-odds float64[Q] that votes alone give
    for a."""

    parameters: PanelParameters
    posterior: Float64 = field(repr=False)
    evidence: Float64 = field(repr=False)
    trace: Float64
    converged: bool


class PanelData:
    """The arrays of one set of pairs that stay the same over the iterations."""

    def __init__(self, table: PairTable, discount: Float64) -> None:
        self.table = table
        self.discount = discount
        self.size = len(table.annotators)
        self.ties = int(bool(np.any(table.outcome == 0) or np.any(table.gold == 0)))
        self.centre, self.length_bin = _length_bins(table)
        self.has_length = len(self.centre) > 1
        has_order = bool(np.any(table.shown != 0))
        self.free = np.array([1, has_order, self.ties, self.ties, self.has_length], np.int8)
        self.gold = _gold_log_odds(table)
        self.tie_prior = _tie_prior(table) if self.ties else 0.0
        self.seen = np.bincount(table.annotator, minlength=self.size) > 0
        self.shards = int(np.clip(4_000_000 // max(self.size * 27 * len(self.centre), 1), 1, 16))

    def expect(
        self, log_prior: Float64, parameters: PanelParameters, discount: Float64 | None = None
    ) -> tuple[Float64, Float64, float]:
        t = self.table
        return expectation(
            t.offsets, t.annotator, t.shown, t.outcome, t.weight, self.length_bin, log_prior,
            vote_log_probability(parameters.value, self.centre),
            self.discount if discount is None else discount, self.ties, self.shards,
        )  # fmt: skip

    def renew(
        self, posterior: Float64, log_prior: Float64, parameters: PanelParameters
    ) -> tuple[Float64, float, float]:
        """The E-step in place: counts, log-likelihood, largest change of a posterior."""
        t = self.table
        return renew(
            posterior, t.offsets, t.annotator, t.shown, t.outcome, t.weight, self.length_bin, log_prior,
            vote_log_probability(parameters.value, self.centre), self.discount, self.ties, self.shards,
        )  # fmt: skip

    def log_prior(self, parameters: PanelParameters, into: Float64) -> None:
        """What is known of every pair before the judges vote, float64[Q, 3], people's labels included."""
        difference, slope, tie = self.table.length_difference, parameters.length_slope, parameters.tie_prior
        marks = np.linspace(0, len(difference), self.shards + 1).astype(np.int64)

        def fill(first: int, last: int) -> None:
            part = slice(marks[first], marks[last])
            log_prior_of_length(difference[part], slope, tie, self.gold[part], into[part])

        over_slices(fill, np.ones(self.shards))

    def habits(self, posterior: Float64) -> Float64:
        """Parameters float64[A, 5] of every annotator's votes given the truth of every pair."""
        t = self.table
        with np.errstate(divide="ignore"):
            log_posterior = np.log(posterior)
        ties = int(bool(np.any(posterior[:, 1] > 0)))
        silent = np.zeros((self.size, 3, len(self.centre), 3, 3))
        counts = expectation(
            t.offsets, t.annotator, t.shown, t.outcome, t.weight, self.length_bin, log_posterior, silent,
            self.discount, ties, self.shards,
        )[1]  # fmt: skip
        start = PanelParameters.start(self.size, self.tie_prior)
        value, mean, variance = start.value, start.mean, start.variance
        for _ in range(_HABIT_ROUNDS):
            value, spread = maximise(counts, self.centre, value, mean, 1 / variance, self.free, 5)
            mean, variance = _hyperparameters(value, spread, mean, self.seen, self.free)
        return value


def fit_panel(
    data: PanelData,
    *,
    start: PanelParameters | None = None,
    max_iterations: int = 200,
    tolerance: float = 1e-4,
) -> PanelState:
    """EM until no posterior moves by more than `tolerance` in a step of EM; every third step is a leap (`_leap`), taken
    back where it lowers the likelihood. `trace` is exact where every discount is 1."""
    now = start or PanelParameters.start(data.size, data.tie_prior)
    posterior: Float64 = np.zeros((data.table.n_pairs, 3))
    prior: Float64 = np.zeros_like(posterior)
    trace: list[float] = []
    converged = False
    plain: list[PanelParameters] = []  # points that EM itself reached, since the last jump
    fallback: PanelParameters | None = None
    for _ in range(max_iterations):
        data.log_prior(now, prior)
        counts, likelihood, change = data.renew(posterior, prior, now)
        objective = likelihood + _log_penalty(now, data.seen)
        if fallback is not None and not objective >= trace[-1]:
            now, fallback = fallback, None
            continue
        trace.append(objective)
        if change < tolerance and fallback is None:
            converged = True
            break
        plain.append(now)
        after = _maximise(data, now, posterior, counts)
        now, fallback = after, None
        if len(plain) == 2:
            now, fallback = _leap(plain[0], plain[1], after, data.seen), after
            plain = []
    return PanelState(
        parameters=now,
        posterior=posterior,
        evidence=_votes_alone(posterior, prior),
        trace=np.array(trace),
        converged=converged,
    )


def _leap(
    first: PanelParameters, second: PanelParameters, third: PanelParameters, seen: NDArray[np.bool_]
) -> PanelParameters:
    """Where three points of EM lead to: SQUAREM, scheme S3 (Varadhan & Roland 2008). EM itself if they do not say."""

    def flat(at: PanelParameters) -> Float64:
        return np.concatenate((at.value[seen].ravel(), at.mean, np.log(at.variance), [at.length_slope]))

    start, step = flat(first), flat(second) - flat(first)
    bend = flat(third) - flat(second) - step
    curvature = float(np.sqrt(bend @ bend))
    ratio = float(np.sqrt(step @ step)) / curvature if curvature > 0 else 1.0
    if ratio <= 1.0:
        return third
    moved = start + 2 * ratio * step + ratio**2 * bend
    k, value = len(third.mean), third.value.copy()
    size = value[seen].size
    value[seen] = moved[:size].reshape(-1, k)
    return PanelParameters(
        value=value,
        mean=moved[size : size + k],
        variance=np.minimum(np.exp(moved[size + k : size + 2 * k]), _PRIOR_SD**2),
        tie_prior=third.tie_prior,
        length_slope=float(moved[-1]),
    )


def fit_anchored(
    data: PanelData, taught: Float64, *, max_iterations: int = 200, tolerance: float = 1e-4
) -> PanelState:
    """As `fit_panel`, but habits are learnt against a given truth, `taught` float64[Q, 3] of (b, tie, a).

    Where annotators err together, EM would follow the largest cluster away from the truth; so the truth that
    teaches is the discriminant that knows of the clusters, and the annotators' votes, discounted, are weighed
    once at the end. `trace` is the likelihood of the votes given that truth.
    """
    now = PanelParameters.start(data.size, data.tie_prior)
    with np.errstate(divide="ignore"):
        log_taught = np.log(taught) + data.gold
    trace: list[float] = []
    converged = False
    silence = np.zeros(data.size)
    for _ in range(max_iterations):
        posterior, counts, _ = data.expect(log_taught, now, silence)
        after = _maximise(data, now, posterior, counts)
        change = float(np.max(np.abs(after.value - now.value), initial=0))
        now = after
        trace.append(data.expect(log_taught, now, np.ones(data.size))[2] + _log_penalty(now, data.seen))
        if change < 100 * tolerance:
            converged = True
            break
    prior: Float64 = np.zeros_like(taught)
    data.log_prior(now, prior)
    posterior = data.expect(prior, now)[0]
    return PanelState(
        parameters=now,
        posterior=posterior,
        evidence=_votes_alone(posterior, prior),
        trace=np.array(trace),
        converged=converged,
    )


def repeat_correlation(table: PairTable, posterior: Float64) -> float:
    """How far an annotator's votes on one pair err together, 0 independent … 1 the same vote twice.

    Correlation of the residuals x - E[x | truth] of successive votes of one annotator on one pair, with the
    mean vote E[x | truth] of all annotators.
    """
    most = 200_000
    if table.n_pairs > most:  # one number, which needs no more
        some = np.linspace(0, table.n_pairs - 1, most).astype(np.int64)
        table, posterior = take(table, some), posterior[some]
    pair = table.pair
    again = np.flatnonzero((pair[1:] == pair[:-1]) & (table.annotator[1:] == table.annotator[:-1]))
    if len(again) < 10:
        return 0.0
    lean = (posterior[:, 2] - posterior[:, 0])[pair]
    vote = table.outcome.astype(np.float64)
    size = len(table.annotators)
    scale = np.bincount(table.annotator, weights=lean * lean, minlength=size)
    loading = np.bincount(table.annotator, weights=vote * lean, minlength=size) / np.maximum(scale, 1e-9)
    bias = np.bincount(table.annotator, weights=vote * table.shown, minlength=size) / np.maximum(
        np.bincount(table.annotator, minlength=size), 1
    )
    error = vote - loading[table.annotator] * lean - bias[table.annotator] * table.shown
    both = error[again] * error[again + 1]
    square = (error[again] ** 2 + error[again + 1] ** 2) / 2
    return float(np.clip(both.sum() / max(square.sum(), 1e-9), 0, 1))


def _maximise(data: PanelData, now: PanelParameters, posterior: Float64, counts: Float64) -> PanelParameters:
    value, variance = maximise(counts, data.centre, now.value, now.mean, 1 / now.variance, data.free, 2)
    mean, spread = _hyperparameters(value, variance, now.mean, data.seen, data.free)
    slope = (
        _length_slope(posterior, data.table.length_difference, now.length_slope) if data.has_length else 0.0
    )
    return PanelParameters(
        value=value,
        mean=mean,
        variance=spread,
        tie_prior=now.tie_prior,
        length_slope=slope,
    )


def _tie_prior(table: PairTable) -> float:
    """Share of pairs that the majority vote calls ties, a draw between outcomes shared among them.

    Not learnt: a free tie class grows at every step by the pairs that are merely contested (the three-class
    model of Dawid and Skene then calls a third of them ties).
    """
    count = count_outcomes(table).T
    winners = count == count.max(axis=0)
    called = (winners[1] / winners.sum(axis=0))[count.sum(axis=0) > 0]
    return float((called.sum() + 1) / (len(called) + 10))


def _length_bins(table: PairTable) -> tuple[Float64, Int8]:
    if not np.any(table.length_difference):
        return np.zeros(1), np.zeros(table.n_pairs, np.int8)
    return LENGTH_BINS, np.searchsorted(_LENGTH_EDGES, table.length_difference).astype(np.int8)


def _gold_log_odds(table: PairTable) -> Float64:
    """What people said as log weights of (b, tie, a), float64[Q, 3]."""
    gold, n = np.nan_to_num(table.gold), table.n_gold
    weight = np.zeros((table.n_pairs, 3))
    weight[:, 0] = np.where(gold < 0, -gold * n, 0)
    weight[:, 2] = np.where(gold > 0, gold * n, 0)
    weight[:, 1] = np.where((gold == 0) & (n > 0), 1, 0)
    return _LABEL_LOG_ODDS * weight


def _votes_alone(posterior: Float64, log_prior: Float64) -> Float64:
    """log P(votes | a) / P(votes | b), float64[Q]: without people, neighbours and length."""
    safe = np.maximum(posterior, 1e-300)
    side: Float64 = np.log(safe[:, 2]) - np.log(safe[:, 0]) - (log_prior[:, 2] - log_prior[:, 0])
    return side


def _log_penalty(now: PanelParameters, seen: NDArray[np.bool_]) -> float:
    return float(-0.5 * np.sum((now.value[seen] - now.mean) ** 2 / now.variance))


def _hyperparameters(
    value: Float64, variance: Float64, last: Float64, seen: NDArray[np.bool_], free: Int8
) -> tuple[Float64, Float64]:
    """Mean and variance across annotators, each pulled to its own prior by a few pseudo-annotators.

    The variance never exceeds its prior: one annotator that runs away must not widen the prior that holds it.
    """
    n = int(seen.sum())
    mean = (value[seen].sum(0) + _PRIOR_STRENGTH * _PRIOR_MEAN) / (n + _PRIOR_STRENGTH)
    squares = ((value[seen] - mean) ** 2 + variance[seen]).sum(0)
    spread = (squares + _PRIOR_STRENGTH * _PRIOR_SD**2) / (n + _PRIOR_STRENGTH)
    spread = np.minimum(spread, _PRIOR_SD**2)
    return np.where(free == 1, mean, last), np.where(free == 1, spread, _PRIOR_SD**2)


def _length_slope(posterior: Float64, difference: Float32, slope: float) -> float:
    """One Newton step of the logistic regression of the truth on the length difference."""
    gradient, curvature = length_slope_sums(posterior, difference, slope)
    return slope + (gradient - 4 * slope) / (curvature + 4)
