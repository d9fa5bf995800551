"""Which annotators err together, and whether the panel holds one opinion or two.

If errors were independent given the truth, the correlation of two annotators' opinions would be the product
of their loadings, R_ij = l_i l_j (one factor; Spearman 1904). Pairs that agree more than that share errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.annotators.vote_patterns import Moments
from curate.aggregate.votes import Float64, Int64
from curate.core.kernels import compile_kernel

_TO_CLUSTER = 3.0
_TO_DISCOUNT = 6.0
_PRIOR_PAIRS = 500.0
_CANDIDATES = 24
_RESTARTS = 40
_SMALL = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Structure of C annotators, as agreement alone shows it.

    `cluster` int64[C]: annotators with the same number share errors; `loading` float64[C]: correlation of opinion and
    truth (NaN for fewer than three annotators, whose agreement does not tell); `discount` float64[C]: what an opinion
    is worth beside the others, over its worth alone (1: independent errors; 1/m: one of m copies; negative: it
    tells of the others' errors); `dissent`: how much agreement the strongest shared error explains, relative
    to the consensus; `divided`: errors are shared across clusters too, so one truth does not explain the
    panel, and agreement alone cannot weigh its judges.
    """

    cluster: Int64
    loading: Float64
    discount: Float64
    dissent: float
    divided: bool


def find_structure(moments: Moments, *, seed: int = 0) -> Structure:
    """Find the partition of the annotators, and the loadings, that cost least.

    The cost of a partition with loadings l is

        Σ_{i, j in different clusters} ((R_ij - l_i l_j) / se_ij)² + 9 · #{i, j in one cluster}
        + 2 Σ_i (2 atanh l_i - log 3)²

    A correlation that is set free must explain an excess of three standard errors. The last term, the ability
    on the scale of log-odds, says that annotators are better than chance unless shown otherwise, and that
    perfect agreement is sooner a copy than perfection. Loadings follow a quadratic stand-in for it. Greedy
    merging, then single moves, and the same from random partitions. At least three clusters stay: with fewer,
    loadings cannot be told from shared errors.
    """
    correlation, both = moments.correlation, moments.both
    n = len(correlation)
    if n < 3:
        unknown = np.full(n, np.nan)
        return Structure(
            cluster=np.arange(n), loading=unknown, discount=np.ones(n), dissent=0.0, divided=False
        )
    fit = _Fit.start(correlation, both)
    rng = np.random.default_rng(seed)
    best = _descend_partition(fit)
    for _ in range(_RESTARTS if n <= _SMALL else 0):
        guess = rng.integers(0, rng.integers(3, n + 1), n)
        if len(np.unique(guess)) >= 3:
            other = _descend_partition(fit.refit(guess))
            best = other if other.cost < best.cost else best
    cluster = np.unique(best.cluster, return_inverse=True)[1]
    discount = _discount_clusters(best, both, cluster)
    dissent, divided = _divide_largest(best)
    return Structure(
        cluster=cluster, loading=best.loading, discount=discount, dissent=dissent, divided=divided
    )


def _discount_clusters(fit: _Fit, both: Float64, cluster: Int64) -> Float64:
    """Weights of Fisher's discriminant with errors correlated inside clusters, over those without.

    An excess was selected for being large, and may come from pairs that are easy for all good annotators, so
    it is shrunk as if six standard errors of it, and 500 pairs without it, were that; an error that is shared
    with an annotator who is seldom there counts by how often it is there.
    """
    loading = fit.loading
    excess = fit.correlation - np.outer(loading, loading)
    shrink = np.maximum(0, 1 - _TO_DISCOUNT**2 / np.maximum(fit.weight * excess**2, 1e-9))
    error = np.where(cluster[:, None] == cluster[None, :], excess * shrink, 0.0)
    error *= both / (both + _PRIOR_PAIRS)
    error *= both / np.maximum(np.diag(both), 1)[:, None]
    error = (error + error.T) / 2
    own = 1 - loading**2
    np.fill_diagonal(error, own)
    values, vectors = np.linalg.eigh(error / np.sqrt(np.outer(own, own)))
    # Eigenvalues near 0 are estimates of copies that never differ: floored, or they would be worth infinity.
    whitened = (vectors / np.maximum(values, 0.1)) @ vectors.T
    alone = loading / np.sqrt(own)
    together = whitened @ alone
    safe = np.where(np.abs(alone) > 0.05, alone, 0.05)
    shared = (np.abs(error) > 0).sum(1) > 1
    return np.where(shared, np.clip(together / safe, -1.0, 1.5), 1.0)


