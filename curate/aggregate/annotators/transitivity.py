"""Transitivity: the other pairs of a prompt inform a pair, by expectation propagation on one quality per response.

Pairs of one prompt share responses, and preferences among them are nearly transitive. With qualities θ ~ N(0,
τ²) and P(a is better) = σ(θ_a - θ_b) (Bradley-Terry), the judges' evidence on a pair is a likelihood ratio
that is about the wrong side of the truth with probability ε (what the judges of a pair get wrong together);
EP (Minka 2001) replaces each by a Gaussian site. A pair's *cavity*, the posterior of θ_a - θ_b without its
own site, follows from the other pairs alone, so no evidence is counted twice. τ is learnt. ε is not: a judge that
misreads a response misreads it in every pair, so what judges get wrong is as transitive as the truth, and
contradictions do not show it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.annotators.pairs import PairTable
from curate.aggregate.votes import Float64, Int32, Int64
from curate.core.kernels import compile_kernel, over_slices

MAX_RESPONSES = 16
PANEL_ERROR = 0.05
SPREADS = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0)
_HERMITE = np.polynomial.hermite_e.hermegauss(15)
_NODES: Float64 = _HERMITE[0][7:].copy()  # from the middle on: the others mirror them
_WEIGHTS: Float64 = _HERMITE[1][7:] / _HERMITE[1].sum()
_TOLERANCE = 1e-3
_FAR = 300.0  # from there on, a logistic is 0 or 1, and its exponential still a number


class TransitivityModel:
    """EP state of all prompts; `sweep` refines it with the current evidence, warm from the last call."""

    def __init__(
        self,
        table: PairTable,
        response_offsets: Int64,
        *,
        author: Int32 | None = None,
        spread: float = 1.0,
        error: float = PANEL_ERROR,
    ) -> None:
        bounds = np.searchsorted(table.prompt, np.arange(len(response_offsets)))
        size = np.diff(response_offsets)
        pairs = np.diff(bounds)
        # An author's mean quality links even prompts with one pair.
        least = 0 if author is not None else 1
        self._prompts = np.flatnonzero((pairs > least) & (size <= MAX_RESPONSES)).astype(np.int64)
        self._bounds, self._responses = bounds.astype(np.int64), response_offsets
        self._a, self._b, self._pair_prompt = table.a, table.b, table.prompt
        self.linked = self._mark_pairs(self._prompts)
        self._sites = np.zeros((table.n_pairs, 2))
        self._cavity = np.zeros(table.n_pairs)
        self.spread = spread
        self.error = error
        self._author = author
        self._mean: Float64 = np.zeros(int(response_offsets[-1]))
        self._quality = np.zeros((int(response_offsets[-1]), 2))

    def _mark_pairs(self, prompts: Int64) -> NDArray[np.bool_]:
        """Mark the pairs that belong to `prompts`, bool[Q]."""
        chosen = np.zeros(len(self._responses), np.bool_)
        chosen[prompts] = True
        return chosen[self._pair_prompt]

    @property
    def has_linked_pairs(self) -> bool:
        """Tell whether any pair shares a prompt with another."""
        return len(self._prompts) > 0

    def learn(self, evidence: Float64, *, sweeps: int = 8, most: int = 2000) -> None:
        """Choose the spread τ by leave-one-out on at most `most` evenly spaced prompts.

        A cavity predicts the evidence on a pair from the other pairs alone, so the τ of `SPREADS` whose
        cavities predict best is chosen; the smallest means that neighbours tell nothing.
        """
        every = self._prompts
        if len(every) > most:
            self._prompts = every[np.linspace(0, len(every) - 1, most).astype(np.int64)]
        tried = self._mark_pairs(self._prompts)
        scores, means = [], []
        for spread in SPREADS:
            self.spread = spread
            self._sites[:] = 0
            if self._author is not None:
                self._mean = np.zeros_like(self._mean)
            cavity = self.sweep(
                evidence, passes=1 if self._author is not None else sweeps, tolerance=_TOLERANCE
            )
            for _ in range(sweeps - 1 if self._author is not None else 0):
                self._mean = self._author_means()
                cavity = self.sweep(evidence)
            scores.append(self._predictive(evidence[tried], cavity[tried]))
            means.append(self._mean)
        best = int(np.argmax(scores))
        self.spread, self._mean = SPREADS[best], means[best]
        self._prompts = every

    def _predictive(self, evidence: Float64, cavity: Float64) -> float:
        """Mean log-likelihood, up to a constant, of each pair's evidence given what its neighbours say."""
        side, seen = 1 / (1 + np.exp(-cavity)), 1 / (1 + np.exp(-evidence))
        kept = (1 - self.error) * seen + self.error * (1 - seen)
        return float(np.mean(np.log(side * kept + (1 - side) * (1 - kept))))

    def sweep(self, evidence: Float64, *, passes: int = 1, tolerance: float = 0.0) -> Float64:
        """Return prior log-odds float64[Q] of every pair from its neighbours, valid until the next sweep.

        `evidence` is as in `coherent`. Each prompt takes at most `passes`, and stops when no tanh(cavity / 2) moves by
        more than `tolerance`.
        """
        cavity = self._cavity
        cavity[:] = 0
        pairs = np.diff(self._bounds)[self._prompts]
        over_slices(
            lambda first, last: _sweep_prompts(
                self._prompts[first:last], self._bounds, self._responses, self._a, self._b, evidence,
                self.spread**2, self.error, self._mean, self._sites, passes, tolerance, _NODES, _WEIGHTS,
                cavity, self._quality,
            ),
            pairs.astype(np.float64),
        )  # fmt: skip
        return cavity

    def _author_means(self) -> Float64:
        """Return each author's mean quality, with a few pseudo-responses of quality 0: float64[R]."""
        assert self._author is not None
        count = np.bincount(self._author, weights=self._quality[:, 1])
        total = np.bincount(self._author, weights=self._quality[:, 0])
        result: Float64 = (total / (count + 3.0))[self._author]
        return result


