"""Votes of people: their verdicts on pairs, which of them may test the panel, and the votes without them."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curate.aggregate.annotator_reliability import estimate_reliability
from curate.aggregate.votes import Float64, Int64, Votes
from curate.config.aggregate import GuaranteeSection
from curate.core.identity import content_id

Bool = NDArray[np.bool_]
PLAIN_STRENGTH = 2.0  # of a verdict that says nothing of it, as of one between slightly (1) and much (3)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """L pairs that people judged, ascending.

    | field     | type       | meaning |
    | ---       | ---        | --- |
    | `pairs`   | int64[L]   | a · responses + b, of the response indexes |
    | `verdict` | float64[L] | mean of their verdicts, by `trust` and strength: 1 for a, -1 for b, 0 a tie or a draw |
    | `is_drawn` | bool[L]   | whether the pair belongs to the random sample that the guarantee stands on |
    | `coin`    | float64[L] | a number in 0 … 1 by the pair's ids: as good as random, and always the same |
    | `is_random_sample` | bool | whether the sample is known to be random, not only taken to be |
    | `trust`   | float64[A] | weight of each person's word among people; empty: all alike |
    | `is_split` | bool[L]   | whether a verdict of 0 is a draw of people who took sides, and no tie; empty: nowhere |
    """

    pairs: Int64
    verdict: Float64
    is_drawn: Bool
    coin: Float64
    is_random_sample: bool = False
    trust: Float64 = field(default_factory=lambda: np.empty(0))
    is_split: Bool = field(default_factory=lambda: np.zeros(0, np.bool_))

    def __len__(self) -> int:
        return len(self.pairs)

    def select_tested(self, learn: float) -> Bool:
        """Mark the pairs whose verdicts no model sees, bool[L], if it may learn from a share of the sample."""
        return self.is_drawn & (self.coin >= learn)


def read_people(
    votes: Votes,
    response_ids: pa.Array,
    section: GuaranteeSection | None,
    random_pairs: Set[tuple[str, str]],
    *,
    planned: bool,
    strength: Float64 | None = None,
) -> People:
    """Read people's verdicts from `votes`.

    `planned`: whether the lake has verify tasks, of which those about `random_pairs` (ids in canonical order) are
    random. `strength`: see `collect_verdicts`.
    """
    trusted = estimate_reliability(votes)
    pairs, verdict = collect_verdicts(votes, trusted, strength)
    rows = votes.human_rows
    sided = np.unique(votes.pair_keys(rows)[votes.outcome[rows] != 0])
    width = max(votes.n_responses, 1)
    a, b = (response_ids.take(pa.array(index)).to_pylist() for index in (pairs // width, pairs % width))
    named = [tuple(sorted(pair)) for pair in zip(a, b, strict=True)]
    wanted = section.labels if section is not None else "auto"
    only_drawn = wanted == "random" or (wanted == "auto" and planned)
    return People(
        pairs=pairs,
        verdict=verdict,
        is_drawn=np.array([not only_drawn or pair in random_pairs for pair in named], np.bool_),
        coin=np.array([int(content_id(*pair)[:13], 16) / 16**13 for pair in named]),
        is_random_sample=only_drawn,
        trust=trusted,
        is_split=(verdict == 0.0) & np.isin(pairs, sided),
    )


def collect_verdicts(
    votes: Votes, trusted: Float64, strength: Float64 | None = None
) -> tuple[Int64, Float64]:
    """Collect the pairs that people judged and their mean verdict; one person's two orders are two votes.

    Args:
        votes: The votes of judges and people.
        trusted: float64[A], weights of the people.
        strength: float64[rows of people], how much better the winner was called: "much better" outweighs somebody
            else's "slightly better". None: all alike.
    """
    rows = votes.human_rows
    pairs, index = np.unique(votes.pair_keys(rows), return_inverse=True)
    weight = trusted[votes.annotator[rows]] * (1.0 if strength is None else strength)
    total = np.bincount(index, votes.outcome[rows] * weight, minlength=len(pairs))
    whole = np.bincount(index, weight, minlength=len(pairs))
    mean: Float64 = np.round(total / whole, 12)  # what cancels out is 0, not 1e-17
    return pairs.astype(np.int64), mean


def match_strengths(votes: Votes, response_ids: pa.Array, strengths: pa.Table) -> Float64 | None:
    """Find the strength of each vote of people, float64[rows of people]; None where nobody said any.

    Args:
        votes: The votes of judges and people.
        response_ids: Id of each response index.
        strengths: Rows of `aggregate_strengths.sql`.
    """
    if not len(strengths):
        return None
    a, b = (
        pc.index_in(strengths[side].cast(pa.large_string()), value_set=response_ids).to_pylist()
        for side in ("response_a", "response_b")
    )
    number = {name: index for index, name in enumerate(votes.annotators)}
    known = {
        (min(pair), max(pair), number.get(name)): strength
        for *pair, name, strength in zip(
            a, b, strengths["name"].to_pylist(), strengths["strength"].to_pylist(), strict=True
        )
    }
    rows = votes.human_rows
    keys = zip(votes.a[rows].tolist(), votes.b[rows].tolist(), votes.annotator[rows].tolist(), strict=True)
    return np.array([known.get(key, PLAIN_STRENGTH) for key in keys])


def drop_votes(votes: Votes, hidden: Int64) -> Votes:
    """Drop people's votes on the pairs `hidden` (numbered as in `People`)."""
    if not len(hidden):
        return votes
    rows = votes.human_rows
    is_left = np.ones(len(votes), np.bool_)
    is_left[rows[np.isin(votes.pair_keys(rows), hidden)]] = False
    return votes.select(is_left)