@compile_kernel
def _fit_loadings(
    correlation: Float64, weight: Float64, cluster: Int64, start: Float64, penalty: float
) -> tuple[Float64, float]:
    """Descend by coordinates for loadings over pairs of annotators in different clusters: loadings, cost."""
    n = len(start)
    loading = start.copy()
    for _ in range(100):
        change = 0.0
        for i in range(n):
            top, bottom = 2.0, 4.0
            for j in range(n):
                if cluster[i] != cluster[j]:
                    top += weight[i, j] * correlation[i, j] * loading[j]
                    bottom += weight[i, j] * loading[j] ** 2
            new = min(max(top / bottom, -0.98), 0.98)
            change = max(change, abs(new - loading[i]))
            loading[i] = new
        if change < 1e-4:
            break
    cost = 0.0
    for i in range(n):
        cost += 2 * (np.log((1 + loading[i]) / (1 - loading[i])) - np.log(3.0)) ** 2
        for j in range(i):
            if cluster[i] != cluster[j]:
                cost += weight[i, j] * (correlation[i, j] - loading[i] * loading[j]) ** 2
            else:
                cost += penalty
    return loading, cost


def _descend_partition(fit: _Fit) -> _Fit:
    while True:
        better = _choose_best(fit, _list_merges(fit)) or _choose_best(fit, _list_moves(fit))
        if better is None:
            return fit
        fit = better


@dataclass(frozen=True, slots=True)
class _Fit:
    correlation: Float64
    weight: Float64
    penalty: float
    cluster: Int64
    loading: Float64
    cost: float

    @staticmethod
    def start(correlation: Float64, both: Float64) -> _Fit:
        n = len(correlation)
        weight = np.where(both > 1, both, 0) / (1 - np.minimum(correlation**2, 0.98)) ** 2
        np.fill_diagonal(weight, 0)
        penalty = _TO_CLUSTER**2
        loading = np.sign(correlation.sum(1)) * np.sqrt(np.maximum(np.abs(correlation).mean(1), 0.01))
        return _Fit(correlation, weight, penalty, np.arange(n), loading, np.inf).refit(np.arange(n))

    def refit(self, cluster: Int64) -> _Fit:
        """The same data under another partition."""
        loading, cost = _fit_loadings(self.correlation, self.weight, cluster, self.loading, self.penalty)
        return _Fit(self.correlation, self.weight, self.penalty, cluster, loading, cost)

    @property
    def gain(self) -> Float64:
        """χ² of each pair's excess agreement that a shared cluster would explain, less its cost."""
        excess = self.correlation - np.outer(self.loading, self.loading)
        result: Float64 = np.sign(excess) * self.weight * excess**2 - self.penalty
        return result


def _list_merges(fit: _Fit) -> list[Int64]:
    """The partitions with two clusters made one, the most promising first."""
    names = np.unique(fit.cluster)
    if len(names) <= 3:
        return []
    member = (fit.cluster[:, None] == names[None, :]).astype(np.float64)
    gain = member.T @ fit.gain @ member
    i, j = np.triu_indices(len(names), 1)
    best = np.argsort(-gain[i, j], kind="stable")[:_CANDIDATES]
    return [np.where(fit.cluster == names[j[k]], names[i[k]], fit.cluster) for k in best]


def _list_moves(fit: _Fit) -> list[Int64]:
    """List partitions with one annotator in another cluster or alone, the most promising first."""
    names = np.unique(fit.cluster)
    fresh = int(fit.cluster.max()) + 1
    member = (fit.cluster[:, None] == names[None, :]).astype(np.float64)
    gain = fit.gain
    np.fill_diagonal(gain, 0)
    to = np.column_stack([gain @ member, np.zeros(len(gain))])
    stay = to[np.arange(len(gain)), np.searchsorted(names, fit.cluster)]
    better = to - stay[:, None]
    targets = np.append(names, fresh)
    partitions = []
    for flat in np.argsort(-better, axis=None, kind="stable")[:_CANDIDATES]:
        j, k = np.unravel_index(int(flat), better.shape)
        partition = fit.cluster.copy()
        partition[j] = targets[k]
        if len(np.unique(partition)) >= min(3, len(gain)):
            partitions.append(partition)
    return partitions


def _choose_best(fit: _Fit, partitions: list[Int64]) -> _Fit | None:
    fits = [fit.refit(partition) for partition in partitions]
    best = min(fits, key=lambda candidate: candidate.cost, default=fit)
    return best if best.cost < fit.cost - 1e-9 else None


def _divide_largest(fit: _Fit) -> tuple[float, bool]:
    """Measure the strongest shared error, and tell whether clusters share one among them.

    They do when the error explains more than 10 % of what the consensus explains, and more than chance gives: the
    edge of the spectrum of a random symmetric matrix, 2 se √C.
    """
    n = len(fit.loading)
    signal = max(float(fit.loading @ fit.loading), 1e-9)
    rest = fit.correlation - np.outer(fit.loading, fit.loading)
    np.fill_diagonal(rest, 0)
    dissent = float(np.linalg.eigvalsh(rest)[-1]) / signal
    between = fit.cluster[:, None] != fit.cluster[None, :]
    across = float(np.linalg.eigvalsh(rest * between)[-1])
    edge = 2 * np.sqrt(n / max(float(fit.weight[between].mean()), 1e-9))
    return dissent, across > 0.1 * signal and across > edge
