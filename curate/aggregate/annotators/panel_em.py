"""EM for the panel model: priors that annotators share, labels of people clamped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.annotators.pairs import PairTable, count_annotator_pairs, count_outcomes
from curate.aggregate.annotators.panel_kernels import (
    NU,
    add_labels,
    code_statements,
    length_slope_sums,
    log_prior_of_length,
    maximise_parameters,
    residual_products,
    update_posterior,
    vote_log_probability,
)
from curate.aggregate.votes import Float64, Int8

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
    """Parameters of A annotators that EM learns.

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
    """A fit: its parameters, and the posterior float64[Q, 3] of (b, tie, a)."""

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
        self.statement = code_statements(table.annotator, table.shown, table.outcome)
        self.has_length = len(self.centre) > 1
        has_order = bool(np.any(table.shown != 0))
        self.free = np.array([1, has_order, self.ties, self.ties, self.has_length], np.int8)
        self.tie_prior = _tie_prior(table) if self.ties else 0.0
        self.seen = count_annotator_pairs(table) > 0
        self.shards = int(np.clip(4_000_000 // max(self.size * 27 * len(self.centre), 1), 1, 16))

    def update_posterior(
        self, posterior: Float64, parameters: PanelParameters, *,
        log_prior: Callable[[slice], Float64] | None = None, discount: Float64 | None = None,
    ) -> tuple[Float64, float, float]:  # fmt: skip
        """Do the E-step in place; return counts, log-likelihood, and the largest change of a posterior."""
        t = self.table
        return update_posterior(
            posterior, t.offsets, self.statement, t.weight, self.length_bin,
            log_prior or (lambda part: self.log_prior(parameters, part)),
            vote_log_probability(parameters.value, self.centre),
            self.discount if discount is None else discount, self.ties, self.shards,
        )  # fmt: skip

    def sum_length_slope(self, posterior: Float64, slope: float) -> tuple[float, float]:
        """Return gradient and curvature of the regression of the truth on the length difference."""
        return length_slope_sums(posterior, self.table.length_difference, slope)

    def read_posterior(self, posterior: Float64) -> None:
        """Fill in what `update_posterior` has not written: here it has written all of it."""

    def log_prior(self, parameters: PanelParameters, part: slice) -> Float64:
        """Compute the log prior of some pairs before the judges vote, float64[q, 3], people's labels included."""
        t = self.table
        difference = t.length_difference[part]
        prior = np.empty((len(difference), 3))
        log_prior_of_length(difference, parameters.length_slope, parameters.tie_prior, prior)
        return self.add_labels(prior, part)

    def add_labels(self, log_weight: Float64, part: slice) -> Float64:
        """Add people's labels to the log weights float64[q, 3] of some pairs, in place."""
        add_labels(self.table.gold[part], self.table.n_gold[part], _LABEL_LOG_ODDS, log_weight)
        return log_weight

    def compute_evidence(self, posterior: Float64, parameters: PanelParameters) -> Float64:
        """Compute log P(votes | a) / P(votes | b), float64[Q]: without labels, other pairs and length."""
        evidence = np.empty(len(posterior))
        marks = np.linspace(0, len(posterior), self.shards + 1).astype(np.int64).tolist()
        for part in (slice(first, last) for first, last in pairwise(marks)):
            prior, safe = self.log_prior(parameters, part), np.maximum(posterior[part], 1e-300)
            evidence[part] = np.log(safe[:, 2]) - np.log(safe[:, 0]) - (prior[:, 2] - prior[:, 0])
        return evidence

    def fit_habits(self, posterior: Float64) -> Float64:
        """Fit every annotator's parameters float64[A, 5] given the truth of every pair, `posterior` float64[Q, 3].

        An E-step in which votes tell nothing leaves the posterior as it is, and counts.
        """
        t = self.table
        silent = np.zeros((self.size, 3, len(self.centre), 3, 3))
        counts = update_posterior(
            posterior, t.offsets, self.statement, t.weight, self.length_bin,
            lambda part: _safe_log(posterior[part]), silent, self.discount, int(bool(np.any(posterior[:, 1] > 0))),
            self.shards,
        )[0]  # fmt: skip
        start = PanelParameters.start(self.size, self.tie_prior)
        value, mean, variance = start.value, start.mean, start.variance
        for _ in range(_HABIT_ROUNDS):
            value, spread = maximise_parameters(counts, self.centre, value, mean, 1 / variance, self.free, 5)
            mean, variance = _fit_hyperparameters(value, spread, mean, self.seen, self.free)
        return value


def fit_panel(
    data: PanelData,
    *,
    start: PanelParameters | None = None,
    max_iterations: int = 200,
    tolerance: float = 1e-4,
) -> PanelState:
    """Run EM until no posterior moves by more than `tolerance` in a step.

    Every third step is extrapolated (`_extrapolate`), and taken back where it lowers the likelihood. `trace`
    is exact where every discount is 1.
    """
    at = now = start or PanelParameters.start(data.size, data.tie_prior)
    posterior: Float64 = np.zeros((data.table.n_pairs, 3))
    trace: list[float] = []
    converged = False
    plain: list[PanelParameters] = []  # points that EM itself reached, since the last jump
    fallback: PanelParameters | None = None
    for _ in range(max_iterations):
        at = now
        counts, likelihood, change = data.update_posterior(posterior, at)
        objective = likelihood + _log_penalty(now, data.seen)
        if fallback is not None and not objective >= trace[-1]:
            now, fallback = fallback, None
            continue
        trace.append(objective)
        if change < tolerance and fallback is None:
            converged = True
            break
        plain.append(now)
        after = _maximise_parameters(data, now, posterior, counts)
        now, fallback = after, None
        if len(plain) == 2:
            now, fallback = _extrapolate(plain[0], plain[1], after, data.seen), after
            plain = []
    data.read_posterior(posterior)
    return PanelState(
        parameters=now,
        posterior=posterior,
        evidence=data.compute_evidence(posterior, at),
        trace=np.array(trace),
        converged=converged,
    )


def _extrapolate(
    first: PanelParameters, second: PanelParameters, third: PanelParameters, seen: NDArray[np.bool_]
) -> PanelParameters:
    """Extrapolate three points of EM: SQUAREM, scheme S3 (Varadhan & Roland 2008); the third point if that fails."""

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


def fit_against_truth(
    data: PanelData, truth: Float64, *, max_iterations: int = 200, tolerance: float = 1e-4
) -> PanelState:
    """Fit habits against a given truth, `truth` float64[Q, 3] of (b, tie, a), and weigh the votes once at the end.

    Where annotators err together, EM would follow the largest cluster away from the truth. So the truth comes from
    the discriminant that knows the clusters, and the annotators' discounted votes are weighed once at the end. `trace`
    is the likelihood of the votes given that truth.
    """
    now = PanelParameters.start(data.size, data.tie_prior)
    trace: list[float] = []
    converged = False
    posterior: Float64 = np.zeros_like(truth)

    def log_truth(part: slice) -> Float64:
        return data.add_labels(_safe_log(truth[part]), part)

    for _ in range(max_iterations):
        counts = data.update_posterior(posterior, now, log_prior=log_truth, discount=np.zeros(data.size))[0]
        after = _maximise_parameters(data, now, posterior, counts)
        change = float(np.max(np.abs(after.value - now.value), initial=0))
        now = after
        likelihood = data.update_posterior(posterior, now, log_prior=log_truth, discount=np.ones(data.size))[
            1
        ]
        trace.append(likelihood + _log_penalty(now, data.seen))
        if change < 100 * tolerance:
            converged = True
            break
    data.update_posterior(posterior, now, log_prior=lambda part: data.log_prior(now, part))
    return PanelState(
        parameters=now,
        posterior=posterior,
        evidence=data.compute_evidence(posterior, now),
        trace=np.array(trace),
        converged=converged,
    )


def measure_repeat_correlation(table: PairTable, posterior: Float64) -> float:
    """Measure how far an annotator's votes on one pair err together, 0 independent … 1 the same vote twice.

    Correlation of the residuals x - E[x | truth] of successive votes of one annotator on one pair, with the
    mean vote E[x | truth] of all annotators.
    """
    pairs, both, own = residual_products(
        table.offsets, table.annotator, table.shown, table.outcome, posterior, len(table.annotators)
    )
    return float(np.clip(both / max(own, 1e-9), 0, 1)) if pairs >= 10 else 0.0


def _maximise_parameters(
    data: PanelData, now: PanelParameters, posterior: Float64, counts: Float64
) -> PanelParameters:
    value, variance = maximise_parameters(
        counts, data.centre, now.value, now.mean, 1 / now.variance, data.free, 2
    )
    mean, spread = _fit_hyperparameters(value, variance, now.mean, data.seen, data.free)
    slope = _length_slope(data, posterior, now.length_slope) if data.has_length else 0.0
    return PanelParameters(
        value=value,
        mean=mean,
        variance=spread,
        tie_prior=now.tie_prior,
        length_slope=slope,
    )


def _tie_prior(table: PairTable) -> float:
    """Estimate the share of ties by the majority vote; a draw between outcomes counts in part for each.

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


def _safe_log(probability: Float64) -> Float64:
    with np.errstate(divide="ignore"):
        result: Float64 = np.log(probability)
    return result


def _log_penalty(now: PanelParameters, seen: NDArray[np.bool_]) -> float:
    return float(-0.5 * np.sum((now.value[seen] - now.mean) ** 2 / now.variance))


def _fit_hyperparameters(
    value: Float64, variance: Float64, last: Float64, seen: NDArray[np.bool_], free: Int8
) -> tuple[Float64, Float64]:
    """Fit mean and variance across annotators, each pulled to its own prior by a few pseudo-annotators.

    The variance never exceeds its prior: one annotator that runs away must not widen the prior that holds it.
    """
    n = int(seen.sum())
    mean = (value[seen].sum(0) + _PRIOR_STRENGTH * _PRIOR_MEAN) / (n + _PRIOR_STRENGTH)
    squares = ((value[seen] - mean) ** 2 + variance[seen]).sum(0)
    spread = (squares + _PRIOR_STRENGTH * _PRIOR_SD**2) / (n + _PRIOR_STRENGTH)
    spread = np.minimum(spread, _PRIOR_SD**2)
    return np.where(free == 1, mean, last), np.where(free == 1, spread, _PRIOR_SD**2)


def _length_slope(data: PanelData, posterior: Float64, slope: float) -> float:
    """Do one Newton step of the logistic regression of the truth on the length difference."""
    gradient, curvature = data.sum_length_slope(posterior, slope)
    return slope + (gradient - 4 * slope) / (curvature + 4)
