"""Votes summed per pair: the sufficient statistic of everything that forgets who voted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.votes import Float32, Float64, Int8, Int32, Int64, Votes
from curate.core.errors import CurateError
from curate.core.kernels import compile_kernel, over_slices


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTally:
    """The judged pairs of each prompt, sorted by prompt, a, b, with the weight on each side.

    | field        | type         | meaning |
    | ---          | ---          | --- |
    | `responses`  | int64[P+1]   | responses of prompt i are `responses[i] … responses[i+1]-1` |
    | `offsets`    | int64[P+1]   | pairs of prompt i are `offsets[i] … offsets[i+1]-1` |
    | `a`, `b`     | int32[E]     | global response indexes, `a < b` |
    | `n`          | int32[E]     | votes, ties included |
    | `weight_a`, `weight_b`, `weight_tie` | float64[E] | summed weight for a, for b, for "equal" |
    """

    responses: Int64
    offsets: Int64
    a: Int32
    b: Int32
    n: Int32
    weight_a: Float64
    weight_b: Float64
    weight_tie: Float64

    @property
    def n_prompts(self) -> int:
        return len(self.responses) - 1

    @property
    def prompt(self) -> Int32:
        """int32[E], the prompt of each pair."""
        return np.repeat(np.arange(self.n_prompts, dtype=np.int32), np.diff(self.offsets))

    def __len__(self) -> int:
        return len(self.a)


def tally_pairs(
    votes: Votes, *, weight: Float64 | None = None, soft: bool = False, threads: int | None = None
) -> PairTally:
    """Sum the votes of each pair.

    `weight` is float64[A], one per annotator (default 1). A negative weight counts a vote for the other side:
    a judge that is reliably wrong. With `soft`, a vote puts `p_a` of its weight on a and `1 - p_a` on b, so
    that nothing is ever counted as a tie.
    """
    if weight is None:
        weight = np.ones(len(votes.annotators))
    elif len(weight) != len(votes.annotators) or not np.isfinite(weight).all():
        raise CurateError(
            f"tally: {len(weight)} annotator weights for {len(votes.annotators)} annotators; "
            "give one finite weight for each."
        )
    return sum_pairs(
        votes.offsets,
        votes.prompt,
        votes.a,
        votes.b,
        votes.outcome,
        votes.p_a if soft else np.empty(0, np.float32),
        votes.annotator,
        np.ascontiguousarray(weight, np.float64),
        threads=threads,
    )


def sum_pairs(
    responses: Int64,
    prompt: Int32,
    a: Int32,
    b: Int32,
    outcome: Int8,
    p_a: Float32,
    source: Int32,
    weight: Float64,
    *,
    threads: int | None = None,
) -> PairTally:
    """As `tally`, over plain arrays: vote v weighs `weight[source[v]]`; an empty `p_a` means whole votes."""
    prompts = len(responses) - 1
    first_vote = np.searchsorted(prompt, np.arange(prompts + 1, dtype=np.int32))
    size = np.diff(responses)
    room = np.concatenate(([0], np.cumsum(np.minimum(size * (size - 1) // 2, np.diff(first_vote)))))
    n_pairs = np.zeros(prompts, np.int64)
    pair_a, pair_b, n = (np.empty(room[-1], np.int32) for _ in range(3))
    sums = np.empty((room[-1], 3))
    over_slices(
        lambda first, last: _sum_slice(
            first,
            last,
            responses,
            first_vote,
            a,
            b,
            outcome,
            p_a,
            source,
            weight,
            room,
            pair_a,
            pair_b,
            n,
            sums,
            n_pairs,
        ),
        np.diff(first_vote) + 1,
        threads=threads,
    )
    offsets = np.concatenate(([0], np.cumsum(n_pairs)))
    if offsets[-1] < room[-1]:  # some pairs were never judged: close the gaps
        keep = _cut_to_size(room, n_pairs)
        pair_a, pair_b, n, sums = pair_a[keep], pair_b[keep], n[keep], sums[keep]
    return PairTally(
        responses=responses,
        offsets=offsets,
        a=pair_a,
        b=pair_b,
        n=n,
        weight_a=np.ascontiguousarray(sums[:, 0]),
        weight_b=np.ascontiguousarray(sums[:, 1]),
        weight_tie=np.ascontiguousarray(sums[:, 2]),
    )


def _cut_to_size(room: Int64, n_pairs: Int64) -> NDArray[np.bool_]:
    """Which places of the over-allocated output hold a pair."""
    place = np.arange(room[-1]) - np.repeat(room[:-1], np.diff(room))
    filled: NDArray[np.bool_] = place < np.repeat(n_pairs, np.diff(room))
    return filled


@compile_kernel
def _add_vote(total: Float64, side: int, p: float, w: float) -> None:
    """Put a vote of weight w on (for a, for b, tie); side is +1, -1, 0, or 2 for a split by p."""
    if side == 2:
        if w >= 0.0:
            total[0] += w * p
            total[1] += w * (1.0 - p)
        else:
            total[0] -= w * (1.0 - p)
            total[1] -= w * p
    elif side == 0:
        total[2] += abs(w)
    elif (side > 0) == (w >= 0.0):
        total[0] += abs(w)
    else:
        total[1] += abs(w)


@compile_kernel
def _sort_votes(begin: int, end: int, base: int, size: int, a: Int32, b: Int32) -> Int64:
    """The votes `begin … end-1` by a, then b: a stable counting sort by each, the lesser key first."""
    source = np.arange(begin, end)
    target = np.empty_like(source)
    for key in (b, a):
        place = np.zeros(size + 1, np.int64)
        for v in source:
            place[key[v] - base + 1] += 1
        for k in range(size):
            place[k + 1] += place[k]
        for v in source:
            target[place[key[v] - base]] = v
            place[key[v] - base] += 1
        source, target = target, source
    return source


@compile_kernel
def _sum_slice(
    first: int,
    last: int,
    responses: Int64,
    first_vote: Int64,
    a: Int32,
    b: Int32,
    outcome: Int8,
    p_a: Float32,
    source: Int32,
    weight: Float64,
    room: Int64,
    pair_a: Int32,
    pair_b: Int32,
    n: Int32,
    sums: Float64,
    n_pairs: Int64,
) -> None:
    soft = len(p_a) > 0
    cell_n = np.zeros(0, np.int32)
    cell_sum = np.zeros((0, 3))
    for prompt in range(first, last):
        begin, end = first_vote[prompt], first_vote[prompt + 1]
        base, size = responses[prompt], responses[prompt + 1] - responses[prompt]
        out = room[prompt]
        cells = size * (size - 1) // 2
        if cells <= 4 * (end - begin) + 256:  # a triangle of counters
            if cells > len(cell_n):
                cell_n = np.zeros(cells, np.int32)
                cell_sum = np.zeros((cells, 3))
            for v in range(begin, end):
                i, j = a[v] - base, b[v] - base
                cell = i * (2 * size - i - 1) // 2 + j - i - 1
                cell_n[cell] += 1
                _add_vote(
                    cell_sum[cell], 2 if soft else outcome[v], p_a[v] if soft else 0.0, weight[source[v]]
                )
            cell = 0
            for i in range(size):
                for j in range(i + 1, size):
                    if cell_n[cell] > 0:
                        pair_a[out], pair_b[out], n[out] = base + i, base + j, cell_n[cell]
                        for k in range(3):
                            sums[out, k] = cell_sum[cell, k]
                            cell_sum[cell, k] = 0.0
                        cell_n[cell] = 0
                        out += 1
                    cell += 1
        else:  # few votes over many responses: sort the pairs
            by_pair = _sort_votes(begin, end, base, size, a, b)
            for k in range(len(by_pair)):
                v = by_pair[k]
                if k == 0 or a[v] != pair_a[out - 1] or b[v] != pair_b[out - 1]:
                    pair_a[out], pair_b[out], n[out] = a[v], b[v], 0
                    sums[out, 0] = sums[out, 1] = sums[out, 2] = 0.0
                    out += 1
                n[out - 1] += 1
                _add_vote(
                    sums[out - 1], 2 if soft else outcome[v], p_a[v] if soft else 0.0, weight[source[v]]
                )
        n_pairs[prompt] = out - room[prompt]
