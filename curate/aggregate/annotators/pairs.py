"""From votes to pairs: the flat arrays that every annotator model reads, with people's words set apart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.by_pair import GroupedVotes, group_by_pair
from curate.aggregate.votes import Float32, Float64, Int8, Int32, Int64, Votes
from curate.core.errors import CurateError
from curate.core.kernels import compile_kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLabels:
    """Labels of people as explicit arrays: an alternative to votes of annotators with `human=True`.

    | field     | type       | meaning |
    | ---       | ---        | --- |
    | `a`, `b`  | int32[L]   | global response indexes, `a < b`, as in `Votes` |
    | `outcome` | int8[L]    | +1 a is better, -1 b is better, 0 tie |
    """

    a: Int32
    b: Int32
    outcome: Int8

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTable:
    """The judges' votes sorted by pair; pairs are sorted by (a, b), hence by prompt.

    | field       | type       | meaning |
    | ---         | ---        | --- |
    | `prompt`    | int32[Q]   | prompt of each pair |
    | `a`, `b`    | int32[Q]   | global response indexes |
    | `offsets`   | int64[Q+1] | pair q's votes: `offsets[q] … offsets[q+1]-1`; none if only people voted |
    | `annotator`, `shown`, `outcome` | int32, int8, int8 [V] | as in `Votes`, machine votes only |
    | `lean`      | float32[V] | P(a) − P(b) by the vote: `outcome` where it gives no probability |
    | `weight`    | float32[V] | how sure the annotator was, over its own average; 1 if it does not say |
    | `gold`      | float32[Q] | mean outcome of the people's votes by their trust, -1 … 1; NaN where there are none |
    | `n_gold`    | int32[Q]   | number of people's votes |
    | `length_difference` | float32[Q] | log length of a over b, in standard deviations; 0 if unknown |
    | `annotators`| tuple[str] | all annotator ids of the votes, people included |
    | `human`     | bool[A]    | which of them are people |
    """

    prompt: Int32
    a: Int32
    b: Int32
    offsets: Int64
    annotator: Int32
    shown: Int8
    outcome: Int8
    lean: Float32
    weight: Float32
    gold: Float32
    n_gold: Int32
    length_difference: Float32
    annotators: tuple[str, ...]
    human: NDArray[np.bool_] = field(repr=False)

    @property
    def n_pairs(self) -> int:
        return len(self.a)

    def __len__(self) -> int:
        return len(self.annotator)

    @property
    def pair(self) -> Int64:
        """Return the pair index of every vote, int64[V]."""
        return np.repeat(np.arange(self.n_pairs), np.diff(self.offsets))


def build_pair_table(votes: Votes, labels: PairLabels | None = None) -> PairTable:
    """Group votes by pair; the people's votes and `labels` become `gold`, the rest stay votes.

    Raises CurateError when a label names a response that the votes do not have.
    """
    label_a, label_b, label_outcome, label_weight = _align_labels(votes, labels)
    if len(label_a) and int(max(label_a.max(), label_b.max())) >= votes.n_responses:
        raise CurateError(
            f"A label names response {int(max(label_a.max(), label_b.max()))}, but the votes have only "
            f"{votes.n_responses} responses: build labels and votes from the same prompts."
        )
    grouped = group_by_pair(votes, skip=votes.human)
    width = np.int64(max(votes.n_responses, 1))
    judged = grouped.a * width + grouped.b
    label_key = label_a.astype(np.int64) * width + label_b
    keys = np.union1d(judged, label_key) if len(label_key) else judged
    count = np.zeros(len(keys), np.int64)
    count[np.searchsorted(keys, judged)] = grouped.count
    index = np.searchsorted(keys, label_key)
    n_gold = np.bincount(index, minlength=len(keys)).astype(np.int32)
    total = np.bincount(index, weights=label_outcome * label_weight, minlength=len(keys))
    whole = np.bincount(index, weights=label_weight, minlength=len(keys))
    a, b = (keys // width).astype(np.int32), (keys % width).astype(np.int32)
    return PairTable(
        prompt=(np.searchsorted(votes.offsets, a, side="right") - 1).astype(np.int32),
        a=a,
        b=b,
        offsets=np.concatenate(([0], np.cumsum(count))).astype(np.int64),
        annotator=grouped.annotator,
        shown=grouped.shown,
        outcome=grouped.outcome,
        lean=2 * grouped.p_a - 1,  # before the weights take the place of the probabilities
        weight=_relative_confidence(grouped, len(votes.annotators)),
        gold=np.where(n_gold > 0, np.round(total / np.where(whole > 0, whole, 1), 12), np.nan).astype(
            np.float32
        ),
        n_gold=n_gold,
        length_difference=_length_difference(votes.length, a, b),
        annotators=votes.annotators,
        human=votes.human,
    )


def count_outcomes(table: PairTable) -> Int32:
    """Count the votes of each pair for b, for a tie and for a: int32[Q, 3]."""
    count = np.zeros((table.n_pairs, 3), np.int32)
    _count_outcomes(table.offsets, table.outcome, count)
    return count


@compile_kernel
def _count_outcomes(offsets: Int64, outcome: Int8, count: Int32) -> None:
    for q in range(len(count)):
        for v in range(offsets[q], offsets[q + 1]):
            count[q, outcome[v] + 1] += 1


def count_annotator_pairs(table: PairTable) -> Int64:
    """Count the pairs that each annotator voted on, int64[A]."""
    judged = np.zeros(len(table.annotators), np.int64)
    _count_annotator_pairs(table.offsets, table.annotator, judged)
    return judged


@compile_kernel
def _count_annotator_pairs(offsets: Int64, annotator: Int32, judged: Int64) -> None:
    for q in range(len(offsets) - 1):
        for v in range(offsets[q], offsets[q + 1]):
            if v == offsets[q] or annotator[v] != annotator[v - 1]:
                judged[annotator[v]] += 1


def take_pairs(table: PairTable, pairs: Int64) -> PairTable:
    """Take some of the pairs, `pairs` int64[q] ascending."""
    size = np.diff(table.offsets)[pairs]
    offsets = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    votes = np.repeat(table.offsets[pairs] - offsets[:-1], size) + np.arange(offsets[-1])
    return replace(
        table,
        prompt=table.prompt[pairs],
        a=table.a[pairs],
        b=table.b[pairs],
        offsets=offsets,
        annotator=table.annotator[votes],
        shown=table.shown[votes],
        outcome=table.outcome[votes],
        lean=table.lean[votes],
        weight=table.weight[votes],
        gold=table.gold[pairs],
        n_gold=table.n_gold[pairs],
        length_difference=table.length_difference[pairs],
    )


def drop_labels(table: PairTable) -> PairTable:
    """Return the same pairs and votes without any labels of people."""
    return replace(table, gold=np.full_like(table.gold, np.nan), n_gold=np.zeros_like(table.n_gold))


def _align_labels(votes: Votes, labels: PairLabels | None) -> tuple[Int32, Int32, Int8, Float64]:
    """Return a, b, outcome and weight of every label: people's votes, then `labels`."""
    rows = votes.human_rows
    a, b, outcome = votes.a[rows], votes.b[rows], votes.outcome[rows]
    weight = votes.trust[votes.annotator[rows]] if len(votes.trust) else np.ones(len(rows))
    if labels is None:
        return a, b, outcome, weight
    if not (len(labels.a) == len(labels.b) == len(labels.outcome)):
        raise CurateError("Labels need as many a as b and outcomes: give three arrays of one length.")
    if np.any(labels.a >= labels.b):
        raise CurateError("A label has a ≥ b: order each pair by response index and flip its outcome.")
    return (
        np.concatenate([a, labels.a.astype(np.int32)]),
        np.concatenate([b, labels.b.astype(np.int32)]),
        np.concatenate([outcome, labels.outcome.astype(np.int8)]),
        np.concatenate([weight, np.ones(len(labels))]),
    )


