"""One ranking of all models out of the aggregated preferences, by several rules side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.aggregate.ranking.bradley_terry import ELO_PER_LOGIT, bootstrap_scores, bradley_terry
from curate.aggregate.ranking.ensemble import borda_scores, kemeny_order
from curate.aggregate.ranking.pagerank import compute_pagerank
from curate.aggregate.ranking.tournament import Tournament, rank_tournament
from curate.aggregate.votes import Float64, Int32, Int64
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRanking:
    """Models, one row each and the best first.

    `pairs`: how many pairs of responses of two models it stands on; `connected`: whether every model can be compared
    with every other through pairs that were decided or tied.

    | column | |
    | ---    | --- |
    | `place`, `model` | by Bradley–Terry strength; models of equal strength share a place |
    | `elo`, `low`, `high` | strength on the Elo scale (mean 1000) and its bootstrap interval |
    | `best_place`, `worst_place` | the same interval of the place |
    | `wins`, `losses`, `ties` | of pairs of responses with other models' |
    | `borda` | mean share of a prompt's other responses that the model's is ahead of |
    | `pagerank` | share of the rank that losers hand to winners |
    | `kemeny` | place in the order that contradicts the prompts' rankings least |
    """

    models: pl.DataFrame
    pairs: int
    connected: bool


def rank_models(
    lake: Lake,
    *,
    ties: Literal["half", "davidson"] = "half",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> ModelRanking:
    """Rank the models named by `responses.model` on the lake's final preferences and rankings.

    Every pair counts once, however many judges it had: what judges say together is the aggregation's business. The
    intervals come from drawing pairs anew, so they tell how far the models are apart on these prompts, not what the
    judges get wrong together.
    """
    met = lake.frame(read_query("rank_models"))
    if not len(met):
        raise CurateError(
            "There are no preferences between responses of two models: name the model of each response when ingesting "
            "them, and run `curate aggregate` first."
        )
    places = lake.frame(read_query("rank_places"))
    names = np.unique(
        np.concatenate([met["first_model"].to_numpy(), met["second_model"].to_numpy()]).astype(str)
    )
    cells = Tournament(
        models=len(names),
        a=np.searchsorted(names, met["first_model"].to_numpy().astype(str)),
        b=np.searchsorted(names, met["second_model"].to_numpy().astype(str)),
        wins_a=met["wins_first"].to_numpy().astype(np.float64),
        wins_b=met["wins_second"].to_numpy().astype(np.float64),
        ties=met["ties"].to_numpy().astype(np.float64),
        votes=float(met.select(pl.sum_horizontal("wins_first", "wins_second", "ties").sum()).item()),
    )
    fitted = bradley_terry(cells, ties=ties)
    interval = bootstrap_scores(cells, ties=ties, resamples=resamples, level=level, seed=seed)
    responses, rank, model = _name_ranks(places, names)
    strength = np.round(fitted.strength, 9)
    frame = pl.DataFrame(
        {
            "place": 1 + (strength[None, :] > strength[:, None]).sum(axis=1),
            "model": names.tolist(),
            "elo": np.round(fitted.elo, 1),
            "low": np.round(1000.0 + ELO_PER_LOGIT * interval.low, 1),
            "high": np.round(1000.0 + ELO_PER_LOGIT * interval.high, 1),
            "best_place": interval.best_rank,
            "worst_place": interval.worst_rank,
            **_count_wins(cells),
            "borda": np.round(borda_scores(responses, rank, model, models=len(names)), 4),
            "pagerank": np.round(compute_pagerank(cells), 4),
            "kemeny": kemeny_order(rank_tournament(responses, rank, model, models=len(names))).rank,
        }
    )
    return ModelRanking(
        models=frame.sort("place", "model"), pairs=round(cells.votes), connected=_is_connected(cells)
    )


def _name_ranks(places: pl.DataFrame, names: NDArray[np.str_]) -> tuple[Int64, Int32, Int32]:
    """Responses, ranks and models as the rank ensembles read them; -1 for a model that met no other."""
    size = places.group_by("prompt_id", maintain_order=True).len()["len"].to_numpy()
    named = places["model"].to_numpy().astype(str)
    at = np.minimum(np.searchsorted(names, named), len(names) - 1)
    model = np.where(names[at] == named, at, -1).astype(np.int32) if len(named) else np.empty(0, np.int32)
    return (
        np.concatenate(([0], np.cumsum(size))).astype(np.int64),
        places["rank"].to_numpy().astype(np.int32),
        model,
    )


def _count_wins(cells: Tournament) -> dict[str, Int64]:
    def total(for_a: Float64, for_b: Float64) -> Int64:
        both = np.bincount(cells.a, for_a, cells.models) + np.bincount(cells.b, for_b, cells.models)
        counted: Int64 = np.round(both).astype(np.int64)
        return counted

    return {
        "wins": total(cells.wins_a, cells.wins_b),
        "losses": total(cells.wins_b, cells.wins_a),
        "ties": total(cells.ties, cells.ties),
    }


def _is_connected(cells: Tournament) -> bool:
    """Tell whether the models that met form one group."""
    group = np.arange(cells.models)
    for _ in range(cells.models):
        least = group.copy()
        np.minimum.at(least, cells.a, group[cells.b])
        np.minimum.at(least, cells.b, group[cells.a])
        if np.array_equal(least, group):
            break
        group = least
    return bool((group == group[0]).all())
