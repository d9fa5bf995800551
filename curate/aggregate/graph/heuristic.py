"""Orders of graphs that are too large to solve: Eades, Lin and Smyth (1993), then moves of single nodes and blocks.

A graph is a range of nodes; adjacency is both ways: weight s of neighbour u in the list of v is positive for an arc
from v to u, negative for one from u to v.
"""

from __future__ import annotations

import numpy as np

from curate.aggregate.graph.components import Adjacency
from curate.aggregate.votes import Float64, Int64
from curate.core.kernels import compile_kernel, over_slices

BLOCK_BUDGET = 1e6
"""About how many steps a sweep of block moves may take: blocks are as long as that allows, two nodes at least."""
MOST_SWEEPS = 50


def eades_lin_smyth(bounds: Int64, graph: Adjacency, *, threads: int | None = None) -> Int64:
    """Order the nodes of each graph `bounds[g] … bounds[g+1]-1`: int64[nodes].

    Sinks come last, sources first, and when there are neither the node with the greatest surplus of outgoing weight.
    """
    order = np.arange(bounds[-1])
    over_slices(
        lambda first, last: _eades_slice(first, last, bounds, graph.start, graph.target, graph.weight, order),
        np.diff(bounds),
        threads=threads,
    )
    return order


def move_blocks(bounds: Int64, graph: Adjacency, order: Int64, *, threads: int | None = None) -> None:
    """Improve `order` in place: move single nodes, then blocks of neighbours, until no move drops less weight."""
    over_slices(
        lambda first, last: _move_slice(
            first, last, bounds, graph.start, graph.target, graph.weight, order, BLOCK_BUDGET, MOST_SWEEPS
        ),
        np.diff(bounds) ** 2,
        threads=threads,
    )


@compile_kernel
def _raise_surplus(tree: Int64, leaves: int, surplus: Float64, v: int, alive: bool) -> None:
    """Update the tournament tree whose root names the living node of greatest surplus (the first of equals)."""
    k = leaves + v
    tree[k] = v if alive else -1
    k >>= 1
    while k > 0:
        left, right = tree[2 * k], tree[2 * k + 1]
        if left < 0 or (right >= 0 and surplus[right] > surplus[left]):
            left = right
        tree[k] = left
        k >>= 1


@compile_kernel
def _eades_slice(
    first: int, last: int, bounds: Int64, start: Int64, target: Int64, weight: Float64, order: Int64
) -> None:
    for g in range(first, last):
        base, n = bounds[g], bounds[g + 1] - bounds[g]
        leaves = 1
        while leaves < n:
            leaves *= 2
        tree = np.full(2 * leaves, -1, np.int64)
        surplus, alive = np.zeros(n), np.ones(n, np.bool_)
        n_in, n_out = np.zeros(n, np.int64), np.zeros(n, np.int64)
        ready, n_ready = np.empty(2 * n, np.int64), 0  # nodes that became a sink or a source
        for v in range(n):
            for k in range(start[base + v], start[base + v + 1]):
                surplus[v] += weight[k]
                n_out[v] += weight[k] > 0
                n_in[v] += weight[k] < 0
        for v in range(n - 1, -1, -1):
            _raise_surplus(tree, leaves, surplus, v, True)
            if n_out[v] == 0 or n_in[v] == 0:
                ready[n_ready] = v
                n_ready += 1
        head, tail = base, base + n - 1
        while head <= tail:
            v = tree[1]
            if n_ready > 0:
                n_ready -= 1
                v = ready[n_ready]
                if not alive[v]:
                    continue
            if n_out[v] == 0:
                order[tail] = base + v
                tail -= 1
            else:
                order[head] = base + v
                head += 1
            alive[v] = False
            _raise_surplus(tree, leaves, surplus, v, False)
            for k in range(start[base + v], start[base + v + 1]):
                u = target[k] - base
                if not alive[u] or weight[k] == 0.0:
                    continue
                surplus[u] += weight[k]  # u loses the arc v to u (weight > 0), or the arc u to v (weight < 0)
                degree = n_in if weight[k] > 0 else n_out
                degree[u] -= 1
                if degree[u] == 0:
                    ready[n_ready] = u
                    n_ready += 1
                _raise_surplus(tree, leaves, surplus, u, True)


