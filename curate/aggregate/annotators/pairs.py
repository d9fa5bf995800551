"""From votes to pairs: the flat arrays that every annotator model reads, with people's words set apart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.votes import Float32, Float64, Int8, Int32, Int64, Votes
from curate.errors import CurateError


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLabels:
    """What people say about pairs, as explicit arrays (an alternative to votes of annotators with
    `human=True`).

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
    | `weight`    | float32[V] | how sure the annotator was, over its own average; 1 if it does not say |
    | `gold`      | float32[Q] | mean outcome of the people's votes, -1 … 1; NaN where there are none |
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
        """Pair index of every vote, int64[V]."""
        return np.repeat(np.arange(self.n_pairs), np.diff(self.offsets))


def pair_table(votes: Votes, labels: PairLabels | None = None) -> PairTable:
    """Group votes by pair. O(V log V); the people's votes and `labels` become `gold`, the rest stay votes.

    Raises CurateError when a label names a response that the votes do not have.
    """
    label_a, label_b, label_outcome = _labels(votes, labels)
    if len(label_a) and int(max(label_a.max(), label_b.max())) >= votes.n_responses:
        raise CurateError(
            f"A label names response {int(max(label_a.max(), label_b.max()))}, but the votes have only "
            f"{votes.n_responses} responses: build labels and votes from the same prompts."
        )
    is_human = votes.human[votes.annotator] if len(votes) else np.zeros(0, np.bool_)
    machine = np.flatnonzero(~is_human)
    width = np.int64(max(votes.n_responses, 1))
    machine_key = votes.a[machine].astype(np.int64) * width + votes.b[machine]
    label_key = label_a.astype(np.int64) * width + label_b
    keys = np.unique(np.concatenate([machine_key, label_key]))
    order = np.lexsort((votes.annotator[machine], machine_key))
    sorted_votes = machine[order]
    offsets = np.searchsorted(machine_key[order], np.append(keys, np.iinfo(np.int64).max)).astype(np.int64)
    at = np.searchsorted(keys, label_key)
    n_gold = np.bincount(at, minlength=len(keys)).astype(np.int32)
    total = np.bincount(at, weights=label_outcome.astype(np.float64), minlength=len(keys))
    a, b = (keys // width).astype(np.int32), (keys % width).astype(np.int32)
    return PairTable(
        prompt=(np.searchsorted(votes.offsets, a, side="right") - 1).astype(np.int32),
        a=a,
        b=b,
        offsets=offsets,
        annotator=votes.annotator[sorted_votes],
        shown=votes.shown[sorted_votes],
        outcome=votes.outcome[sorted_votes],
        weight=_relative_confidence(votes, sorted_votes),
        gold=np.where(n_gold > 0, total / np.maximum(n_gold, 1), np.nan).astype(np.float32),
        n_gold=n_gold,
        length_difference=_length_difference(votes.length, a, b),
        annotators=votes.annotators,
        human=votes.human,
    )


def take(table: PairTable, pairs: Int64) -> PairTable:
    """The table of some of its pairs, `pairs` int64[q] ascending."""
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
        weight=table.weight[votes],
        gold=table.gold[pairs],
        n_gold=table.n_gold[pairs],
        length_difference=table.length_difference[pairs],
    )


def _labels(votes: Votes, labels: PairLabels | None) -> tuple[Int32, Int32, Int8]:
    said = np.flatnonzero(votes.human[votes.annotator]) if len(votes) else np.zeros(0, np.int64)
    a, b, outcome = votes.a[said], votes.b[said], votes.outcome[said]
    if labels is None:
        return a, b, outcome
    if not (len(labels.a) == len(labels.b) == len(labels.outcome)):
        raise CurateError("Labels need as many a as b and outcomes: give three arrays of one length.")
    if np.any(labels.a >= labels.b):
        raise CurateError("A label has a ≥ b: order each pair by response index and flip its outcome.")
    return (
        np.concatenate([a, labels.a.astype(np.int32)]),
        np.concatenate([b, labels.b.astype(np.int32)]),
        np.concatenate([outcome, labels.outcome.astype(np.int8)]),
    )


def _relative_confidence(votes: Votes, index: Int64) -> Float32:
    """|2p - 1| over the annotator's own mean, at most 2: a timid judge's scale is not its ability."""
    annotator, decided = votes.annotator[index], votes.outcome[index] != 0
    sure = np.abs(2 * votes.p_a[index] - 1)
    n = len(votes.annotators)
    count = np.bincount(annotator[decided], minlength=n)
    mean = np.bincount(annotator[decided], weights=sure[decided], minlength=n) / np.maximum(count, 1)
    scaled = sure / np.maximum(mean, 1e-6)[annotator]
    return np.where(decided & (mean[annotator] > 1e-6), np.minimum(scaled, 2), 1).astype(np.float32)


def _length_difference(length: Float32, a: Int32, b: Int32) -> Float32:
    if len(length) == 0 or len(a) == 0:
        return np.zeros(len(a), np.float32)
    log_length: Float64 = np.log(np.maximum(length.astype(np.float64), 1))
    difference = log_length[a] - log_length[b]
    scale = np.sqrt(np.mean(difference**2))
    return (difference / scale if scale > 0 else difference).astype(np.float32)
