"""What other libraries do with the same votes. Each returns pairs a, b and, per pair, > 0 for a and < 0 for b."""

from __future__ import annotations

from collections import deque
from itertools import combinations
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.aggregate.votes import Votes

COLUMNS = ("prompt", "a", "b", "annotator", "shown", "outcome", "p_a")
Said = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def first(votes: Votes, judgments: int) -> Votes:
    """The votes of the first prompts, about `judgments` of them."""
    if judgments >= len(votes):
        return votes
    prompts = max(1, int(votes.prompt[judgments]))
    n = int(np.searchsorted(votes.prompt, prompts))
    columns = {name: getattr(votes, name)[:n] for name in COLUMNS}
    return Votes(
        offsets=votes.offsets[: prompts + 1], annotators=votes.annotators, human=votes.human, **columns
    )


def duckdb_group_by(votes: Votes) -> Said:
    """Majority as one SQL query over Arrow columns."""
    table = pa.table({"a": votes.a, "b": votes.b, "outcome": votes.outcome})
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.register("votes", table)
        said = connection.execute(
            "SELECT a, b, sum(outcome) AS says, count(*) AS n FROM votes GROUP BY a, b"
        ).fetchnumpy()
    return said["a"], said["b"], np.asarray(said["says"], np.float64)


def crowdkit_majority(votes: Votes) -> Said:
    import pandas as pd
    from crowdkit.aggregation import MajorityVote

    pair = votes.a.astype(np.int64) * votes.n_responses + votes.b
    frame = pd.DataFrame({"task": pair, "worker": votes.annotator, "label": votes.outcome})
    said = MajorityVote().fit_predict(frame)
    key = said.index.to_numpy()
    return key // votes.n_responses, key % votes.n_responses, said.to_numpy()


def crowdkit_dawid_skene(votes: Votes) -> Said:
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    pair = votes.a.astype(np.int64) * votes.n_responses + votes.b
    frame = pd.DataFrame({"task": pair, "worker": votes.annotator, "label": votes.outcome})
    # No tolerance: its likelihood falls after two steps, and it would stop there.
    said = DawidSkene(n_iter=20, tol=-np.inf).fit_predict(frame)
    key = said.index.to_numpy()
    return key // votes.n_responses, key % votes.n_responses, said.to_numpy()


def choix_per_prompt(votes: Votes) -> Said:
    """Bradley–Terry of each prompt by choix's iterative Luce spectral ranking; it knows no ties."""
    import choix

    bounds = np.searchsorted(votes.prompt, np.arange(votes.n_prompts + 1))
    pairs_a, pairs_b, says = [], [], []
    for p in range(votes.n_prompts):
        inside = slice(bounds[p], bounds[p + 1])
        base, n = votes.offsets[p], int(votes.offsets[p + 1] - votes.offsets[p])
        x, a, b = votes.outcome[inside], votes.a[inside] - base, votes.b[inside] - base
        won, lost = np.where(x > 0, a, b)[x != 0], np.where(x > 0, b, a)[x != 0]
        score = choix.ilsr_pairwise(n, list(zip(won.tolist(), lost.tolist(), strict=True)), alpha=0.1)
        i, j = np.triu_indices(n, 1)
        pairs_a.append(base + i)
        pairs_b.append(base + j)
        says.append(score[i] - score[j])
    return np.concatenate(pairs_a), np.concatenate(pairs_b), np.concatenate(says)


def evalica_per_prompt(votes: Votes) -> Said:
    """Bradley–Terry of each prompt by evalica's compiled function, without its pandas layer."""
    import evalica
    from evalica import _brzo

    winner = {1: evalica.Winner.X, 0: evalica.Winner.Draw, -1: evalica.Winner.Y}
    bounds = np.searchsorted(votes.prompt, np.arange(votes.n_prompts + 1))
    pairs_a, pairs_b, says = [], [], []
    for p in range(votes.n_prompts):
        inside = slice(bounds[p], bounds[p + 1])
        base, n = votes.offsets[p], int(votes.offsets[p + 1] - votes.offsets[p])
        score, _ = _brzo.bradley_terry(
            xs=(votes.a[inside] - base).tolist(),
            ys=(votes.b[inside] - base).tolist(),
            winners=[winner[o] for o in votes.outcome[inside].tolist()],
            weights=[1.0] * int(bounds[p + 1] - bounds[p]),
            total=n,
            win_weight=1.0,
            tie_weight=0.5,
            tolerance=1e-6,
            limit=100,
        )
        i, j = np.triu_indices(n, 1)
        pairs_a.append(base + i)
        pairs_b.append(base + j)
        says.append(np.asarray(score)[i] - np.asarray(score)[j])
    return np.concatenate(pairs_a), np.concatenate(pairs_b), np.concatenate(says)


def networkx_pged(votes: Votes) -> Said:
    """PGED as published (arXiv 2410.12869): sum the graphs, drop Eades–Lin–Smyth's arcs, rank by descendants."""
    import networkx as nx

    bounds = np.searchsorted(votes.prompt, np.arange(votes.n_prompts + 1))
    pairs_a, pairs_b, says = [], [], []
    for p in range(votes.n_prompts):
        inside = slice(bounds[p], bounds[p + 1])
        graph = nx.DiGraph()
        graph.add_nodes_from(range(int(votes.offsets[p]), int(votes.offsets[p + 1])))
        for (a, b), w in _summed(votes, inside).items():
            if w:
                graph.add_edge(*((a, b) if w > 0 else (b, a)), weight=abs(w))
        for component in list(nx.strongly_connected_components(graph)):
            if len(component) > 1:
                graph.remove_edges_from(_eades_arcs(graph.subgraph(component)))
        descendants = {v: len(nx.descendants(graph, v)) for v in graph}
        for a, b in combinations(sorted(graph), 2):
            pairs_a.append(a)
            pairs_b.append(b)
            says.append(descendants[a] - descendants[b])
    return np.array(pairs_a), np.array(pairs_b), np.array(says)


def _summed(votes: Votes, inside: slice) -> dict[tuple[int, int], float]:
    weight: dict[tuple[int, int], float] = {}
    columns = (getattr(votes, name)[inside].tolist() for name in ("a", "b", "outcome"))
    for a, b, outcome in zip(*columns, strict=True):
        weight[a, b] = weight.get((a, b), 0.0) + outcome
    return weight


def _eades_arcs(graph: Any) -> list[tuple[int, int]]:
    left, head, tail = graph.copy(), [], deque[int]()
    while left:
        if sinks := [v for v in left if left.out_degree(v) == 0]:
            tail.extendleft(sinks)
            left.remove_nodes_from(sinks)
        elif sources := [v for v in left if left.in_degree(v) == 0]:
            head.extend(sources)
            left.remove_nodes_from(sources)
        else:
            best = max(
                left, key=lambda v: left.out_degree(v, weight="weight") - left.in_degree(v, weight="weight")
            )
            head.append(best)
            left.remove_node(best)
    place = {v: k for k, v in enumerate([*head, *tail])}
    return [(u, v) for u, v in graph.edges if place[u] > place[v]]
