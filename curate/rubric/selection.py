"""Select the few criteria that say which response is better, by stability selection, and weigh them.

Many random halves of the prompts each pick criteria along an L1 path; what most of them pick stays (Meinshausen and
Bühlmann 2010, with the complementary halves of Shah and Samworth 2013). What stays is fitted again without L1, with
bootstrap intervals over prompts. A criterion is dropped whose sign may be chance, at a level of 10 % for all candidates
together: of labels that reward none of them, one in ten sets gives a criterion at all.

In place of the halves, `coding-rate` picks criteria whose sentences say different things (module `coding_rate`); the
rest is as above.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curate.rubric.coding_rate import choose_by_coding_rate
from curate.rubric.sparse import fit_dense, fit_path

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

Method = Literal["stability", "coding-rate"]

_FAMILY_LEVEL = 0.1
_RIDGE = 1e-2  # keeps weights finite where a criterion is never wrong
_FEWEST_PAIRS = 8  # in which a criterion must tell the two responses apart


@dataclass(frozen=True, slots=True)
class SelectionOptions:
    """Options of a selection.

    Attributes:
        method: How criteria are picked; coding-rate needs `PairMatrix.likeness`.
        gain: Nats that a criterion must add to those before it, with coding-rate.
        most: Criteria that stay at most.
        picks: Criteria that each half picks at most; default: a third of all, from 5 to 10.
        threshold: Share of halves that must pick a criterion.
        halvings: Random halvings; each gives two halves.
        resamples: Bootstrap draws of prompts.
        folds: Parts of the prompts that are held out in turn.
        seed: Start of all random draws.
    """

    method: Method = "stability"
    gain: float = 0.3
    most: int = 15
    picks: int | None = None
    threshold: float = 0.75
    halvings: int = 50
    resamples: int = 200
    folds: int = 5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class PairMatrix:
    """Pairs as differences of criteria.

    Attributes:
        differences: float64[n, d] chosen less rejected; not a number where a criterion says nothing.
        p_chosen: float64[n] probability that the chosen one is better.
        weight: float64[n] what each pair counts.
        cluster: int64[n] what is drawn and held out as a whole: the prompt, or the topic.
        likeness: float64[d, d] how alike the sentences of the criteria are, where that is known.
    """

    differences: Float64
    p_chosen: Float64
    weight: Float64
    cluster: Int64
    likeness: Float64 | None = None

    def take_rows(self, rows: NDArray[np.bool_] | Int64) -> PairMatrix:
        """Return some of the pairs."""
        return PairMatrix(
            self.differences[rows], self.p_chosen[rows], self.weight[rows], self.cluster[rows], self.likeness
        )

    def take_columns(self, columns: NDArray[np.bool_] | Int64) -> PairMatrix:
        """Return the pairs with some of the criteria."""
        likeness = None if self.likeness is None else self.likeness[columns][:, columns]
        return replace(self, differences=self.differences[:, columns], likeness=likeness)


@dataclass(frozen=True, slots=True)
class Selection:
    """Criteria that were selected, of d.

    Attributes:
        chosen: int64[k] their columns, first those that move the log-odds of pairs most on average.
        weights: float64[k] log-odds that the chosen one is better, for a difference of one `scale`.
        low: float64[k] lower bound of the 95 % interval of each weight.
        high: float64[k] upper bound.
        scale: float64[d] root mean square of the differences of each criterion.
        frequency: float64[d] share of halves that picked each criterion; with coding-rate, whatever the labels, 1 or 0.
    """

    chosen: Int64
    weights: Float64
    low: Float64
    high: Float64
    scale: Float64
    frequency: Float64

    def score(self, differences: Float64) -> Float64:
        """Return float64[n]: log-odds that the chosen one is better, of differences float64[n, d]."""
        known = np.nan_to_num(differences[:, self.chosen])
        return np.asarray((known / self.scale[self.chosen]) @ self.weights, np.float64)


def select_criteria(pairs: PairMatrix, options: SelectionOptions) -> Selection:
    """Select and weigh criteria; see the module's docstring."""
    rng = np.random.default_rng(options.seed)
    known = np.nan_to_num(pairs.differences)
    scale = np.sqrt((known**2).mean(axis=0))
    useful = np.flatnonzero((known != 0.0).sum(axis=0) >= _FEWEST_PAIRS)
    scale[scale == 0.0] = 1.0
    x = known / scale
    frequency = np.zeros(known.shape[1])
    if options.method == "coding-rate":
        frequency[useful[_choose_different(pairs, useful, options)]] = 1.0
    else:
        frequency[useful] = measure_stability(replace(pairs, differences=x[:, useful]), options, rng)
    stable = np.flatnonzero(frequency >= options.threshold)
    chosen = stable[np.argsort(-frequency[stable], kind="stable")][: options.most]
    chosen = chosen[_find_sure_signs(replace(pairs, differences=x[:, chosen]), options, rng, len(useful))]
    weights = fit_dense(x[:, chosen], pairs.p_chosen, pairs.weight, ridge=_RIDGE)
    draws = _bootstrap_weights(replace(pairs, differences=x[:, chosen]), options.resamples, rng)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0) if chosen.size else (weights, weights)
    influence = np.abs(weights) * np.abs(x[:, chosen]).mean(axis=0)  # a rare difference decides few pairs
    order = np.argsort(-influence, kind="stable")
    return Selection(chosen[order], weights[order], low[order], high[order], scale, frequency)


