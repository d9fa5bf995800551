"""Strongly connected components, and which nodes can be reached from a node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.votes import Float64, Int64
from curate.core.kernels import compile_kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjacency:
    """Neighbours of node v: `target[start[v] : start[v+1]]`, with `weight` beside them."""

    start: Int64
    target: Int64
    weight: Float64


def build_adjacency(nodes: int, source: Int64, target: Int64, weight: Float64) -> Adjacency:
    """List arcs per source, in the order in which they come."""
    by_source = np.argsort(source, kind="stable")
    start = np.concatenate(([0], np.cumsum(np.bincount(source, minlength=nodes))))
    return Adjacency(start=start, target=target[by_source].astype(np.int64), weight=weight[by_source])


def both_ways(nodes: int, source: Int64, target: Int64, weight: Float64) -> Adjacency:
    """List each arc at its source with its weight, and at its target with the weight negated."""
    return build_adjacency(
        nodes,
        np.concatenate((source, target)),
        np.concatenate((target, source)),
        np.concatenate((weight, -weight)),
    )


@compile_kernel
def strong_components(start: Int64, target: Int64) -> Int64:
    """Number the component of each node, int64[nodes]; arcs between components lead to lower numbers (Tarjan 1972)."""
    nodes = len(start) - 1
    component, low, seen = (
        np.full(nodes, -1, np.int64),
        np.zeros(nodes, np.int64),
        np.full(nodes, -1, np.int64),
    )
    path, waiting, upcoming = np.empty(nodes, np.int64), np.empty(nodes, np.int64), start[:-1].copy()
    visited, n_components, n_waiting = 0, 0, 0
    for root in range(nodes):
        if seen[root] >= 0:
            continue
        depth = 0
        path[0] = waiting[n_waiting] = root
        seen[root] = low[root] = visited
        n_waiting, visited = n_waiting + 1, visited + 1
        while depth >= 0:
            v = path[depth]
            if upcoming[v] < start[v + 1]:
                u = target[upcoming[v]]
                upcoming[v] += 1
                if seen[u] < 0:
                    depth += 1
                    path[depth] = waiting[n_waiting] = u
                    seen[u] = low[u] = visited
                    n_waiting, visited = n_waiting + 1, visited + 1
                elif component[u] < 0:
                    low[v] = min(low[v], seen[u])
                continue
            if low[v] == seen[v]:  # v is the first of its component, which lies on top of it
                u = -1
                while u != v:
                    n_waiting -= 1
                    u = waiting[n_waiting]
                    component[u] = n_components
                n_components += 1
            depth -= 1
            if depth >= 0:
                low[path[depth]] = min(low[path[depth]], low[v])
    return component


@compile_kernel
def count_reachable(
    first: int,
    last: int,
    bounds: Int64,
    start: Int64,
    target: Int64,
    query_start: Int64,
    query_target: Int64,
    count: Int64,
    answer: Int64,
) -> None:
    """Count the nodes that each node of graphs `first … last-1` reaches, and test whether queried pairs are connected.

    Graph g has the nodes `bounds[g] … bounds[g+1]-1`; arcs and queries lead to higher numbers. 64 targets are followed
    at a time, one bit each, so that time is O(nodes × arcs / 64) and memory O(nodes).
    """
    widest = 0
    for g in range(first, last):
        widest = max(widest, bounds[g + 1] - bounds[g])
    reached = np.empty(widest, np.uint64)
    for g in range(first, last):
        base, end = bounds[g], bounds[g + 1]
        for block in range(base, end, 64):
            for v in range(min(block + 64, end) - 1, base - 1, -1):
                bits = np.uint64(0)
                for k in range(start[v], start[v + 1]):
                    u = target[k]
                    if u < block + 64:
                        bits |= reached[u - base]
                        if u >= block:
                            bits |= np.uint64(1) << np.uint64(u - block)
                reached[v - base] = bits
                for k in range(query_start[v], query_start[v + 1]):
                    u = query_target[k]
                    if block <= u < block + 64 and bits >> np.uint64(u - block) & np.uint64(1):
                        answer[k] = 1
                while bits:
                    bits &= bits - np.uint64(1)
                    count[v] += 1
