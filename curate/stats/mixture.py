"""Mixture of Bradley–Terry models over annotators: do people hold one view, or several?

Group g has a strength s_gr for each response; an annotator belongs to one group, and

    P(annotators' verdicts) = Π_i Σ_g π_g Π_(votes of i) σ(s_ga - s_gb)^y σ(s_gb - s_ga)^(1 - y),   y = ½ for a tie,

with s_gr = base_r + d_gr, base ~ N(0, 1) shared by all groups and d ~ N(0, τ²) (Bradley & Terry 1952; mixtures of
rankings: Gormley & Murphy 2008). EM with restarts: responsibilities of annotators, then Newton steps on strengths by
conjugate gradients. A further group must predict held-out verdicts better by more than two standard errors over
annotators, and by more than a trifle (`MIN_GAIN`): noise is no view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
BASE_VARIANCE = 1.0
GROUP_VARIANCE = 1.0
FOLDS = 4
RESTARTS = 6
MIN_GAIN = 0.002  # log-likelihood a verdict: below, a difference is none that anybody would act on
_STEPS = 60
_TOLERANCE = 1e-4
_SURE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballots:
    """V verdicts: `annotator`, `a`, `b` int64[V] (numbers from 0), `y` float64[V] in {0, ½, 1} for b, tie, a."""

    annotator: Int64
    a: Int64
    b: Int64
    y: Float64
    annotators: int
    responses: int

    def take(self, rows: NDArray[np.bool_]) -> Ballots:
        return Ballots(
            annotator=self.annotator[rows],
            a=self.a[rows],
            b=self.b[rows],
            y=self.y[rows],
            annotators=self.annotators,
            responses=self.responses,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """A mixture of groups, by falling share.

    `share` float64[G]; `strength` float64[G, R]; `belongs` float64[A, G], each annotator's posterior; `likelihood`:
    penalised log-likelihood.
    """

    share: Float64
    strength: Float64
    belongs: Float64
    likelihood: float

    @property
    def groups(self) -> int:
        return len(self.share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """The mixture chosen, and what each number of groups gained.

    `gain`: in held-out log-likelihood per verdict over one group fewer, with its standard error.
    """

    mixture: Mixture
    gain: dict[int, tuple[float, float]]


def find_views(ballots: Ballots, *, most: int = 4, seed: int = 0) -> Views:
    """Add groups, up to `most`, as long as held-out verdicts are predicted better."""
    groups, gain = 1, dict[int, tuple[float, float]]()
    before = cross_validate(ballots, 1, seed=seed)
    while groups < min(most, ballots.annotators):
        after = cross_validate(ballots, groups + 1, seed=seed)
        mean, error = _compare_pairwise(after - before, ballots)
        gain[groups + 1] = (mean, error)
        if mean < MIN_GAIN or mean < _SURE * error:
            break
        groups, before = groups + 1, after
    return Views(mixture=fit_mixture(ballots, groups, seed=seed), gain=gain)


def fit_mixture(ballots: Ballots, groups: int, *, seed: int = 0, restarts: int = RESTARTS) -> Mixture:
    """The best of several EM runs from random groupings."""
    rng = np.random.default_rng(seed)
    runs = [_run_em(ballots, groups, rng) for _ in range(restarts if groups > 1 else 1)]
    best = max(runs, key=lambda run: run.likelihood)
    order = np.argsort(-best.share, kind="stable")
    return Mixture(
        share=best.share[order],
        strength=best.strength[order],
        belongs=best.belongs[:, order],
        likelihood=best.likelihood,
    )


def cross_validate(ballots: Ballots, groups: int, *, seed: int = 0) -> Float64:
    """float64[V]: log-probability of each verdict under a model that has not seen it (but others of its annotator)."""
    fold = np.random.default_rng(seed).permutation(len(ballots.y)) % FOLDS
    result = np.empty(len(ballots.y))
    for k in range(FOLDS):
        test = fold == k
        model = fit_mixture(ballots.take(~test), groups, seed=seed + k, restarts=max(RESTARTS // 2, 1))
        asked = ballots.take(test)
        logs = _log_probability(asked, model.strength)  # [G, V]
        weight = np.log(np.maximum(model.belongs[asked.annotator].T, 1e-300))
        result[test] = np.logaddexp.reduce(logs + weight, axis=0)
    return result


def _run_em(ballots: Ballots, groups: int, rng: np.random.Generator) -> Mixture:
    start = rng.integers(0, groups, ballots.annotators)
    belongs: Float64 = np.full((ballots.annotators, groups), 0.1 / max(groups - 1, 1))
    belongs[np.arange(ballots.annotators), start] = 0.9 if groups > 1 else 1.0
    strength: Float64 = np.zeros((groups, ballots.responses))
    share = np.full(groups, 1 / groups)
    last = -np.inf
    for _ in range(_STEPS):
        strength = _newton_steps(ballots, belongs, strength)
        share = (belongs.sum(axis=0) + 1) / (ballots.annotators + groups)
        joint = np.log(share) + _by_annotator(ballots, _log_probability(ballots, strength))
        total = np.logaddexp.reduce(joint, axis=1)
        belongs = np.exp(joint - total[:, None])
        likelihood = float(total.sum()) - _penalise(strength)
        if likelihood - last < _TOLERANCE * max(len(ballots.y), 1):
            break
        last = likelihood
    return Mixture(share=share, strength=strength, belongs=belongs, likelihood=likelihood)


def _log_probability(ballots: Ballots, strength: Float64) -> Float64:
    """float64[G, V]; a tie is half a win either way."""
    margin = strength[:, ballots.a] - strength[:, ballots.b]
    logs: Float64 = ballots.y * margin - np.logaddexp(0, margin)
    return logs


def _by_annotator(ballots: Ballots, logs: Float64) -> Float64:
    sums = [np.bincount(ballots.annotator, weights=row, minlength=ballots.annotators) for row in logs]
    return np.stack(sums, axis=1).astype(np.float64)


def _prior_precision(groups: int) -> Float64:
    """Return the precision of s_·r over groups when s_gr = base_r + d_gr, float64[G, G].

    It is the inverse of BASE·11ᵀ + GROUP·I.
    """
    covariance = np.full((groups, groups), BASE_VARIANCE) + GROUP_VARIANCE * np.eye(groups)
    inverse: Float64 = np.linalg.inv(covariance).astype(np.float64)
    return inverse


def _penalise(strength: Float64) -> float:
    return 0.5 * float(np.sum(strength * (_prior_precision(len(strength)) @ strength)))


def _newton_steps(ballots: Ballots, belongs: Float64, strength: Float64, *, steps: int = 2) -> Float64:
    """Newton on the expected log-likelihood, one group after the other, given the others."""
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import cg

    precision, size = _prior_precision(len(strength)), ballots.responses
    strength = strength.copy()
    for _ in range(steps):
        for g in range(len(strength)):
            weight = belongs[ballots.annotator, g]
            p = 1 / (1 + np.exp(-(strength[g, ballots.a] - strength[g, ballots.b])))
            push = weight * (ballots.y - p)
            slope = np.bincount(ballots.a, push, size) - np.bincount(ballots.b, push, size)
            slope -= precision[g] @ strength
            curve = weight * p * (1 - p)
            laplacian = coo_matrix((curve, (ballots.a, ballots.b)), (size, size)).tocsr()
            laplacian = laplacian + laplacian.T
            degree = np.asarray(laplacian.sum(axis=1)).ravel() + precision[g, g]
            move, _ = cg(diags(degree) - laplacian, slope, rtol=1e-4, maxiter=200, M=diags(1 / degree))
            strength[g] += np.clip(move, -2, 2)
    return strength


def _compare_pairwise(difference: Float64, ballots: Ballots) -> tuple[float, float]:
    """Mean per verdict, and its standard error over annotators, whose verdicts hang together."""
    total = np.bincount(ballots.annotator, weights=difference, minlength=ballots.annotators)
    n = np.bincount(ballots.annotator, minlength=ballots.annotators)
    mean = float(total.sum()) / max(len(difference), 1)
    residual = total - mean * n
    people = max(int((n > 0).sum()), 1)
    error = float(np.sqrt(np.sum(residual**2) * people / max(people - 1, 1))) / max(len(difference), 1)
    return mean, error
