"""One-coin Dawid-Skene (1979): every annotator is right with a probability of its own, whatever the pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from curate.aggregate.annotators.base import AnnotatorModel
from curate.aggregate.annotators.pairs import PairLabels, PairTable, build_pair_table, take_pairs
from curate.aggregate.annotators.result import AnnotatorFit, build_fit
from curate.aggregate.shards import Shards, find_shards
from curate.aggregate.votes import Float64, Int32, Int64, Votes
from curate.core.section import Section
from curate.runner.base import Task
from curate.runner.local import LocalRunner


class OneCoinOptions(Section):
    """Options of `one_coin`."""

    max_iterations: int = Field(200, ge=1, description="Largest number of iterations.")
    tolerance: float = Field(
        1e-5, gt=0, description="It has converged once no posterior moves by more than this."
    )
    pseudo_votes: float = Field(
        1.0, gt=0, description="Right and as many wrong votes that are added to every annotator's own."
    )


def fit(
    votes: Votes, *, labels: PairLabels | None = None, options: OneCoinOptions | None = None
) -> AnnotatorFit:
    """EM from the majority vote. A tie says nothing about which side is better; labels are clamped."""
    options = options or OneCoinOptions()
    table = build_pair_table(votes, labels)
    shards = find_shards() or Shards(LocalRunner(), 1)
    parts = shards.cut(np.diff(table.offsets) + 1)
    held = [shards.submit(_hold_pairs, take_pairs(table, np.arange(part.start, part.stop))) for part in parts]
    steps = [shards.submit(_begin_lean, pairs) for pairs in held]
    number = np.bincount(table.annotator[table.lean != 0], minlength=len(table.annotators)).astype(np.float64)
    right, _, _ = _add_sums([shards.submit(_read_sums, step) for step in steps], len(number))
    trace: list[float] = []
    converged = False
    weight = np.zeros(len(number))
    for _ in range(options.max_iterations):
        skill = (right + options.pseudo_votes) / (number + 2 * options.pseudo_votes)
        weight = np.log(skill) - np.log1p(-skill)
        steps = [
            shards.submit(_update_lean, pairs, step, weight) for pairs, step in zip(held, steps, strict=True)
        ]
        right, side, change = _add_sums([shards.submit(_read_sums, step) for step in steps], len(number))
        trace.append(_log_likelihood(side, skill, number, options.pseudo_votes))
        if change < options.tolerance:
            converged = True
            break
    leans = [task.result() for task in [shards.submit(_read_lean, step) for step in steps]]
    lean = np.concatenate([np.zeros(0), *leans])
    return build_fit(
        "one_coin", table, (1 + lean) / 2, ability=weight, converged=converged, trace=np.array(trace)
    )


Sums = tuple[Float64, float, float]
"""Votes that are right, float64[A]; log-likelihood of the pairs without the skills' factor; largest change."""


@dataclass(frozen=True, slots=True)
class _Step:
    """P(a) - P(b) of a shard's pairs, float64[Q], and what the M-step needs of it."""

    lean: Float64
    sums: Sums


@dataclass(frozen=True, slots=True)
class _Shard:
    """Pairs, and their V decided votes: `pair` and `annotator` int[V], `outcome` float64[V], 1 or -1."""

    table: PairTable
    pair: Int64
    annotator: Int32
    outcome: Float64


def _hold_pairs(table: PairTable) -> _Shard:
    decided = table.lean != 0
    outcome = table.lean[decided].astype(np.float64)
    return _Shard(table, table.pair[decided], table.annotator[decided], outcome)


def _begin_lean(shard: _Shard) -> _Step:
    total = np.bincount(shard.pair, weights=shard.outcome, minlength=shard.table.n_pairs)
    lean = clamp_labels(0.8 * np.sign(total), shard.table)
    return _Step(lean, (_count_right(shard, lean), 0.0, 0.0))


def _update_lean(shard: _Shard, before: _Step, weight: Float64) -> _Step:
    votes = shard.outcome * weight[shard.annotator]
    log_odds = np.bincount(shard.pair, votes, shard.table.n_pairs).astype(np.float64)
    side = np.logaddexp(log_odds / 2, -log_odds / 2) - np.log(2)
    lean = clamp_labels(np.tanh(log_odds / 2), shard.table)
    change = float(np.max(np.abs(lean - before.lean), initial=0))
    return _Step(lean, (_count_right(shard, lean), float(side.sum()), change))


def _count_right(shard: _Shard, lean: Float64) -> Float64:
    """Count each annotator's decided votes that are right, each by its probability: float64[A]."""
    share = (1 + shard.outcome * lean[shard.pair]) / 2
    size = len(shard.table.annotators)
    return np.bincount(shard.annotator, weights=share, minlength=size).astype(np.float64)


def _read_sums(step: _Step) -> Sums:
    return step.sums


def _read_lean(step: _Step) -> Float64:
    return step.lean


def _add_sums(tasks: Sequence[Task[Sums]], size: int) -> Sums:
    sums = [task.result() for task in tasks]
    right = np.sum([right for right, _, _ in sums], axis=0) if sums else np.zeros(size)
    return right, sum(side for _, side, _ in sums), max((change for _, _, change in sums), default=0.0)


def clamp_labels(lean: Float64, table: PairTable) -> Float64:
    """P(a) - P(b) with people's mean outcome where they spoke, float64[Q]."""
    return np.where(table.n_gold > 0, np.nan_to_num(table.gold), lean)


def _log_likelihood(side: float, skill: Float64, number: Float64, pseudo: float) -> float:
    """Penalised log-likelihood: log Σ_t ½ Π_v P(x_v | t) with the factor Π √(skill (1 - skill)) taken out in `side`."""
    return float(side + np.sum((number / 2 + pseudo) * (np.log(skill) + np.log1p(-skill))))


class OneCoin(AnnotatorModel):
    """One-coin Dawid-Skene: one skill per annotator."""

    Options = OneCoinOptions

    def fit(self, votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
        """Fit the model; see the function `fit`."""
        return fit(votes, labels=labels, options=self.options)
