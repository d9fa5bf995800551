"""The strategy `expected-value`, the default: the pairs whose labels are expected to remove most errors.

Asking about a pair removes this many errors in expectation:

    (1 - confidence)  +  Σ_j  (κ_j / 2) (s_jq φ(m_j / s_jq) - |m_j| Φ(-|m_j| / s_jq)).

The first term is the pair's own error, which the label corrects. The second is what the annotator model learns from
the label. The posterior of the other pairs' log-odds is taken as a Gaussian process over patterns of judges, like the
model's fusion with labels. So a label on q moves the log-odds m_j of pair j by N(0, s²_jq), s²_jq = w_q S²_jq /
(1 + w_q S_qq), with S the covariance given the answers so far and w_q = p (1 - p). Only a move that turns j's label
saves an error; to first order around ½ that is the expected shortfall above, with slope κ/4 and κ = (1 + π S_jj / 8)^-½
(expected error reduction: Roy & McCallum 2001; knowledge gradient: Frazier et al. 2008). Pairs are chosen one after the
other, each given those before it, so that copies of one pattern are not asked twice.

Where there are many pairs, the candidates are those that the other strategies would choose, and the sum runs over a
sample.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from curate.verify.routing.base import RoutingStrategy
from curate.verify.routing.d_optimal import DOptimal
from curate.verify.routing.disagreement import Disagreement
from curate.verify.routing.dropped_arcs import DroppedArcs
from curate.verify.routing.errors import Errors
from curate.verify.routing.pairs import Float64, Int64, Pairs
from curate.verify.routing.threshold import Threshold
from curate.verify.routing.uncertainty import Uncertainty

PRIOR_VARIANCE = 3.0  # of the log-odds that patterns of judges explain; middle of the fusion's grid
MOST_CANDIDATES = 1500
MOST_TARGETS = 400
_OTHERS: tuple[type[RoutingStrategy], ...] = (DroppedArcs, Disagreement, Threshold, Errors, DOptimal)


class ExpectedValue(RoutingStrategy):
    """Chooses the pairs whose answers are expected to remove most errors from the labels."""

    def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
        candidates = _select_candidates(pairs, n)
        learn = _Learning(pairs, candidates)
        own = 1 - pairs.confidence[candidates]
        free = np.ones(len(candidates), np.bool_)
        taken = np.empty(min(n, len(candidates)), np.int64)
        gain = learn.compute_gain()
        every = 1 + len(taken) // 100  # the gain is computed anew a hundred times at most
        for step in range(len(taken)):
            best = int(np.argmax(np.where(free, own + gain, -1.0)))
            taken[step], free[best] = best, False
            if learn.useful:
                learn.condition_on(best)
                if step % every == 0:
                    gain = learn.compute_gain()
        return candidates[taken]


def _select_candidates(pairs: Pairs, n: int) -> Int64:
    """Return all open pairs, in the order of their draw, or where these are many, what other strategies choose."""
    most = max(MOST_CANDIDATES, 2 * n)
    candidates = np.flatnonzero(pairs.is_open)
    if len(candidates) > most:
        share = -(-most // 2)
        chosen = [Uncertainty().choose_pairs(pairs, share)]
        chosen += [strategy().choose_pairs(pairs, share // (len(_OTHERS) + 1)) for strategy in _OTHERS]
        candidates = np.unique(np.concatenate(chosen))
    order: Int64 = candidates[np.argsort(pairs.draw[candidates], kind="stable")]
    return order


class _Learning:
    """The covariance of the log-odds between candidates (rows) and targets (columns), given the answers so far."""

    def __init__(self, pairs: Pairs, candidates: Int64) -> None:
        targets = np.flatnonzero(pairs.is_open)
        sample = targets[np.argsort(pairs.draw[targets], kind="stable")][:MOST_TARGETS]
        answered = np.flatnonzero(~np.isnan(pairs.human_verdict) & (pairs.human_verdict != 0))
        feature = _build_features(pairs.votes)
        self.useful = feature.shape[1] > 0 and len(candidates) > 0
        self._stands_for = len(targets) / max(len(sample), 1)
        self._weight = np.clip(pairs.p_a * (1 - pairs.p_a), 0.01, 0.25)[candidates]
        self._same = candidates[:, None] == sample[None, :]
        if self.useful:
            everyone = np.concatenate([candidates, sample])
            root = _compute_posterior_root(feature, answered)
            mapped = feature[everyone] @ root
            self._candidate, self._target = mapped[: len(candidates)], mapped[len(candidates) :]
            p = np.clip(pairs.p_a[sample], 1e-3, 1 - 1e-3)
            self._log_odds = np.abs(np.log(p) - np.log1p(-p))

    def compute_gain(self) -> Float64:
        """Return float64[candidates]: errors of other pairs that each answer is expected to remove."""
        if not self.useful:
            return np.zeros(len(self._weight))
        total = np.sum(self._target**2, axis=1)
        slope = 1 / np.sqrt(1 + np.pi / 8 * total)
        mean = (
            self._log_odds / slope
        )  # averaging a probability over its uncertainty makes its log-odds smaller
        spread = np.sum(self._candidate**2, axis=1)
        covariance = self._candidate @ self._target.T
        scale = np.sqrt(self._weight / (1 + self._weight * spread))
        move = np.abs(covariance) * scale[:, None] + 1e-12
        ratio = mean / move
        density = np.exp(-0.5 * ratio**2) / np.sqrt(2 * np.pi)
        saved = slope / 2 * (move * density - mean * ndtr(-ratio))
        saved[self._same] = 0.0
        result: Float64 = saved.sum(axis=1) * self._stands_for
        return result

    def condition_on(self, candidate: int) -> None:
        """Condition on an answer about a candidate, whatever it says: a rank-one downdate of the covariance.

        With S = Z Zᵀ, the new S is Z (I - w z zᵀ / (1 + w z·z)) Zᵀ, whose root has the same form.
        """
        z, weight = self._candidate[candidate].copy(), self._weight[candidate]
        square = float(z @ z)
        if square < 1e-12:
            return
        shrink = (1 - 1 / np.sqrt(1 + weight * square)) / square
        self._candidate = self._candidate - shrink * np.outer(self._candidate @ z, z)
        self._target = self._target - shrink * np.outer(self._target @ z, z)


def _build_features(votes: Float64) -> Float64:
    """Return the votes and their mean, each scaled to unit mean square norm; the mean stands for the whole panel."""
    if votes.shape[1] == 0 or not np.any(votes):
        return np.zeros((len(votes), 0))
    mean = votes.mean(axis=1, keepdims=True)
    parts = [votes, mean]
    scaled = [part / max(np.sqrt(float(np.mean(np.sum(part**2, axis=1)))), 1e-9) for part in parts]
    return np.hstack(scaled)


def _compute_posterior_root(feature: Float64, answered: Int64) -> Float64:
    """Return R with R Rᵀ the covariance of the weights given the answered pairs, each of information ¼ (the most)."""
    x = feature[answered]
    precision = np.eye(feature.shape[1]) / PRIOR_VARIANCE + 0.25 * x.T @ x
    lower = np.linalg.cholesky(precision)
    root: Float64 = np.linalg.inv(lower).T.astype(np.float64)
    return root
