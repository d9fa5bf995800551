"""Votes grouped by pair, prompt by prompt: counting sorts on a few votes at a time instead of one sort of all keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.votes import Float64, Int8, Int32, Int64, Votes
from curate.core.kernels import compile_kernel, over_slices

FEW = 32
"""Votes on a pair that are sorted by insertion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedVotes:
    """Votes by (a, b, annotator), those of one annotator in the order they had. Q pairs.

    `prompt`, `a`, `b` int32[Q] and `count` int32[Q] votes of each pair; `annotator` int32, `shown` int8, `outcome`
    int8, `p_a` float32 [V] as in `Votes`.
    """

    prompt: Int32
    a: Int32
    b: Int32
    count: Int32
    annotator: Int32
    shown: Int8
    outcome: Int8
    p_a: NDArray[np.float32]


def group_by_pair(
    votes: Votes, *, skip: NDArray[np.bool_] | None = None, threads: int | None = None
) -> GroupedVotes:
    """Group all votes by pair, except those of annotators in `skip` bool[A]."""
    skipped = np.zeros(len(votes.annotators), np.bool_) if skip is None else skip
    first_vote = np.searchsorted(votes.prompt, np.arange(votes.n_prompts + 1, dtype=np.int32))
    kept = np.diff(first_vote)
    if skipped.any():
        kept = np.bincount(votes.prompt[~skipped[votes.annotator]], minlength=votes.n_prompts)
    out = np.concatenate(([0], np.cumsum(kept))).astype(np.int64)
    size = np.diff(votes.offsets)
    room = np.concatenate(([0], np.cumsum(np.minimum(size * (size - 1) // 2, kept)))).astype(np.int64)
    n_pairs = np.zeros(votes.n_prompts, np.int64)
    a, b, count = (np.empty(room[-1], np.int32) for _ in range(3))
    annotator = np.empty(out[-1], np.int32)
    shown, outcome = np.empty(out[-1], np.int8), np.empty(out[-1], np.int8)
    p_a = np.empty(out[-1], np.float32)
    over_slices(
        lambda first, last: _group_slice(
            first, last, votes.offsets, first_vote, votes.a, votes.b, votes.annotator, votes.shown, votes.outcome,
            votes.p_a, skipped, out, room, annotator, shown, outcome, p_a, a, b, count, n_pairs,
        ),
        np.diff(first_vote) + 1,
        threads=threads,
    )  # fmt: skip
    if n_pairs.sum() < room[-1]:  # some pairs were never judged: close the gaps
        place = np.arange(room[-1]) - np.repeat(room[:-1], np.diff(room))
        filled = place < np.repeat(n_pairs, np.diff(room))
        a, b, count = a[filled], b[filled], count[filled]
    return GroupedVotes(
        prompt=np.repeat(np.arange(votes.n_prompts, dtype=np.int32), n_pairs),
        a=a,
        b=b,
        count=count,
        annotator=annotator,
        shown=shown,
        outcome=outcome,
        p_a=p_a,
    )


def count_judged_pairs(votes: Votes, *, threads: int | None = None) -> Int64:
    """Count the pairs that each annotator voted on, int64[A], however often on each."""
    first_vote = np.searchsorted(votes.prompt, np.arange(votes.n_prompts + 1, dtype=np.int32))
    parts: list[Int64] = []

    def count(first: int, last: int) -> None:
        judged = np.zeros(len(votes.annotators), np.int64)
        _count_judged_slice(first, last, votes.offsets, first_vote, votes.a, votes.b, votes.annotator, judged)
        parts.append(judged)

    over_slices(count, np.diff(first_vote) + 1, threads=threads)
    return np.sum(parts, axis=0, dtype=np.int64) if parts else np.zeros(len(votes.annotators), np.int64)


def one_vote_a_pair(votes: Votes) -> Float64:
    """Return the weight float64[A] that gives each annotator one vote per pair, however often it was asked.

    A judge that follows the position says a in one order and b in the other, and cancels itself.
    """
    given = np.bincount(votes.annotator, minlength=len(votes.annotators))
    weight: Float64 = count_judged_pairs(votes) / np.maximum(given, 1)
    return weight


@compile_kernel
def _sort_slice(begin: int, end: int, base: int, size: int, a: Int32, b: Int32) -> Int64:
    """Sort the votes `begin … end-1` by a, then b, stable.

    One counting sort by pair, or by b and then by a if the prompt has many pairs for its votes.
    """
    source = np.arange(begin, end)
    target = np.empty_like(source)
    cells = size * (size - 1) // 2
    if cells <= 4 * (end - begin) + 256:
        place = np.zeros(cells + 1, np.int64)
        for v in source:
            i, j = a[v] - base, b[v] - base
            place[i * (2 * size - i - 1) // 2 + j - i] += 1
        for k in range(cells):
            place[k + 1] += place[k]
        for v in source:
            i, j = a[v] - base, b[v] - base
            cell = i * (2 * size - i - 1) // 2 + j - i - 1
            target[place[cell]] = v
            place[cell] += 1
        return target
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
def _sort_by_annotator(order: Int64, begin: int, end: int, annotator: Int32) -> None:
    """Sort `order[begin:end]` by annotator, stable and in place: by insertion where there are few."""
    if end - begin > FEW:
        part = order[begin:end].copy()
        by = np.argsort(annotator[part], kind="mergesort")
        for k in range(end - begin):
            order[begin + k] = part[by[k]]
        return
    for k in range(begin + 1, end):
        v = order[k]
        at = k
        while at > begin and annotator[order[at - 1]] > annotator[v]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = v


@compile_kernel
def _group_slice(
    first: int, last: int, responses: Int64, first_vote: Int64, a: Int32, b: Int32, annotator: Int32, shown: Int8,
    outcome: Int8, p_a: NDArray[np.float32], skipped: NDArray[np.bool_], out: Int64, room: Int64,
    to_annotator: Int32, to_shown: Int8, to_outcome: Int8, to_p_a: NDArray[np.float32],
    pair_a: Int32, pair_b: Int32, count: Int32, n_pairs: Int64,
) -> None:  # fmt: skip
    for prompt in range(first, last):
        base, size = responses[prompt], responses[prompt + 1] - responses[prompt]
        every = _sort_slice(first_vote[prompt], first_vote[prompt + 1], base, size, a, b)
        order = np.empty(out[prompt + 1] - out[prompt], np.int64)
        n = 0
        for v in every:
            if not skipped[annotator[v]]:
                order[n] = v
                n += 1
        start, pair = 0, room[prompt]
        for k in range(1, n + 1):
            if k < n and a[order[k]] == a[order[start]] and b[order[k]] == b[order[start]]:
                continue
            _sort_by_annotator(order, start, k, annotator)
            pair_a[pair], pair_b[pair], count[pair] = a[order[start]], b[order[start]], k - start
            start, pair = k, pair + 1
        n_pairs[prompt] = pair - room[prompt]
        at = out[prompt]
        for v in order:
            to_annotator[at], to_shown[at], to_outcome[at] = annotator[v], shown[v], outcome[v]
            to_p_a[at] = p_a[v]
            at += 1


@compile_kernel
def _count_judged_slice(
    first: int, last: int, responses: Int64, first_vote: Int64, a: Int32, b: Int32, annotator: Int32, judged: Int64
) -> None:  # fmt: skip
    stamp = np.full(len(judged), -1, np.int64)  # the last pair that each annotator was seen on
    pair = 0
    for prompt in range(first, last):
        base, size = responses[prompt], responses[prompt + 1] - responses[prompt]
        order = _sort_slice(first_vote[prompt], first_vote[prompt + 1], base, size, a, b)
        for k in range(len(order)):
            v = order[k]
            if k == 0 or a[v] != a[order[k - 1]] or b[v] != b[order[k - 1]]:
                pair += 1
            if stamp[annotator[v]] != pair:
                stamp[annotator[v]] = pair
                judged[annotator[v]] += 1