def apply_transitivity(
    table: PairTable,
    responses: Int64,
    evidence: Float64,
    *,
    author: Int32 | None = None,
    sweeps: int = 20,
    tolerance: float = _TOLERANCE,
) -> Float64:
    """Log-odds of every pair with what the other pairs of its prompt say, float64[Q].

    Evidence plus cavity: ε makes neighbours careful, and a pair's own votes keep their full weight and order.
    `responses` int64[P+1] as `Votes.offsets`; `evidence` float64[Q], log P(votes | a) / P(votes | b), within ±20;
    `author` int32[R]: which model wrote each response, whose responses then share a mean quality. Pairs of
    prompts with one pair, or with more than 16 responses, keep their evidence.
    """
    state = TransitivityModel(table, responses, author=author)
    if not state.has_linked_pairs:
        return evidence
    state.learn(evidence)
    consensus = state.sweep(evidence, passes=sweeps, tolerance=tolerance)
    consensus += evidence  # a pair without neighbours has a cavity of 0
    return consensus


@compile_kernel
def _sweep_prompts(
    prompts: Int64,
    bounds: Int64,
    responses: Int64,
    a: Int32,
    b: Int32,
    evidence: Float64,
    variance: float,
    error: float,
    prior_mean: Float64,
    sites: Float64,
    passes: int,
    tolerance: float,
    nodes: Float64,
    weights: Float64,
    cavity: Float64,
    quality: Float64,
) -> None:
    for prompt in prompts:
        start, size = responses[prompt], responses[prompt + 1] - responses[prompt]
        first, last = bounds[prompt], bounds[prompt + 1]
        mean, cov = _assemble_precision(first, last, start, size, a, b, sites, variance, prior_mean)
        column = np.empty(size)
        for _ in range(passes):
            moved = 0.0
            for q in range(first, last):
                before = cavity[q]
                _refine_site(
                    q, a[q] - start, b[q] - start, evidence[q], error, mean, cov, column, sites, nodes, weights, cavity
                )  # fmt: skip
                moved = max(moved, abs(np.tanh(cavity[q] / 2) - np.tanh(before / 2)))
            if moved <= tolerance:
                break
        for q in range(first, last):
            for r in (a[q], b[q]):
                quality[r, 0], quality[r, 1] = mean[r - start], 1


