"""One ranking of models out of one ranking per prompt (the rank ensembles of PGED, arXiv 2410.12869, section 4)."""

from __future__ import annotations

import numpy as np

from curate.aggregate.graph.denoise import denoise_graphs
from curate.aggregate.graph.solution import DenoisedGraphs
from curate.aggregate.ranking.tournament import Tournament
from curate.aggregate.votes import Float64, Int32, Int64


def borda_scores(responses: Int64, rank: Int32, model: Int32, *, models: int | None = None) -> Float64:
    """float64[M], the mean share of a prompt's other ranked responses that a model's response is ahead of.

    Ties count half. `responses` and `rank` are those of `DenoisedGraphs` (rank 0: not ranked), `model` int32[R] says
    who wrote each response (-1: nobody). NaN for a model that was never ranked beside another.
    """
    prompt = np.repeat(np.arange(len(responses) - 1), np.diff(responses))
    ranked = np.flatnonzero(rank > 0)
    prompt = prompt[ranked]
    size = np.bincount(prompt, minlength=len(responses) - 1)
    key = prompt * (int(rank.max(initial=0)) + 1) + rank[ranked]
    _, place, alike = np.unique(key, return_inverse=True, return_counts=True)
    ahead = np.cumsum(size)[prompt] - np.cumsum(alike)[place] + 0.5 * (alike[place] - 1)
    others = size[prompt] - 1
    counted = (others > 0) & (model[ranked] >= 0)
    count = models if models is not None else int(model.max(initial=-1)) + 1
    share = np.bincount(model[ranked][counted], ahead[counted] / others[counted], count)
    times = np.bincount(model[ranked][counted], minlength=count)
    mean: Float64 = np.divide(share, times, out=np.full(count, np.nan), where=times > 0)
    return mean


def kemeny_order(cells: Tournament, *, weighted: bool = True, exact_limit: int = 20) -> DenoisedGraphs:
    """The order of the models that contradicts the prompts' rankings least, as one denoised graph.

    `weighted` counts every prompt (Kemeny 1959: least sum of Kendall distances); otherwise each majority counts 1.
    Exact for 20 models, and beyond that where `denoise` is; 20 take about 50 ms and 50 MB.
    """
    net = cells.wins_a - cells.wins_b
    return denoise_graphs(cells.as_tally(), net=net if weighted else np.sign(net), exact_limit=exact_limit)
