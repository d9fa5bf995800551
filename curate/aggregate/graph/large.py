"""Prompts with more responses than the exact limit: a global tournament of models, or a long list of samples.

Arcs between strongly connected components are all kept by an optimal order, so each component is a problem of its own.
Small components are solved; for the others Eades, Lin and Smyth's order is improved by moving blocks and by solving
windows of neighbours exactly, neither of which ever accepts a worse order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.graph.components import both_ways, build_adjacency, count_reachable, strong_components
from curate.aggregate.graph.exact import Solved, solve_exactly
from curate.aggregate.graph.heuristic import eades_lin_smyth, move_blocks
from curate.aggregate.graph.tally import PairTally
from curate.aggregate.votes import Float64, Int8, Int32, Int64
from curate.core.kernels import over_slices

WINDOW = 12
MOST_ROUNDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """The parts of `DenoisedGraphs` that depend on the order; `standing` is that of `Solved`."""

    direction: Int8
    margin: Float64
    standing: Int32
    order: Int32
    dropped: Float64
    exact: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arcs:
    """Graphs side by side: graph g has the nodes `bounds[g] … bounds[g+1]-1`; `net` is positive for an arc a to b."""

    bounds: Int64
    a: Int64
    b: Int64
    net: Float64

    def cost(self, order: Int64) -> Float64:
        """Return the weight of each arc if `order` drops it, else 0."""
        place = invert_order(order)
        return np.where((place[self.a] < place[self.b]) == (self.net > 0.0), 0.0, np.abs(self.net))

    def restrict_arcs(self, order: Int64, bounds: Int64) -> tuple[Arcs, NDArray[np.bool_], Int64]:
        """Restrict the arcs to ranges of places of `order`: graphs over the places, sorted and with a before b.

        Also returns which arcs those are, and the permutation that sorted them.
        """
        place = invert_order(order)
        part = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        inside = part[place[self.a]] == part[place[self.b]]
        a, b, net = place[self.a[inside]], place[self.b[inside]], self.net[inside]
        a, b, net = np.minimum(a, b), np.maximum(a, b), np.where(a < b, net, -net)
        by_place = np.lexsort((b, a))
        return Arcs(bounds=bounds, a=a[by_place], b=b[by_place], net=net[by_place]), inside, by_place


def invert_order(order: Int64) -> Int64:
    """Return the place of each node."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place


def order_large_prompts(
    pairs: PairTally, net: Float64, solved: Solved, *, limit: int, threads: int | None = None
) -> Ordered:
    """Order the prompts of more than `limit` responses and put them into `solved` (its arrays are written to)."""
    ordered = Ordered(
        direction=np.sign(solved.margin).astype(np.int8),
        margin=np.abs(solved.margin),
        standing=solved.standing,
        order=solved.order,
        dropped=solved.dropped,
        exact=np.ones(pairs.n_prompts, np.bool_),
    )
    size = np.diff(pairs.responses)
    prompts = np.flatnonzero(size > limit)
    if len(prompts) == 0:
        return ordered
    response = np.flatnonzero(np.repeat(size > limit, size))
    pair = np.flatnonzero(np.repeat(size > limit, np.diff(pairs.offsets)))
    node = np.zeros(len(ordered.order), np.int64)
    node[response] = np.arange(len(response))
    bounds = np.concatenate(([0], np.cumsum(size[prompts])))
    arcs = Arcs(bounds=bounds, a=node[pairs.a[pair]], b=node[pairs.b[pair]], net=net[pair])

    order, parts = _by_component(arcs)
    components, inside, by_place = arcs.restrict_arcs(order, parts)
    optimum = solve_arcs(components, limit=limit, threads=threads)
    small, large = np.diff(parts) <= limit, np.flatnonzero(np.diff(parts) > limit)
    reversal = np.empty(len(by_place))
    reversal[by_place] = optimum.margin
    part = np.repeat(np.arange(len(small)), np.diff(parts))[invert_order(order)]
    in_small, in_large = inside & small[part[arcs.a]], inside & ~small[part[arcs.a]]
    place = invert_order(order)
    order = order[optimum.order]
    if len(large):
        places = np.flatnonzero(np.repeat(~small, np.diff(parts)))
        order[places] = order[places[_order_components(components, large, places, threads)]]
        ordered.exact[prompts[np.searchsorted(bounds, parts[large], side="right") - 1]] = False

    direction, margin = np.sign(arcs.net), np.abs(arcs.net)
    turned = np.where(place[arcs.a] < place[arcs.b], 1.0, -1.0)
    margin[in_small] = np.abs(reversal[small[part[arcs.a[inside]]]])
    direction[in_small] = (np.sign(reversal) * turned[inside])[small[part[arcs.a[inside]]]]
    place = invert_order(order)
    forward = np.where(place[arcs.a] < place[arcs.b], 1.0, -1.0)
    direction[in_large] = np.where(arcs.net[in_large] == 0.0, 0.0, forward[in_large])
    margin[in_large] = np.nan

    standing, implied = _find_reachable(arcs, place, direction, (arcs.net == 0.0) & ~in_small, threads)
    direction[implied], margin[implied] = forward[implied], np.nan
    ordered.direction[pair], ordered.margin[pair] = direction.astype(np.int8), margin
    ordered.standing[response] = standing
    ordered.order[response] = response[order]
    graph = np.repeat(np.arange(len(prompts)), size[prompts])[arcs.a]
    ordered.dropped[prompts] = np.bincount(graph, arcs.cost(order), minlength=len(prompts))
    return ordered


