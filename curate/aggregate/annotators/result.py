"""The result of every annotator model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from curate.aggregate.annotators.pairs import PairTable
from curate.aggregate.votes import Float64, Int8, Int32, Int64
from curate.core.kernels import compile_kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorFit:
    """Posterior of every pair and estimates of every annotator. Q pairs, A annotators.

    | field           | type       | meaning |
    | ---             | ---        | --- |
    | `model`         | str        | name of the model |
    | `prompt`        | int32[Q]   | prompt of each pair; pairs are sorted by (a, b) |
    | `a`, `b`        | int32[Q]   | global response indexes, `a < b` |
    | `p_a`           | float64[Q] | P(a is better) + ½ P(tie) |
    | `p_tie`         | float64[Q] | P(neither is better); 0 where the model has no ties |
    | `n_votes`       | int64[Q]   | machine votes on the pair |
    | `ability`       | float64[A] | log-odds that a decided vote is right, below 0 reliably wrong |
    | `position_bias` | float64[A] | log-odds in favour of the response shown first |
    | `tie_rate`      | float64[A] | share of ties among the annotator's votes |
    | `length_bias`   | float64[A] | log-odds for the longer response, per sd of the log length ratio |
    | `n`             | int64[A]   | votes of the annotator |
    | `agreement`     | float64[A] | share of decided votes that agree with people's labels; NaN: none |
    | `cluster`       | int32[A]   | annotators with the same number err together |
    | `converged`     | bool       | the last step was below the tolerance |
    | `iterations`    | int        | EM or Newton steps taken |
    | `trace`         | float64[I] | penalised log-likelihood after each step |
    | `warnings`      | tuple[str] | reasons to doubt the result, one sentence each |
    """

    model: str
    prompt: Int32
    a: Int32
    b: Int32
    p_a: Float64
    p_tie: Float64
    n_votes: Int64
    ability: Float64
    position_bias: Float64
    tie_rate: Float64
    length_bias: Float64
    n: Int64
    agreement: Float64
    cluster: Int32
    converged: bool
    iterations: int
    trace: Float64
    warnings: tuple[str, ...] = field(default=())

    @property
    def strength(self) -> Float64:
        """Return the log-odds that a is better, float64[Q]."""
        p = np.clip(self.p_a, 1e-12, 1 - 1e-12)
        result: Float64 = np.log(p) - np.log1p(-p)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementCounts:
    """Counts per annotator that need no model; additive over shards."""

    n: Int64
    ties: Int64
    first: Int64
    second: Int64
    labelled: Int64
    agree: Int64

    def __add__(self, other: AgreementCounts) -> AgreementCounts:
        return AgreementCounts(
            n=self.n + other.n,
            ties=self.ties + other.ties,
            first=self.first + other.first,
            second=self.second + other.second,
            labelled=self.labelled + other.labelled,
            agree=self.agree + other.agree,
        )

    @property
    def tie_rate(self) -> Float64:
        return _divide_counts(self.ties, self.n)

    @property
    def agreement(self) -> Float64:
        return _divide_counts(self.agree, self.labelled)

    @property
    def position_bias(self) -> Float64:
        """Log-odds of the response shown first among decided votes, shrunk by half a vote either way."""
        bias: Float64 = np.log(self.first + 0.5) - np.log(self.second + 0.5)
        return bias


def count_agreement(table: PairTable) -> AgreementCounts:
    """Count votes, ties, first-place wins and agreement with people, one pass."""
    counts = np.zeros((6, len(table.annotators)), np.int64)
    gold = np.nan_to_num(np.sign(table.gold)).astype(np.int8)
    _count_slice(table.offsets, table.annotator, table.shown, table.outcome, gold, counts)
    n, ties, first, second, labelled, agree = counts
    return AgreementCounts(n=n, ties=ties, first=first, second=second, labelled=labelled, agree=agree)


@compile_kernel
def _count_slice(
    offsets: Int64, annotator: Int32, shown: Int8, outcome: Int8, gold: Int8, counts: Int64
) -> None:  # fmt: skip
    for q in range(len(offsets) - 1):
        for v in range(offsets[q], offsets[q + 1]):
            j, x = annotator[v], outcome[v]
            counts[0, j] += 1
            if x == 0:
                counts[1, j] += 1
            elif x * shown[v] > 0:
                counts[2, j] += 1
            elif x * shown[v] < 0:
                counts[3, j] += 1
            if x != 0 and gold[q] != 0:
                counts[4, j] += 1
                counts[5, j] += gold[q] == x


def build_fit(
    model: str,
    table: PairTable,
    p_a: Float64,
    *,
    p_tie: Float64 | None = None,
    ability: Float64 | None = None,
    position_bias: Float64 | None = None,
    converged: bool = True,
    trace: Float64 | None = None,
) -> AnnotatorFit:
    """Build the fit of a model that estimates pairs and abilities; everything else is counted from the votes.

    Args:
        model: Name of the model.
        table: The judges' votes by pair.
        p_a: float64[Q], P(a is better) + ½ P(tie); people's labels replace it where there are any.
        p_tie: float64[Q], P(neither is better); None: 0.
        ability: float64[A], log-odds that a decided vote is right; None: unknown.
        position_bias: float64[A], log-odds in favour of the response shown first; None: counted.
        converged: Whether the last step was below the tolerance.
        trace: float64[I], the objective after each step.
    """
    counted = count_agreement(table)
    is_labelled = table.n_gold > 0
    gold = np.nan_to_num(table.gold).astype(np.float64)
    tie = np.zeros(table.n_pairs) if p_tie is None else p_tie
    unknown = np.full(len(table.annotators), np.nan)
    steps = np.zeros(0) if trace is None else trace
    return AnnotatorFit(
        model=model,
        prompt=table.prompt,
        a=table.a,
        b=table.b,
        p_a=np.where(is_labelled, (1 + gold) / 2, p_a),
        p_tie=np.where(is_labelled, (gold == 0).astype(np.float64), tie),
        n_votes=np.diff(table.offsets),
        ability=np.where(counted.n > 0, unknown if ability is None else ability, np.nan),
        position_bias=counted.position_bias if position_bias is None else position_bias,
        tie_rate=counted.tie_rate,
        length_bias=unknown,
        n=counted.n,
        agreement=counted.agreement,
        cluster=np.arange(len(table.annotators), dtype=np.int32),
        converged=converged,
        iterations=len(steps),
        trace=steps,
    )


def _divide_counts(part: Int64, whole: Int64) -> Float64:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
