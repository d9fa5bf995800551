"""From judged pairs to acyclic preference graphs."""

from __future__ import annotations

import numpy as np

from curate.aggregate.graph.arcs import TIE_TOLERANCE, net_votes
from curate.aggregate.graph.by_annotator import annotator_graphs
from curate.aggregate.graph.exact import MOST_RESPONSES, solve_exactly
from curate.aggregate.graph.large import order_large_prompts
from curate.aggregate.graph.solution import DenoisedGraphs
from curate.aggregate.graph.tally import PairTally, tally_pairs
from curate.aggregate.votes import Float64, Int32, Int64, Votes
from curate.core.errors import CurateError
from curate.core.kernels import compile_kernel


def denoise_graphs(
    pairs: PairTally, *, net: Float64 | None = None, exact_limit: int = 16, threads: int | None = None
) -> DenoisedGraphs:
    """Remove the minimum-weight feedback arc set of every prompt's graph.

    `net` float64[E] holds the signed arc weights (default: `net_votes`); `log_odds` of a model's posterior
    gives the most probable order instead of the one that the most votes support. Exact for prompts of at most
    `exact_limit` responses, 20 at most; each response more doubles the time (16: about 2 ms, 19: about 20 ms
    a prompt). Larger prompts are exact where their strongly connected components are that small; see
    `graph.large`.
    """
    if not 2 <= exact_limit <= MOST_RESPONSES:
        raise CurateError(f"denoise: exact_limit is {exact_limit}; give a number from 2 to {MOST_RESPONSES}.")
    net = net_votes(pairs) if net is None else np.ascontiguousarray(net, np.float64)
    if len(net) != len(pairs) or not np.isfinite(net).all():
        raise CurateError(
            f"denoise: {len(net)} arc weights for {len(pairs)} pairs; give one finite weight for each."
        )
    solved = solve_exactly(
        pairs.responses, pairs.offsets, pairs.a, pairs.b, net, limit=exact_limit, threads=threads
    )
    ordered = order_large_prompts(pairs, net, solved, limit=exact_limit, threads=threads)
    rank = np.zeros(len(ordered.order), np.int32)
    prompt_margin = np.empty(pairs.n_prompts)
    _summarise_graphs(
        pairs.responses,
        pairs.offsets,
        pairs.a,
        pairs.b,
        net,
        ordered.margin,
        ordered.standing,
        rank,
        prompt_margin,
    )
    return DenoisedGraphs(
        tally=pairs,
        net=net,
        direction=ordered.direction,
        margin=ordered.margin,
        order=ordered.order,
        rank=rank,
        dropped_weight=ordered.dropped,
        prompt_margin=prompt_margin,
        exact=ordered.exact,
    )


@compile_kernel
def _summarise_graphs(
    responses: Int64,
    offsets: Int64,
    a: Int32,
    b: Int32,
    net: Float64,
    margin: Float64,
    standing: Int32,
    rank: Int32,
    prompt_margin: Float64,
) -> None:
    """Compute ranks of the judged responses, and the least margin over the arcs, of each prompt."""
    for p in range(len(responses) - 1):
        least = np.inf
        for e in range(offsets[p], offsets[p + 1]):
            rank[a[e]] = rank[b[e]] = 1
            if net[e] != 0.0 and not margin[e] >= least and not np.isnan(least):
                least = margin[e]  # NaN, once met, stays
        prompt_margin[p] = least if least < np.inf else np.nan
        n = responses[p + 1] - responses[p]
        above = np.zeros(2 * n + 1, np.int32)  # by standing, which lies between 1 - n and n - 1
        for v in range(responses[p], responses[p + 1]):
            above[n - standing[v]] += rank[v]
        for k in range(2 * n):
            above[k + 1] += above[k]
        for v in range(responses[p], responses[p + 1]):
            rank[v] *= 1 + above[n - standing[v] - 1]


def sum_denoised_graphs(
    votes: Votes,
    *,
    weight: Float64 | None = None,
    soft: bool = False,
    exact_limit: int = 16,
    threads: int | None = None,
) -> tuple[PairTally, Float64]:
    """Denoise each annotator's graph and sum what is left: the tally of all votes, and float64[E] for `denoise_graphs`.

    This is the order of PGED's released code. An annotator's arc is left where all of that graph's optimal orders keep
    it, so of a balanced cycle nothing is, instead of what an arbitrary choice leaves. The released code stops at the
    sum, which may be cyclic again, and is to be denoised too.
    """
    graphs = annotator_graphs(votes, weight=weight, soft=soft, threads=threads)
    denoised = denoise_graphs(graphs.pairs, exact_limit=exact_limit, threads=threads)
    left = np.flatnonzero(denoised.direction * denoised.net > 0.0)
    together = tally_pairs(votes, weight=weight, soft=soft, threads=threads)
    arcs = _pair_key(
        graphs.response[graphs.pairs.a[left]], graphs.response[graphs.pairs.b[left]], votes.n_responses
    )
    place = np.searchsorted(_pair_key(together.a, together.b, votes.n_responses), arcs)
    net: Float64 = np.bincount(place, denoised.net[left], minlength=len(together)).astype(np.float64)
    weight_left = np.bincount(place, np.abs(denoised.net[left]), minlength=len(together))
    net[np.abs(net) <= TIE_TOLERANCE * weight_left] = 0.0
    return together, net


def drop_contradicted_votes(votes: Votes, *, exact_limit: int = 16, threads: int | None = None) -> Votes:
    """Drop the votes that the denoised graph of their own annotator does not keep, as `sum_denoised_graphs` does.

    What is left is for an annotator model that learns weights: denoising first, and then an ensemble by the model. A
    judge that answers by position loses both of its votes. Ties contradict nothing, and people's votes all stay: their
    verdicts are put in after the model.
    """
    graphs = annotator_graphs(votes, soft=True, threads=threads)
    denoised = denoise_graphs(graphs.pairs, exact_limit=exact_limit, threads=threads)
    size = len(votes.annotators)
    annotator = graphs.annotator[graphs.pairs.prompt]
    arcs = (
        _pair_key(graphs.response[graphs.pairs.a], graphs.response[graphs.pairs.b], votes.n_responses) * size
        + annotator
    )
    order = np.argsort(arcs)
    place = np.searchsorted(arcs, votes.pair_keys() * size + votes.annotator, sorter=order)
    kept = denoised.direction[order[place]] * (votes.p_a - np.float32(0.5)) > 0
    return votes.select(kept | (votes.outcome == 0) | votes.human[votes.annotator])


def _pair_key(a: Int32, b: Int32, responses: int) -> Int64:
    """Number pairs, ascending as the pairs of a tally are."""
    return a.astype(np.int64) * responses + b
