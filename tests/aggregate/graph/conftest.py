"""Small preference graphs, and the optimum over all n! orders as the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from curate.aggregate.graph.tally import PairTally

Arcs = dict[tuple[int, int], float]  # (i, j) with i < j -> signed weight, positive for i


@dataclass(frozen=True)
class Enumerated:
    """Over all orders of one graph: the optimum, and the least cost with u ahead of v."""

    optimum: float
    least: NDArray[np.float64]
    feedback_sets: set[frozenset[tuple[int, int]]]


def order_cost(arcs: Arcs, order: tuple[int, ...]) -> float:
    place = {v: k for k, v in enumerate(order)}
    return sum(abs(w) for (i, j), w in arcs.items() if w and (place[i] < place[j]) != (w > 0))


def enumerate_orders(n: int, arcs: Arcs) -> Enumerated:
    least = np.full((n, n), np.inf)
    costs = {order: order_cost(arcs, order) for order in permutations(range(n))}
    for order, cost in costs.items():
        for k, u in enumerate(order):
            for v in order[k + 1 :]:
                least[u, v] = min(least[u, v], cost)
    optimum = min(costs.values())
    sets = set()
    for order, cost in costs.items():
        if cost <= optimum + 1e-9:
            place = {v: k for k, v in enumerate(order)}
            sets.add(frozenset(p for p, w in arcs.items() if w and (place[p[0]] < place[p[1]]) != (w > 0)))
    return Enumerated(optimum=optimum, least=least, feedback_sets=sets)


def tally_of(graphs: list[tuple[int, Arcs]]) -> PairTally:
    """One prompt per (n, arcs); the arc's weight is put on its winning side."""
    responses = np.cumsum([0, *(n for n, _ in graphs)])
    rows = [
        (responses[p] + i, responses[p] + j, w)
        for p, (_, arcs) in enumerate(graphs)
        for (i, j), w in sorted(arcs.items())
    ]
    a, b, net = (np.array([row[k] for row in rows]) for k in range(3))
    return PairTally(
        responses=responses.astype(np.int64),
        offsets=np.cumsum([0, *(len(arcs) for _, arcs in graphs)]).astype(np.int64),
        a=a.astype(np.int32),
        b=b.astype(np.int32),
        n=np.ones(len(rows), np.int32),
        weight_a=np.maximum(net.astype(np.float64), 0.0),
        weight_b=np.maximum(-net.astype(np.float64), 0.0),
        weight_tie=np.zeros(len(rows)),
    )


@pytest.fixture(scope="session")
def enumerated() -> Callable[[int, Arcs], Enumerated]:
    return enumerate_orders


@pytest.fixture(scope="session")
def make_tally() -> Callable[[list[tuple[int, Arcs]]], PairTally]:
    return tally_of


@pytest.fixture(scope="session")
def cost_of() -> Callable[[Arcs, tuple[int, ...]], float]:
    return order_cost
