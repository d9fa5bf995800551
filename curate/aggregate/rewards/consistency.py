"""Does a reward model rank the same responses alike when it is trained again? (CREAM, 2410.12735.)"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.kernels import compile_kernel
from curate.aggregate.votes import Float64, Int64
from curate.core.errors import CurateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """`tau` float64[P], Kendall's τ-a of the two runs' scores on each prompt (NaN with fewer than two responses);
    `rate`: mean over prompts of (τ + 1) / 2, the chance that a pair of responses keeps its order.

    CREAM trains on both directions of every pair with weights `rate` and 1 - `rate`: label smoothing of 1 - `rate`.
    """

    tau: Float64
    rate: float

    @property
    def weight(self) -> Float64:
        """float64[P] in 0 … 1: weight of each prompt's pairs, (τ + 1) / 2, and the mean rate where τ is unknown."""
        weight: Float64 = np.where(np.isnan(self.tau), self.rate, (self.tau + 1.0) / 2.0)
        return weight


def ranking_consistency(responses: Int64, first: Float64, second: Float64) -> Consistency:
    """Compare two runs' scores float64[R] within prompts, whose responses are `responses[i] … responses[i+1]-1`.

    A tie in either run counts 0, neither for nor against. Scores that are NaN in either run are left out.
    """
    if not len(first) == len(second) == responses[-1]:
        raise CurateError(
            f"ranking_consistency: {len(first)} and {len(second)} scores for {responses[-1]} responses; "
            "give one of each run for every response."
        )
    tau = np.full(len(responses) - 1, np.nan)
    _kendall_tau(responses, np.asarray(first, np.float64), np.asarray(second, np.float64), tau)
    known = tau[~np.isnan(tau)]
    return Consistency(tau=tau, rate=float((known.mean() + 1.0) / 2.0) if len(known) else 0.5)


@compile_kernel
def _kendall_tau(responses: Int64, first: Float64, second: Float64, tau: Float64) -> None:
    for p in range(len(tau)):
        pairs, net = 0, 0.0
        for i in range(responses[p], responses[p + 1]):
            for j in range(i + 1, responses[p + 1]):
                one, two = first[i] - first[j], second[i] - second[j]
                if np.isnan(one) or np.isnan(two):
                    continue
                pairs += 1
                net += np.sign(one) * np.sign(two)
        if pairs > 0:
            tau[p] = net / pairs
