"""Minimum-weight feedback arc sets, exactly, by dynamic programming over subsets of responses.

Let w(v, u) be the weight of the arc from v to u, and c(v, S) = sum of w(v, u) over u in S: what is dropped
when v is placed after all of S. Then

    before(S) = min over v in S      of before(S - v) + c(v, S - v)      the best order of S
    after(S)  = min over v not in S  of c(v, S) + after(S + v)           the best order of the rest, arcs back
    included

and before(S) + after(S) is the least weight of any order that begins with the members of S. An order puts u
ahead of v exactly if it has such a beginning S with u in it and v not, so that one pass over the table gives
the optimum under every constraint "u ahead of v", and with it what reversing each pair would cost. Time O(n
2^n), memory O(2^n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.graph.arcs import TIE_TOLERANCE
from curate.aggregate.votes import Float64, Int32, Int64
from curate.core.kernels import compile_kernel, over_slices

MOST_RESPONSES = 20
"""2^20 entries per table, three tables of 8 bytes: beyond this memory and time double with each response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """The optimum of many graphs; graphs with more responses than the limit keep the values in brackets.

    `margin` float64[E]: what the best order with b ahead of a drops more than the best with a ahead, 0 where they are
    equal up to rounding [0]; `standing` int32[R]: responses surely behind less responses surely ahead [0];
    `order` int32[R]: an optimal order [as numbered]; `dropped` float64[P]: weight of the arcs against it [0].
    """

    margin: Float64
    standing: Int32
    order: Int32
    dropped: Float64


def solve_exactly(
    responses: Int64,
    offsets: Int64,
    a: Int32,
    b: Int32,
    net: Float64,
    *,
    limit: int,
    threads: int | None = None,
) -> Solved:
    """Solve every graph of at most `limit` responses; the arrays are those of `PairTally`, with signed arc weights."""
    size = np.diff(responses)
    solved = Solved(
        margin=np.zeros(len(a)),
        standing=np.zeros(responses[-1], np.int32),
        order=np.arange(responses[-1], dtype=np.int32),
        dropped=np.zeros(len(size)),
    )
    graphs = (limit, TIE_TOLERANCE, responses, offsets, a, b, net)
    results = (solved.margin, solved.standing, solved.order, solved.dropped)
    over_slices(
        lambda first, last: _solve_slice(first, last, *graphs, *results),
        np.exp2(np.where(size <= limit, size, 0)) * size + 64.0,
        threads=threads,
    )
    return solved


@compile_kernel
def _fill_tables(n: int, w: Float64, low: Float64, high: Float64, before: Float64, after: Float64) -> None:
    """`low[s, v] + high[t, v]` is c(v, S) for S of lower bits s and upper bits t; w[v, v] is 0.

    The tables start at infinity, and an entry is read before it is filled exactly when it must not count, so
    the inner loops need no test of membership.
    """
    half = (n + 1) // 2
    for part, table in ((0, low), (half, high)):
        bits = half if part == 0 else n - half
        for v in range(n):
            table[0, v] = 0.0
        for u in range(bits):
            for s in range(1 << u):
                for v in range(n):
                    table[s | 1 << u, v] = table[s, v] + w[v, part + u]
    full, mask = (1 << n) - 1, (1 << half) - 1
    for s in range(full + 1):
        before[s] = after[s] = np.inf
    before[0] = after[full] = 0.0
    for s in range(1, full + 1):
        least = np.inf
        for v in range(n):
            least = min(least, before[s ^ 1 << v] + low[s & mask, v] + high[s >> half, v])
        before[s] = least
    for s in range(full - 1, -1, -1):
        least = np.inf
        for v in range(n):
            least = min(least, after[s ^ 1 << v] + low[s & mask, v] + high[s >> half, v])
        after[s] = least


