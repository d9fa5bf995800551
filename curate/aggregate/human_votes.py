"""What people say of pairs: their verdicts, which of them may test the panel, and the panel without them."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.aggregate.annotator_reliability import estimate_reliability
from curate.aggregate.votes import Float64, Int64, Votes
from curate.config.aggregate import GuaranteeSection
from curate.core.identity import content_id

Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """L pairs that people judged, ascending.

    | field     | type       | meaning |
    | ---       | ---        | --- |
    | `pairs`   | int64[L]   | a · responses + b, of the response indexes |
    | `verdict` | float64[L] | mean of their verdicts, by `trust`: 1 for a, -1 for b, 0 a tie or a draw among them |
    | `drawn`   | bool[L]    | whether the pair belongs to the random sample that the guarantee stands on |
    | `coin`    | float64[L] | a number in 0 … 1 by the pair's ids: as good as random, and always the same |
    | `known`   | bool       | whether the sample is known to be random, not only taken to be |
    | `trust`   | float64[A] | what each annotator's word counts among people; empty: all alike |
    """

    pairs: Int64
    verdict: Float64
    drawn: Bool
    coin: Float64
    known: bool = False
    trust: Float64 = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.pairs)

    def testing(self, learn: float) -> Bool:
        """bool[L], whose verdict a model never sees, when it may learn from `learn` of the random sample."""
        return self.drawn & (self.coin >= learn)


def read_people(
    votes: Votes,
    response_ids: pa.Array,
    section: GuaranteeSection | None,
    random_pairs: Set[tuple[str, str]],
    *,
    planned: bool,
) -> People:
    """People's verdicts among `votes`.

    `planned`: whether the lake has verify tasks, of which those about `random_pairs` (ids in canonical order) are
    random.
    """
    trusted = estimate_reliability(votes)
    pairs, verdict = collect_verdicts(votes, trusted)
    width = max(votes.n_responses, 1)
    a, b = (response_ids.take(pa.array(each)).to_pylist() for each in (pairs // width, pairs % width))
    named = [tuple(sorted(pair)) for pair in zip(a, b, strict=True)]
    wanted = section.labels if section is not None else "auto"
    only_drawn = wanted == "random" or (wanted == "auto" and planned)
    return People(
        pairs=pairs,
        verdict=verdict,
        drawn=np.array([not only_drawn or pair in random_pairs for pair in named], np.bool_),
        coin=np.array([int(content_id(*pair)[:13], 16) / 16**13 for pair in named]),
        known=only_drawn,
        trust=trusted,
    )


def collect_verdicts(votes: Votes, trusted: Float64) -> tuple[Int64, Float64]:
    """The pairs that people judged, and their mean verdict; one person's two orders are two votes.

    `trusted` float64[A] weighs the people.
    """
    said = votes.by_people
    pairs, at = np.unique(votes.pair_keys(said), return_inverse=True)
    weight = trusted[votes.annotator[said]]
    total = np.bincount(at, votes.outcome[said] * weight, minlength=len(pairs))
    whole = np.bincount(at, weight, minlength=len(pairs))
    mean: Float64 = np.round(total / whole, 12)  # what cancels out is 0, not 1e-17
    return pairs.astype(np.int64), mean


def drop_votes(votes: Votes, hidden: Int64) -> Votes:
    """The votes but for those of people on the pairs `hidden` (numbered as in `People`)."""
    if not len(hidden):
        return votes
    said = votes.by_people
    kept = np.ones(len(votes), np.bool_)
    kept[said[np.isin(votes.pair_keys(said), hidden)]] = False
    return votes.where(kept)