@compile_kernel
def _best_move(
    order: Int64,
    place: Int64,
    base: int,
    end: int,
    begin: int,
    longest: int,
    start: Int64,
    target: Int64,
    weight: Float64,
    past: Float64,
    met: Int64,
    tolerance: float,
) -> tuple[int, int]:
    """The block that begins at `begin`, and where its first node should go, that lower the cost most; (0, 0) if none.

    `past[k]` is what the block pays for passing the node at place k from left to right; 0 everywhere before and after.
    `met` holds the places of its neighbours in ascending order, for the cost changes nowhere else; when there are
    many, walking over all places is cheaper than keeping the list.
    """
    best, best_length, best_to = -tolerance, 0, 0
    n_met, all_places = 0, False
    stop = min(begin + longest, end)
    for after in range(begin + 1, stop + 1):
        v = order[after - 1]
        for k in range(start[v], start[v + 1]):
            p = place[target[k]]
            if (
                past[p - base] == 0.0 and not all_places
            ):  # new, or cancelled and then listed twice, which is harmless
                q = n_met
                while q > 0 and met[q - 1] > p:
                    met[q] = met[q - 1]
                    q -= 1
                met[q] = p
                n_met += 1
                all_places = 8 * n_met > end - base
            past[p - base] += weight[k]
        cost, previous = 0.0, -1
        for k in range(after if all_places else 0, end if all_places else n_met):
            p = k if all_places else met[k]
            if p < after or p == previous:
                continue
            cost += past[p - base]
            previous = p
            if cost < best:
                best, best_length, best_to = cost, after - begin, begin + p + 1 - after
        cost, previous = 0.0, -1
        for k in range(begin - 1 if all_places else n_met - 1, base - 1 if all_places else -1, -1):
            p = k if all_places else met[k]
            if p >= begin or p == previous:
                continue
            cost -= past[p - base]
            previous = p
            if cost < best:
                best, best_length, best_to = cost, after - begin, p
    for after in range(begin + 1, stop + 1):
        v = order[after - 1]
        for k in range(start[v], start[v + 1]):
            past[place[target[k]] - base] = 0.0
    return best_length, best_to


@compile_kernel
def _move_block(order: Int64, place: Int64, begin: int, length: int, to: int) -> None:
    """Let the block `order[begin : begin + length]` begin at `to`; the nodes between close up."""
    block = order[begin : begin + length].copy()
    if to > begin:
        for k in range(begin, to):
            order[k] = order[k + length]
    else:
        for k in range(begin - 1, to - 1, -1):
            order[k + length] = order[k]
    for k in range(length):
        order[to + k] = block[k]
    for k in range(min(begin, to), max(begin, to) + length):
        place[order[k]] = k


@compile_kernel
def _move_slice(
    first: int,
    last: int,
    bounds: Int64,
    start: Int64,
    target: Int64,
    weight: Float64,
    order: Int64,
    budget: float,
    sweeps: int,
) -> None:
    place = np.empty(len(order), np.int64)
    for g in range(first, last):
        base, end = bounds[g], bounds[g + 1]
        n = end - base
        total = 0.0
        for k in range(start[base], start[end]):
            total += abs(weight[k])
        for k in range(base, end):
            place[order[k]] = k
        past, met = np.zeros(n), np.empty(n, np.int64)
        longest, most = 1, int(np.sqrt(budget / (start[end] - start[base] + 1)))
        for _ in range(sweeps):
            moved = False
            begin = base
            while begin < end:
                length, to = _best_move(
                    order, place, base, end, begin, longest, start, target, weight, past, met, 1e-9 * total
                )
                if length > 0:
                    _move_block(order, place, begin, length, to)
                    moved = True
                begin += 1
            if not moved and longest > 1:
                break
            if not moved:
                longest = max(2, min(n // 2, most))