def solve_arcs(arcs: Arcs, *, limit: int, threads: int | None = None) -> Solved:
    """`solve` for arcs that are sorted."""
    offsets = np.searchsorted(arcs.a, arcs.bounds)
    return solve_exactly(
        arcs.bounds,
        offsets,
        arcs.a.astype(np.int32),
        arcs.b.astype(np.int32),
        arcs.net,
        limit=limit,
        threads=threads,
    )


def _by_component(arcs: Arcs) -> tuple[Int64, Int64]:
    """Nodes by graph and by component in topological order, and the bounds of the components in that order."""
    nodes, real = int(arcs.bounds[-1]), arcs.net != 0.0
    forward = arcs.net[real] > 0.0
    a, b = arcs.a[real], arcs.b[real]
    out = build_adjacency(nodes, np.where(forward, a, b), np.where(forward, b, a), np.abs(arcs.net[real]))
    component = strong_components(out.start, out.target)
    graph = np.repeat(np.arange(len(arcs.bounds) - 1), np.diff(arcs.bounds))
    order = np.lexsort((-component, graph))
    starts = np.flatnonzero(np.diff(component[order])) + 1
    return order, np.concatenate(([0], starts, [nodes]))


def _order_components(components: Arcs, large: Int64, places: Int64, threads: int | None) -> Int64:
    """A locally optimal order of the components `large`, which lie at `places`, as indexes of `places`."""
    bounds = np.concatenate(([0], np.cumsum(np.diff(components.bounds)[large])))
    number = np.full(components.bounds[-1], -1, np.int64)
    number[places] = np.arange(len(places))
    chosen = (number[components.a] >= 0) & (components.net != 0.0)
    arcs = Arcs(
        bounds=bounds,
        a=number[components.a[chosen]],
        b=number[components.b[chosen]],
        net=components.net[chosen],
    )
    graph = both_ways(len(places), arcs.a, arcs.b, arcs.net)
    order = eades_lin_smyth(bounds, graph, threads=threads)
    cost = arcs.cost(order).sum()
    for _ in range(MOST_ROUNDS):
        move_blocks(bounds, graph, order, threads=threads)
        for shift in (0, WINDOW // 2):
            order = _solve_windows(arcs, order, shift, threads)
        before, cost = cost, arcs.cost(order).sum()
        if cost >= before * (1.0 - 1e-9):
            break
    return order


def _solve_windows(arcs: Arcs, order: Int64, shift: int, threads: int | None) -> Int64:
    """Put each window of neighbours into its best order; windows do not cross the bounds of a graph."""
    starts = [
        np.arange(first, last, WINDOW) for first, last in zip(arcs.bounds[:-1], arcs.bounds[1:], strict=True)
    ]
    shifted = np.concatenate(starts) + shift
    bounds = np.unique(np.concatenate((arcs.bounds, shifted[shifted < arcs.bounds[-1]])))
    windows, _, _ = arcs.restrict_arcs(order, bounds)
    better: Int64 = order[solve_arcs(windows, limit=WINDOW, threads=threads).order]
    return better


def _find_reachable(
    arcs: Arcs, place: Int64, direction: Float64, unsure: NDArray[np.bool_], threads: int | None
) -> tuple[Int64, Int64]:
    """From the sure pairs: nodes behind less nodes ahead of each node, and which of the unsure pairs they connect."""
    nodes = len(place)
    first, second = np.minimum(place[arcs.a], place[arcs.b]), np.maximum(place[arcs.a], place[arcs.b])
    sure = direction != 0.0
    asked = np.flatnonzero(unsure)
    asked = asked[np.argsort(first[asked], kind="stable")]
    forward = build_adjacency(nodes, first[sure], second[sure], np.empty(int(sure.sum())))
    query = build_adjacency(nodes, first[asked], second[asked], np.empty(len(asked)))
    mirrored = build_adjacency(
        nodes, nodes - 1 - second[sure], nodes - 1 - first[sure], np.empty(int(sure.sum()))
    )
    nothing = build_adjacency(nodes, np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    behind, ahead, answer = (
        np.zeros(nodes, np.int64),
        np.zeros(nodes, np.int64),
        np.zeros(len(asked), np.int64),
    )
    for bounds, graph, questions, count in (
        (arcs.bounds, forward, query, behind),
        (nodes - arcs.bounds[::-1], mirrored, nothing, ahead),
    ):
        task = (bounds, graph.start, graph.target, questions.start, questions.target, count, answer)
        over_slices(partial(_run_count, task), np.diff(bounds) ** 2, threads=threads)
    return (behind - ahead[::-1])[place], asked[answer > 0]


def _run_count(task: tuple[Int64, ...], first: int, last: int) -> None:
    count_reachable(first, last, *task)