@compile_kernel
def _find_constrained_optima(
    n: int, through: Float64, with_k: Float64, without_k: Float64, least: Float64
) -> None:
    """`least[u, v]` = the least of `through[S]` over S that contain u and not v. Destroys `through`.

    Folding the table onto its lower half by the minimum forgets one element; each pair is read off when one
    of its two elements is the top one and the other the top one of what remains. The sizes halve, so it costs
    O(2^n) in all.
    """
    for k in range(n - 1, 0, -1):
        top = 1 << k
        for s in range(top):
            without_k[s], with_k[s] = through[s], through[top + s]
        for j in range(k - 1, -1, -1):
            half = 1 << j
            k_ahead = j_ahead = np.inf
            for s in range(half):
                k_ahead = min(k_ahead, with_k[s])
                j_ahead = min(j_ahead, without_k[half + s])
                with_k[s] = min(with_k[s], with_k[half + s])
                without_k[s] = min(without_k[s], without_k[half + s])
            least[k, j] = k_ahead
            least[j, k] = j_ahead
        for s in range(top):
            through[s] = min(through[s], through[top + s])


@compile_kernel
def _read_order(
    n: int,
    low: Float64,
    high: Float64,
    after: Float64,
    limit: float,
    preference: Int64,
    order: Int64,
) -> None:
    """Among the orders that cost at most `limit`, the one that takes the greatest `preference` first at each place."""
    half = (n + 1) // 2
    mask = (1 << half) - 1
    chosen, spent = 0, 0.0
    for place in range(n):
        best = -1
        for v in range(n):
            if not chosen >> v & 1:
                cost = low[chosen & mask, v] + high[chosen >> half, v]
                if spent + cost + after[chosen | 1 << v] <= limit and (
                    best < 0 or preference[v] > preference[best]
                ):
                    best = v
        spent += low[chosen & mask, best] + high[chosen >> half, best]
        chosen |= 1 << best
        order[place] = best


@compile_kernel
def _solve_slice(
    first: int,
    last: int,
    limit: int,
    tolerance: float,
    responses: Int64,
    offsets: Int64,
    a: Int32,
    b: Int32,
    net: Float64,
    margin: Float64,
    standing: Int32,
    order: Int32,
    dropped: Float64,
) -> None:
    widest = 1
    for p in range(first, last):
        if responses[p + 1] - responses[p] <= limit:
            widest = max(widest, responses[p + 1] - responses[p])
    w = np.zeros((widest, widest))
    least = np.zeros((widest, widest))
    low, high = np.empty((1 << (widest + 1) // 2, widest)), np.empty((1 << widest // 2, widest))
    before, after = np.empty(1 << widest), np.empty(1 << widest)
    fold_1, fold_2 = np.empty(1 << widest - 1), np.empty(1 << widest - 1)
    place, judged, preference = (
        np.empty(widest, np.int64),
        np.empty(widest, np.bool_),
        np.empty(widest, np.int64),
    )
    for p in range(first, last):
        base, n = responses[p], responses[p + 1] - responses[p]
        if n > limit or n == 0:
            continue
        total = 0.0
        for v in range(n):
            judged[v] = False
            for u in range(n):
                w[v, u] = 0.0
        for e in range(offsets[p], offsets[p + 1]):
            i, j = a[e] - base, b[e] - base
            judged[i] = judged[j] = True
            w[i, j], w[j, i] = max(net[e], 0.0), max(-net[e], 0.0)
            total += abs(net[e])
        slack = tolerance * total
        _fill_tables(n, w, low, high, before, after)
        optimum = before[(1 << n) - 1]
        dropped[p] = optimum if optimum > slack else 0.0
        for s in range(1 << n):
            before[s] += after[s]
        _find_constrained_optima(n, before, fold_1, fold_2, least)
        for e in range(offsets[p], offsets[p + 1]):
            i, j = a[e] - base, b[e] - base
            difference = least[j, i] - least[i, j]
            margin[e] = difference if abs(difference) > slack else 0.0
        for v in range(n):
            ahead = 0
            for u in range(n):
                if u != v and least[u, v] - least[v, u] > slack:
                    ahead += 1
                elif u != v and least[v, u] - least[u, v] > slack:
                    ahead -= 1
            standing[base + v] = ahead
            preference[v] = (ahead + n) * n - v if judged[v] else -v - 1
        _read_order(n, low, high, after, optimum + slack, preference, place)
        for k in range(n):
            order[base + k] = base + place[k]