def _choose_different(pairs: PairMatrix, useful: Int64, options: SelectionOptions) -> Int64:
    if pairs.likeness is None:
        raise ValueError("the selection by coding rate needs the likeness of the criteria")
    likeness = pairs.likeness[np.ix_(useful, useful)]
    return choose_by_coding_rate(likeness, most=options.most, gain=options.gain)


def measure_stability(pairs: PairMatrix, options: SelectionOptions, rng: np.random.Generator) -> Float64:
    """Return float64[d]: share of random halves of the clusters whose L1 path picks each criterion first.

    Args:
        pairs: Differences of about one size in every column, all known.
        options: `picks` and `halvings` are read.
        rng: Draws the halves.
    """
    size = pairs.differences.shape[1]
    picks = options.picks or max(5, min(10, size // 3))
    _, cluster = np.unique(pairs.cluster, return_inverse=True)
    clusters = int(cluster.max(initial=-1)) + 1
    counts, halves = np.zeros(size), 0
    if clusters < 2 or size == 0:
        return counts
    for _ in range(options.halvings):
        is_first = np.zeros(clusters, np.bool_)
        is_first[rng.permutation(clusters)[: clusters // 2]] = True
        for rows in (is_first[cluster], ~is_first[cluster]):
            half = pairs.take_rows(rows)
            path = fit_path(half.differences, half.p_chosen, half.weight, most=picks)
            counts += path.weights[-1] != 0.0
            halves += 1
    return np.asarray(counts / halves, np.float64)


def predict_held_out(pairs: PairMatrix, options: SelectionOptions) -> Float64:
    """Return float64[n]: log-odds of each pair by criteria that were selected and weighed without its cluster.

    0 where nothing was selected.
    """
    margin = np.zeros(len(pairs.p_chosen))
    fewer = replace(
        options, halvings=max(10, options.halvings // 2), resamples=max(60, options.resamples // 2)
    )
    for held_out in split_folds(pairs.cluster, options.folds, options.seed):
        selection = select_criteria(pairs.take_rows(~held_out), fewer)
        margin[held_out] = selection.score(pairs.differences[held_out])
    return margin


def split_folds(cluster: Int64, folds: int, seed: int) -> list[NDArray[np.bool_]]:
    """Split clusters into folds at random; return which rows each fold holds out."""
    _, index = np.unique(cluster, return_inverse=True)
    clusters = int(index.max(initial=-1)) + 1
    fold = np.random.default_rng(seed).permutation(clusters) % max(2, min(folds, clusters))
    return [fold[index] == number for number in range(int(fold.max(initial=-1)) + 1)]


def _find_sure_signs(
    pairs: PairMatrix, options: SelectionOptions, rng: np.random.Generator, candidates: int
) -> NDArray[np.bool_]:
    """Return bool[k]: the weight is further from 0 than chance takes one of so many candidates (Bonferroni)."""
    if pairs.differences.shape[1] == 0:
        return np.zeros(0, np.bool_)
    draws = _bootstrap_weights(pairs, options.resamples, rng)
    weights = fit_dense(pairs.differences, pairs.p_chosen, pairs.weight, ridge=_RIDGE)
    limit = NormalDist().inv_cdf(1.0 - 0.5 * _FAMILY_LEVEL / candidates)
    return np.asarray(np.abs(weights) > limit * draws.std(axis=0), np.bool_)


def _bootstrap_weights(pairs: PairMatrix, resamples: int, rng: np.random.Generator) -> Float64:
    """Return float64[resamples, k]: all weights, fitted to draws of clusters with replacement."""
    size = pairs.differences.shape[1]
    _, cluster = np.unique(pairs.cluster, return_inverse=True)
    clusters = int(cluster.max(initial=-1)) + 1
    draws: Float64 = np.empty((resamples, size))
    for number in range(resamples):
        counts = rng.multinomial(clusters, np.full(clusters, 1.0 / clusters))
        draws[number] = fit_dense(
            pairs.differences, pairs.p_chosen, pairs.weight * counts[cluster], ridge=_RIDGE
        )
    return draws
