"""Votes sorted by prompt, a, b, annotator, order shown and outcome, whatever the order of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.votes import Float32, Int8, Int32, Int64
from curate.core.kernels import compile_kernel, over_slices

_PROBABILITY = 30
"""Bits of a single-precision number from 0 to 1, which are in its order."""
_SAID = 4
"""Bits of order shown and outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawVotes:
    """Votes as in `Votes`, but for the prompts, which follow from `a`."""

    a: Int32
    b: Int32
    annotator: Int32
    shown: Int8
    outcome: Int8
    p_a: Float32

    def take_rows(self, order: Int64) -> RawVotes:
        return RawVotes(
            a=self.a[order],
            b=self.b[order],
            annotator=self.annotator[order],
            shown=self.shown[order],
            outcome=self.outcome[order],
            p_a=self.p_a[order],
        )


def sort_raw_votes(raw: RawVotes, owner: Int32, offsets: Int64) -> tuple[Int32, RawVotes]:
    """Sort votes; return their prompts, int32[V], and the votes. `owner` int32[R] is each response's prompt.

    Each vote is packed into one number, the numbers of a prompt are sorted, and unpacked again. Votes that do
    not fit (thousands of annotators of hundreds of responses) are sorted column by column.
    """
    responses = int(np.diff(offsets).max(initial=1)).bit_length()
    annotators = int(raw.annotator.max(initial=0)).bit_length()
    votes = np.bincount(owner[raw.a], minlength=len(offsets) - 1)
    prompt = np.repeat(np.arange(len(votes), dtype=np.int32), votes)
    if 2 * responses + annotators + _SAID + _PROBABILITY > 63:
        columns = (raw.p_a, raw.outcome, raw.shown, raw.annotator, raw.b, raw.a)
        return prompt, raw.take_rows(np.lexsort(columns))
    first_vote = np.concatenate(([0], np.cumsum(votes))).astype(np.int64)
    packed = _pack_votes(
        raw.a, raw.b, raw.annotator, raw.shown, raw.outcome, raw.p_a.view(np.int32), owner, offsets,
        first_vote[:-1].copy(), responses, annotators,
    )  # fmt: skip
    a, b, annotator = (np.empty_like(raw.a) for _ in range(3))
    shown, outcome = np.empty_like(raw.shown), np.empty_like(raw.outcome)
    bits = np.empty(len(packed), np.int32)
    over_slices(
        lambda first, last: _unpack_slice(
            first,
            last,
            packed,
            offsets,
            first_vote,
            responses,
            annotators,
            a,
            b,
            annotator,
            shown,
            outcome,
            bits,
        ),
        votes + 1,
    )
    return prompt, RawVotes(
        a=a, b=b, annotator=annotator, shown=shown, outcome=outcome, p_a=bits.view(np.float32)
    )


@compile_kernel
def _pack_votes(
    a: Int32, b: Int32, annotator: Int32, shown: Int8, outcome: Int8, p_bits: Int32, owner: Int32, offsets: Int64,
    place: Int64, responses: int, annotators: int,
) -> Int64:  # fmt: skip
    """Pack votes into numbers, prompt by prompt; `place` is where the next one of each prompt goes."""
    packed = np.empty(len(a), np.int64)
    for v in range(len(a)):
        prompt = owner[a[v]]
        pair = (np.int64(a[v] - offsets[prompt]) << responses) | np.int64(b[v] - offsets[prompt])
        signature = ((np.int64(shown[v]) + 1) << 2) | (np.int64(outcome[v]) + 1)
        statement = (((pair << annotators) | np.int64(annotator[v])) << _SAID) | signature
        packed[place[prompt]] = (statement << _PROBABILITY) | np.int64(p_bits[v])
        place[prompt] += 1
    return packed


@compile_kernel
def _unpack_slice(
    first: int, last: int, packed: Int64, offsets: Int64, first_vote: Int64, responses: int, annotators: int,
    a: Int32, b: Int32, annotator: Int32, shown: Int8, outcome: Int8, p_bits: Int32,
) -> None:  # fmt: skip
    for prompt in range(first, last):
        begin, end = first_vote[prompt], first_vote[prompt + 1]
        packed[begin:end].sort()
        for v in range(begin, end):
            rest = packed[v]
            p_bits[v] = rest & ((1 << _PROBABILITY) - 1)
            rest >>= _PROBABILITY
            outcome[v], shown[v] = (rest & 3) - 1, ((rest >> 2) & 3) - 1
            rest >>= _SAID
            annotator[v] = rest & ((1 << annotators) - 1)
            rest >>= annotators
            b[v] = offsets[prompt] + (rest & ((1 << responses) - 1))
            a[v] = offsets[prompt] + (rest >> responses)
