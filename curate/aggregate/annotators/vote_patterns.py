"""Vote patterns: one opinion per annotator and pair, without order effects, and the correlations of opinions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.annotators.pairs import PairTable, count_annotator_pairs
from curate.aggregate.annotators.result import AgreementCounts
from curate.aggregate.votes import Float32, Float64, Int8, Int32, Int64
from curate.core.kernels import compile_kernel

MAX_COLUMNS = 256
MIN_COVERAGE = 0.05


def find_frequent_annotators(table: PairTable, tally: AgreementCounts) -> Int64:
    """Find the annotators with an opinion on at least 5 % of the pairs (and 10 pairs), at most the busiest 256.

    None when these give less than half of all votes: then the panel is a crowd, which they do not represent.
    """
    seen = tally.n
    # An annotator asked in both orders votes twice on a pair; coverage counts pairs.
    covered = count_annotator_pairs(table)
    enough = np.flatnonzero(covered >= max(10, MIN_COVERAGE * table.n_pairs))
    columns = np.sort(enough[np.argsort(-seen[enough], kind="stable")][:MAX_COLUMNS])
    return columns if 2 * seen[columns].sum() >= len(table) else columns[:0]


def build_vote_patterns(table: PairTable, columns: Int64, tally: AgreementCounts) -> tuple[Float64, Float64]:
    """Compute the mean vote of each annotator in `columns` on each pair: float64[Q, C] in -1 … 1, 0 where it has none.

    Two orders cancel a position bias; where only one order was asked, the annotator's mean lean towards
    the first is taken off. The second array, float64[Q, C], counts the votes behind each entry.
    """
    if len(columns) == 0:
        return np.zeros((table.n_pairs, 0)), np.zeros((table.n_pairs, 0))
    where = np.full(len(table.annotators), -1, np.int64)
    where[columns] = np.arange(len(columns))
    lean = (tally.first - tally.second) / np.maximum(tally.n, 1)
    opinion, count = np.zeros((2, table.n_pairs, len(columns)))
    _sum_opinions(
        table.offsets, table.annotator, table.shown, table.outcome, table.weight, where, lean, opinion, count
    )
    return opinion, count


@compile_kernel
def _sum_opinions(
    offsets: Int64, annotator: Int32, shown: Int8, outcome: Int8, weight: Float32, where: Int64, lean: Float64,
    opinion: Float64, count: Float64,
) -> None:  # fmt: skip
    """The votes of one annotator on a pair lie side by side."""
    for q in range(len(offsets) - 1):
        total, first, n = 0.0, 0.0, 0
        for v in range(offsets[q], offsets[q + 1]):
            j = annotator[v]
            total += outcome[v] * np.float64(weight[v])
            first += shown[v]
            n += 1
            if v + 1 < offsets[q + 1] and annotator[v + 1] == j:
                continue
            if where[j] >= 0:
                opinion[q, where[j]] = (total - first * lean[j]) / n
                count[q, where[j]] = n
            total, first, n = 0.0, 0.0, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Second moments of opinions where both annotators have one; additive over shards."""

    product: Float64
    square: Float64
    both: Float64

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            product=self.product + other.product,
            square=self.square + other.square,
            both=self.both + other.both,
        )

    @property
    def correlation(self) -> Float64:
        """Return the uncentred correlation, float64[C, C]: a and b are exchangeable, so the mean opinion is 0."""
        scale = np.sqrt(self.square * self.square.T)
        result: Float64 = np.where(scale > 0, self.product / np.where(scale > 0, scale, 1), 0)
        np.fill_diagonal(result, 1)
        return result


def measure_moments(opinion: Float64, count: Float64) -> Moments:
    """Sum over pairs: products, squares of i where j has an opinion too, and number of such pairs."""
    has = (count > 0).astype(np.float64)
    value = opinion * has
    return Moments(product=value.T @ value, square=(value**2).T @ has, both=has.T @ has)
