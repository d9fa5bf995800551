"""Tournament of models: how often each beat each other, all that a ranking of models needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.graph.tally import PairTally
from curate.aggregate.votes import Float64, Int32, Int64
from curate.core.kernels import compile_kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Tournament:
    """C pairs of models that met, each once, `a < b` and sorted, with the weight of each result.

    | field       | type       | meaning |
    | ---         | ---        | --- |
    | `models`    | int        | model indexes are 0 … models-1 |
    | `a`, `b`    | int64[C]   | the pair |
    | `wins_a`, `wins_b`, `ties` | float64[C] | votes (or weight) for a, for b, for neither |
    | `votes`     | float      | number of votes behind it, which sets how wide bootstrap intervals are |
    """

    models: int
    a: Int64
    b: Int64
    wins_a: Float64
    wins_b: Float64
    ties: Float64
    votes: float

    def as_tally(self) -> PairTally:
        """Return a tally of one prompt whose responses are the models, for `denoise_graphs`."""
        return PairTally(
            responses=np.array([0, self.models]),
            offsets=np.array([0, len(self.a)]),
            a=self.a.astype(np.int32),
            b=self.b.astype(np.int32),
            n=np.ceil(self.wins_a + self.wins_b + self.ties).astype(np.int32),
            weight_a=self.wins_a,
            weight_b=self.wins_b,
            weight_tie=self.ties,
        )


def rank_tournament(responses: Int64, rank: Int32, model: Int32, *, models: int | None = None) -> Tournament:
    """Build a tournament from per-prompt ranks: a prompt counts once for every two models that it ranks.

    `responses` int64[P+1] and `rank` int32[R] are those of `DenoisedGraphs` (rank 0: not ranked).
    """
    count = models if models is not None else int(model.max(initial=-1)) + 1
    ahead = np.zeros((count, count))
    level = np.zeros((count, count))
    _count_ranks(responses, rank, model, ahead, level)
    a, b = np.nonzero(np.triu(ahead + ahead.T + level, 1))
    wins_a, wins_b, ties = ahead[a, b], ahead[b, a], level[a, b]
    return Tournament(
        models=count,
        a=a,
        b=b,
        wins_a=wins_a,
        wins_b=wins_b,
        ties=ties,
        votes=float((wins_a + wins_b + ties).sum()),
    )


@compile_kernel
def _count_ranks(responses: Int64, rank: Int32, model: Int32, ahead: Float64, level: Float64) -> None:
    for p in range(len(responses) - 1):
        for i in range(responses[p], responses[p + 1]):
            for j in range(i + 1, responses[p + 1]):
                if rank[i] == 0 or rank[j] == 0 or model[i] < 0 or model[j] < 0 or model[i] == model[j]:
                    continue
                if rank[i] < rank[j]:
                    ahead[model[i], model[j]] += 1.0
                elif rank[i] > rank[j]:
                    ahead[model[j], model[i]] += 1.0
                else:
                    level[model[i], model[j]] += 1.0
                    level[model[j], model[i]] += 1.0