@compile_kernel
def _assemble_precision(
    first: int,
    last: int,
    start: int,
    size: int,
    a: Int32,
    b: Int32,
    sites: Float64,
    variance: float,
    prior_mean: Float64,
) -> tuple[Float64, Float64]:
    """Posterior of the qualities from the stored sites (precision, precision times mean)."""
    precision = np.eye(size) / variance
    shift = prior_mean[start : start + size] / variance
    for q in range(first, last):
        i, j = a[q] - start, b[q] - start
        precision[i, i] += sites[q, 0]
        precision[j, j] += sites[q, 0]
        precision[i, j] -= sites[q, 0]
        precision[j, i] -= sites[q, 0]
        shift[i] += sites[q, 1]
        shift[j] -= sites[q, 1]
    cov = np.linalg.inv(precision).astype(np.float64)
    return cov @ shift, cov


@compile_kernel
def _refine_site(
    q: int,
    i: int,
    j: int,
    evidence: float,
    error: float,
    mean: Float64,
    cov: Float64,
    column: Float64,
    sites: Float64,
    nodes: Float64,
    weights: Float64,
    cavity: Float64,
) -> None:
    """Take pair q's site out, match moments with its exact likelihood, put the new site in (rank one)."""
    variance = cov[i, i] + cov[j, j] - 2 * cov[i, j]
    average = mean[i] - mean[j]
    precision_out = 1 / variance - sites[q, 0]
    v = 1 / max(precision_out, 1e-9)
    m = v * (average / variance - sites[q, 1])
    seen_a, seen_b = 1 / (1 + np.exp(-evidence)), 1 / (1 + np.exp(evidence))
    ratio_a = (1 - error) * seen_a + error * seen_b
    ratio_b = (1 - error) * seen_b + error * seen_a
    z0, z1, z2, side = 0.0, 0.0, 0.0, 0.0
    # Nodes lie in mirrored pairs, whose likelihoods need one exponential: σ(m ± x) from exp(-m) and exp(-x).
    spread, tilt, slope = np.sqrt(v), np.exp(-min(max(m, -_FAR), _FAR)), ratio_a - ratio_b
    for k in range(len(nodes)):
        x = spread * nodes[k]
        turn = np.exp(-min(x, _FAR))
        above, below = weights[k] / (1 + tilt * turn), weights[k] * turn / (turn + tilt)
        if k == 0:
            below = 0.0  # the node in the middle is its own mirror
        like_above = above * slope + weights[k] * ratio_b
        like_below = below * slope + weights[k] * ratio_b if k > 0 else 0.0
        side += above + below
        z0 += like_above + like_below
        z1 += like_above * (m + x) + like_below * (m - x)
        z2 += like_above * (m + x) ** 2 + like_below * (m - x) ** 2
    side = min(max(side, 1e-6), 1 - 1e-6)
    cavity[q] = np.log(side / (1 - side))
    new_mean = z1 / z0
    new_variance = max(z2 / z0 - new_mean**2, 1e-9)
    # The likelihood is a mixture, not log-concave: a site that would subtract certainty only moves the mean.
    site_precision = max(1 / new_variance - 1 / v, 0.0)
    site_shift = new_mean * (site_precision + 1 / v) - m / v
    change, shift = site_precision - sites[q, 0], site_shift - sites[q, 1]
    sites[q, 0], sites[q, 1] = site_precision, site_shift
    size = len(mean)
    for r in range(size):
        column[r] = cov[r, i] - cov[r, j]
    scale = change / (1 + change * variance)
    step = shift - scale * (average + variance * shift)
    for r in range(size):
        mean[r] += column[r] * step
        for c in range(size):
            cov[r, c] -= scale * column[r] * column[c]
