"""Bradley-Terry scores of responses with ties, two ways: Davidson (1970) and Rao & Kupper (1967).

Davidson      P(a) ∝ e^{d/2},  P(b) ∝ e^{-d/2},  P(tie) ∝ ν              d = s_a - s_b
Rao-Kupper    P(a) = σ(d - θ), P(b) = σ(-d - θ), P(tie) the rest,         θ ≥ 0
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from curate.aggregate.annotators.pairs import PairLabels, build_pair_table
from curate.aggregate.annotators.result import AnnotatorFit, build_fit
from curate.aggregate.votes import Float64, Votes
from curate.core.errors import CurateError
from curate.core.section import Section

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Outcomes = tuple[Float64, Float64, Float64]
# (d, log of the tie parameter) → log P(a), P(tie), P(b), then their derivatives by d and by the parameter.
TieModel = Callable[[Float64, float], tuple[Outcomes, Outcomes, Outcomes]]


class TiesOptions(Section):
    """Options of `davidson` and `rao_kupper`."""

    max_iterations: int = Field(500, ge=1, description="Largest number of L-BFGS iterations.")
    tolerance: float = Field(1e-7, gt=0, description="Precision at which L-BFGS stops.")
    score_sd: float = Field(2.0, gt=0, description="Prior of a score: normal around 0 with this deviation.")
    label_weight: float = Field(10.0, gt=0, description="Number of votes that one person's label counts.")


def fit_ties(
    name: str, model: TieModel, votes: Votes, labels: PairLabels | None, options: TiesOptions
) -> AnnotatorFit:
    """Fit scores of all responses and one tie parameter by L-BFGS (maximum a posteriori); every vote counts the same.

    Raises CurateError when there are no votes.
    """
    from scipy.optimize import minimize

    table = build_pair_table(votes, labels)
    if table.n_pairs == 0:
        raise CurateError(f"The {name} model has no votes to fit: give it at least one pair with a vote.")
    pair, is_tie = table.pair, table.outcome == 0
    for_a = (1 + table.lean.astype(np.float64)) / 2
    shares = np.where(is_tie, 0, for_a), is_tie, np.where(is_tie, 0, 1 - for_a)
    counts = np.stack([np.bincount(pair, share, table.n_pairs) for share in shares])
    for row, x in enumerate((1, 0, -1)):
        counts[row] += options.label_weight * ((table.n_gold > 0) & (np.sign(table.gold) == x))
    n = votes.n_responses

    def objective(theta: Float64) -> tuple[float, Float64]:
        score, tie = theta[:n], float(theta[n])
        log_p, by_d, by_tie = model(score[table.a] - score[table.b], tie)
        value = sum(float(c @ lp) for c, lp in zip(counts, log_p, strict=True))
        push = sum(c * g for c, g in zip(counts, by_d, strict=True))
        gradient = np.empty(n + 1)
        gradient[:n] = np.bincount(table.a, push, n) - np.bincount(table.b, push, n)
        gradient[:n] -= score / options.score_sd**2
        gradient[n] = sum(float(c @ g) for c, g in zip(counts, by_tie, strict=True)) - tie
        value -= float(score @ score) / (2 * options.score_sd**2) + tie**2 / 2
        return -value, -gradient

    trace: list[float] = []

    def keep(intermediate_result: OptimizeResult) -> None:
        trace.append(-float(intermediate_result.fun))

    bounds = [(None, None)] * n + [(-15.0, 5.0)]
    optimum = minimize(
        objective, np.zeros(n + 1), jac=True, method="L-BFGS-B", bounds=bounds, callback=keep,
        options={
            "maxiter": options.max_iterations,
            "ftol": 1e-3 * options.tolerance,
            "gtol": 10 * options.tolerance,
        },
    )  # fmt: skip
    score = optimum.x[:n]
    log_a, log_tie, _ = model(score[table.a] - score[table.b], float(optimum.x[n]))[0]
    return build_fit(
        name,
        table,
        np.exp(log_a) + np.exp(log_tie) / 2,
        p_tie=np.exp(log_tie),
        converged=bool(optimum.success),
        trace=np.array(trace),
    )