def _relative_confidence(grouped: GroupedVotes, annotators: int) -> Float32:
    """Compute |2p - 1| over the annotator's own mean, at most 2: a timid judge's scale is not its ability."""
    count, total = np.zeros(annotators, np.int64), np.zeros(annotators)
    _sum_confidence(grouped.annotator, grouped.outcome, grouped.p_a, count, total)
    weight = grouped.p_a
    _weigh_by_confidence(grouped.annotator, grouped.outcome, weight, total / np.maximum(count, 1))
    return weight


@compile_kernel
def _sum_confidence(annotator: Int32, outcome: Int8, p_a: Float32, count: Int64, total: Float64) -> None:
    for v in range(len(annotator)):
        if outcome[v] != 0:
            count[annotator[v]] += 1
            total[annotator[v]] += abs(2.0 * p_a[v] - 1.0)


@compile_kernel
def _weigh_by_confidence(annotator: Int32, outcome: Int8, p_a: Float32, mean: Float64) -> None:
    """Put the weights in the place of the probabilities."""
    for v in range(len(annotator)):
        own = mean[annotator[v]]
        if outcome[v] != 0 and own > 1e-6:
            p_a[v] = min(abs(2.0 * p_a[v] - 1.0) / own, 2.0)
        else:
            p_a[v] = 1.0


def _length_difference(length: Float32, a: Int32, b: Int32) -> Float32:
    if len(length) == 0 or len(a) == 0:
        return np.zeros(len(a), np.float32)
    log_length: Float64 = np.log(np.maximum(length.astype(np.float64), 1))
    difference = log_length[a] - log_length[b]
    scale = np.sqrt(np.mean(difference**2))
    return (difference / scale if scale > 0 else difference).astype(np.float32)
