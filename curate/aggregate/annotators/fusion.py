"""A Gaussian process from the judges' opinions to the label: for few labels and many correlated judges.

The label of a pair is logistic in  f = ρ·consensus + g(opinions),  g ~ GP(0, v·K)  (Rasmussen & Williams
2006, ch. 3, Laplace's approximation). Swapping a and b negates the opinions and the label, so K is an *odd*
kernel: the linear one, and the squared exponential made odd, k(x, y) - k(x, -y), whose neighbours are pairs
with a similar pattern of judges. Hyper-parameters are not chosen but averaged over a small grid, weighted by
their evidence.

A few labels that happen to fit g by chance would spoil a good consensus. So g has to earn its place: unless the
labels are `STRONG` times as likely with it as by the consensus alone (a Bayes factor; Kass & Raftery 1995 call ten
strong), they only say how far to trust the consensus.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from curate.aggregate.votes import Float64, Int64

VARIANCES = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0)
TRUSTS = (0.0, 0.25, 0.5, 1.0)
LENGTH_SCALES = (0.5, 1.0, 2.0)
STRONG = 10.0
MAX_LABELS = 500
MAX_CONSENSUS = 4.0
_CHUNK = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """`p_a` float64[Q]; `trust`: evidence-weighted mean of ρ; `evidence`: log evidence of the grid."""

    p_a: Float64
    trust: float
    evidence: float


@dataclass(frozen=True, slots=True)
class _Candidate:
    trust: float
    variance: float
    linear: float
    length_scale: float
    log_prior: float


def fuse_opinions(
    opinion: Float64,
    consensus: Float64,
    labelled: Int64,
    target: Float64,
    *,
    trusts: tuple[float, ...] = TRUSTS,
    seed: int = 0,
) -> Fusion:
    """Estimate P(a) of all pairs from `target` float64[L] in [0, 1] on the pairs `labelled` int64[L].

    `opinion` float64[Q, C]; `consensus` float64[Q] log-odds of the model without labels.
    """
    # Threads of BLAS that wait for each other cost many times what they win on matrices of at most MAX_LABELS rows.
    with threadpool_limits(limits=1, user_api="blas"):
        return _fuse(opinion, consensus, labelled, target, trusts, seed)


def _fuse(
    opinion: Float64,
    consensus: Float64,
    labelled: Int64,
    target: Float64,
    trusts: tuple[float, ...],
    seed: int,
) -> Fusion:
    if len(labelled) > MAX_LABELS:
        kept = np.sort(np.random.default_rng(seed).permutation(len(labelled))[:MAX_LABELS])
        labelled, target = labelled[kept], target[kept]
    prior = np.clip(consensus, -MAX_CONSENSUS, MAX_CONSENSUS)
    anchors = opinion[labelled]
    scales = _Scales.measure_scales(opinion)
    fits = []
    for candidate in _list_candidates(trusts):
        gram = scales.compute_kernel(anchors, anchors, candidate)
        mean = candidate.trust * prior[labelled]
        fits.append((candidate, *_laplace_evidence(gram, target, mean)))
    evidence = np.array([fit[0].log_prior + fit[3] for fit in fits])
    top = float(evidence.max())
    weight = np.exp(evidence - top)
    total = float(weight.sum())
    weight *= _weigh_evidence(weight, [fit[0] for fit in fits])
    weight /= weight.sum()
    used = [(w, *fit[:3]) for w, fit in zip(weight, fits, strict=True) if w > 1e-4]
    p_a = np.zeros(len(opinion))
    for begin in range(0, len(opinion), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        for w, candidate, alpha, root in used:
            cross = scales.compute_kernel(opinion[part], anchors, candidate)
            f = candidate.trust * prior[part] + cross @ alpha
            spread = scales.compute_diagonal(opinion[part], candidate) - np.sum((cross @ root) ** 2, axis=1)
            p_a[part] += w / (1 + np.exp(-f / np.sqrt(1 + np.pi / 8 * np.maximum(spread, 0))))
    p_a /= sum(item[0] for item in used)
    trust = float(sum(w * candidate.trust for w, candidate, _, _ in used))
    return Fusion(p_a=p_a, trust=trust, evidence=top + float(np.log(total)))


def _weigh_evidence(weight: Float64, candidates: list[_Candidate]) -> NDArray[np.bool_]:
    """Mark the candidates that count, bool[C]: all, or the consensus alone unless labels clearly favour others."""
    alone = np.array([candidate.trust > 0 and candidate.variance == 0 for candidate in candidates])
    prior = np.exp([candidate.log_prior for candidate in candidates])
    if not alone.any():
        return ~alone
    by_consensus = float(weight[alone].sum() / prior[alone].sum())
    learnt = float(weight[~alone].sum() / prior[~alone].sum())
    return np.ones_like(alone) if learnt > STRONG * by_consensus else alone


def _list_candidates(trusts: tuple[float, ...]) -> list[_Candidate]:
    """List the grid of candidates: half the prior weight of a trust is on the consensus alone; trust 0 has a tenth."""
    shapes = [(1.0, 1.0)] + [(share, s) for s in LENGTH_SCALES for share in (0.0, 0.5)]
    grid = []
    for t in trusts:
        weight = 1.0 if len(trusts) == 1 else 0.1 if t == 0 else 0.9 / (len(trusts) - 1)
        grid.append(_Candidate(t, 0.0, 1.0, 1.0, np.log(weight / 2)))
        log_prior = np.log(weight / 2 / (len(shapes) * (len(VARIANCES) - 1)))
        grid += [_Candidate(t, v, *shape, log_prior) for v in VARIANCES[1:] for shape in shapes]
    return grid


@dataclass(frozen=True, slots=True)
class _Scales:
    """Kernels of unit mean diagonal: mean square norm, median square distance."""

    square: float
    distance: float

    @staticmethod
    def measure_scales(opinion: Float64) -> _Scales:
        some = opinion[np.linspace(0, len(opinion) - 1, min(len(opinion), 400)).astype(np.int64)]
        distance = _square_distance(some, some)
        apart = distance[np.triu_indices(len(some), 1)]
        middle = float(np.median(apart)) if len(apart) else 1.0
        return _Scales(max(float(np.mean(np.sum(some**2, axis=1))), 1e-9), max(middle, 1e-9))

    def compute_kernel(self, x: Float64, y: Float64, candidate: _Candidate) -> Float64:
        result = np.zeros((len(x), len(y)))
        if candidate.variance == 0:
            return result
        if candidate.linear > 0:
            result += candidate.linear * (x @ y.T) / self.square
        if candidate.linear < 1:
            width = 2 * self.distance * candidate.length_scale
            odd = np.exp(-_square_distance(x, y) / width) - np.exp(-_square_distance(x, -y) / width)
            result += (1 - candidate.linear) * odd
        return candidate.variance * result

    def compute_diagonal(self, x: Float64, candidate: _Candidate) -> Float64:
        square = np.sum(x**2, axis=1)
        odd = 1 - np.exp(-4 * square / (2 * self.distance * candidate.length_scale))
        result: Float64 = candidate.variance * (
            candidate.linear * square / self.square + (1 - candidate.linear) * odd
        )
        return result


def _square_distance(x: Float64, y: Float64) -> Float64:
    result: Float64 = np.sum(x**2, axis=1)[:, None] + np.sum(y**2, axis=1)[None, :] - 2 * x @ y.T
    return np.maximum(result, 0)


def _laplace_evidence(gram: Float64, target: Float64, mean: Float64) -> tuple[Float64, Float64, float]:
    """Find the mode of the posterior by Newton's method.

    Returns alpha with f = mean + K alpha, R with K⁻¹-term RRᵀ, and the log evidence.
    """
    from scipy.linalg import solve_triangular  # takes a moment to import

    n = len(target)
    f: Float64 = mean.copy()
    alpha: Float64 = np.zeros(n)
    factor: Float64 = np.eye(n)
    root_weight: Float64 = np.zeros(n)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(f, -40, 40)))
        root_weight = np.sqrt(p * (1 - p) + 1e-10)
        whitened = np.eye(n) + root_weight[:, None] * gram * root_weight[None, :]
        factor = np.linalg.cholesky(whitened).astype(np.float64)
        push = root_weight**2 * (f - mean) + target - p
        inner = solve_triangular(factor, root_weight * (gram @ push), lower=True, check_finite=False)
        alpha = push - root_weight * solve_triangular(
            factor, inner, trans="T", lower=True, check_finite=False
        )
        new = mean + gram @ alpha
        moved = float(np.max(np.abs(new - f), initial=0))
        f = new
        if moved < 1e-6:
            break
    log_likelihood = float(np.sum(target * f - np.logaddexp(0, f)))
    evidence = log_likelihood - 0.5 * float(alpha @ (f - mean)) - float(np.log(np.diag(factor)).sum())
    root: Float64 = solve_triangular(factor, np.diag(root_weight), lower=True, check_finite=False).T
    return alpha, root, evidence
