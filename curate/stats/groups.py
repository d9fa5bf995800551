"""Groups of people who hold different views, for `curate verify groups`: their members and dividing pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.stats.mixture import Ballots, Mixture, Views, find_views

MIN_VERDICTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DividingPair:
    """A pair on which two views differ: P(a is better) in each group."""

    prompt_id: str
    response_a: str
    response_b: str
    p_a: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Groups of people who judge alike.

    `share` of people by group, largest first; `members`: annotator → (likeliest group, its probability); `gain`:
    held-out log-likelihood a verdict that each further group added or would have added, with its standard error;
    `partings`: the pairs on which the groups differ most.
    """

    share: tuple[float, ...]
    members: dict[str, tuple[int, float]]
    gain: dict[int, tuple[float, float]]
    partings: tuple[DividingPair, ...]


def find_groups(lake: Lake, *, most: int = 4, shown: int = 10, seed: int = 0) -> Groups:
    """Fit it to people's verdicts as they stand."""
    is_pair = (pl.col("response_b") != "") & pl.col("verdict").is_not_null()
    rows = lake.frame(read_query("verify_verdicts")).filter(is_pair)
    if rows.height < MIN_VERDICTS:
        raise CurateError(
            f"People have given {rows.height} verdicts on pairs: views can be told apart from {MIN_VERDICTS} on."
        )
    people = rows["annotator_id"].unique().sort()
    ids = pl.concat([rows["response_a"], rows["response_b"]]).unique().sort()
    ballots = Ballots(
        annotator=people.search_sorted(rows["annotator_id"]).to_numpy().astype(np.int64),
        a=ids.search_sorted(rows["response_a"]).to_numpy().astype(np.int64),
        b=ids.search_sorted(rows["response_b"]).to_numpy().astype(np.int64),
        y=rows["verdict"].to_numpy().astype(np.float64) / 2,
        annotators=len(people),
        responses=len(ids),
    )
    return _describe_groups(find_views(ballots, most=most, seed=seed), people.to_list(), rows, ballots, shown)


def _describe_groups(
    views: Views, people: list[str], rows: pl.DataFrame, ballots: Ballots, shown: int
) -> Groups:
    mixture = views.mixture
    likeliest = mixture.belongs.argmax(axis=1)
    members = {
        name: (int(g), round(float(mixture.belongs[i, g]), 4))
        for i, (name, g) in enumerate(zip(people, likeliest, strict=True))
    }
    return Groups(
        share=tuple(round(float(share), 4) for share in mixture.share),
        members=members,
        gain=views.gain,
        partings=_find_partings(mixture, rows, ballots, shown) if mixture.groups > 1 else (),
    )


def _find_partings(
    mixture: Mixture, rows: pl.DataFrame, ballots: Ballots, shown: int
) -> tuple[DividingPair, ...]:
    pairs, first = np.unique(np.stack([ballots.a, ballots.b]), axis=1, return_index=True)
    p = 1 / (1 + np.exp(-(mixture.strength[:, pairs[0]] - mixture.strength[:, pairs[1]])))
    widest = np.argsort(p.min(axis=0) - p.max(axis=0), kind="stable")[:shown]
    chosen = rows[first[widest]].select("prompt_id", "response_a", "response_b").iter_rows()
    return tuple(
        DividingPair(prompt_id=prompt, response_a=a, response_b=b, p_a=tuple(p[:, i].round(3).tolist()))
        for (prompt, a, b), i in zip(chosen, widest, strict=True)
    )
