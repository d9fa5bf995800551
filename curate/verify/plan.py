"""`curate verify plan`: fills the queue of questions to people, the table `verify_tasks`, up to a budget.

Some questions measure people (gold questions, repeats, adjudications: `verify.quality`). The others label pairs: a
random stratum, drawn whatever judges said, and the rest by the configured routing strategies. A pair that was asked
about or answered is not asked about again, with one exception: a pair that the random stratum reaches belongs to it,
whatever it was asked for before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary
from curate.records import VerifyTask, arrow_schema
from curate.verify.forecast import AcceptanceForecast, forecast_acceptance
from curate.verify.routing import WeightedStrategy, open_mix
from curate.verify.routing.pairs import Bool, Float64, Int64, Pairs
from curate.verify.routing.uncertainty import Uncertainty
from curate.verify.state import PairStates, read_pair_states, read_routing_pairs

STAGE = "verify"
PART = "plan"
FALLBACK = WeightedStrategy("uncertainty", Uncertainty(), 1.0)
"""Takes the questions that the strategies of the mix leave over."""


def plan_questions(
    lake: Lake,
    config: Config,
    *,
    budget: int,
    part: str = PART,
    details: Mapping[str, Any] = MappingProxyType({}),
) -> Summary:
    """Plan questions until `budget` of them wait for an answer.

    Args:
        lake: Lake with an aggregation.
        config: The project; `verify.plan`, `verify.quality` and `aggregate.guarantee` are used.
        budget: Number of questions that may wait for an answer, at least 1.
        part: Name of this plan in the table `runs`.
        details: What `runs` keeps beside the counts.

    Returns:
        The counts of the run; its note says what was planned and how many more labels the answers would let through.

    Raises:
        CurateError: The budget is below 1, nothing has been aggregated, or a strategy cannot be opened.
    """
    if budget < 1:
        raise CurateError(f"--budget is {budget}: plan at least one question.")
    strategies = open_mix(config.verify.plan.mix, folder=config.resolve("."))
    run = StageRun(lake, STAGE, config_hash=config.verify.plan.digest)
    states = read_pair_states(lake, seed=config.verify.plan.seed)
    if len(states.pairs) == 0:
        raise CurateError("There are no preferences to verify yet: run `curate aggregate` first.")
    selection = _select_questions(lake, config, states, strategies, max(budget - states.waiting, 0))
    tasks = _build_tasks(states, selection, run.run_id)
    _write_plan(run, tasks, selection, part, details)
    forecast = _forecast_guarantee(config, states, selection)
    return run.summary(skipped=not tasks, note=_describe_plan(states, selection, forecast))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Row numbers of `PairStates.pairs` to ask about, best first.

    | field        | meaning |
    | ---          | --- |
    | `gold`       | pairs that people agreed on, to test others with |
    | `repeat`     | answered pairs, to test a person's agreement with the first answer |
    | `adjudicate` | pairs that people disagree on |
    | `random`     | new pairs of the random stratum |
    | `converted`  | pairs that were asked for another reason and belong to the random stratum from now on |
    | `stratum`    | the whole random stratum after this plan |
    | `routed`     | strategy → the pairs that it chose |
    """

    gold: Int64
    repeat: Int64
    adjudicate: Int64
    random: Int64
    converted: Int64
    stratum: Int64
    routed: Mapping[str, Int64]

    @property
    def questions(self) -> int:
        """Number of new questions."""
        return sum(len(rows) for rows in self.list_by_strategy().values())

    def list_by_strategy(self) -> dict[str, Int64]:
        """List the new questions by the name under which `runs` counts them; kinds without questions are left out."""
        about_people = {"gold": self.gold, "repeat": self.repeat, "adjudicate": self.adjudicate}
        everything = {"random": self.random, **self.routed, **about_people}
        return {name: rows for name, rows in everything.items() if len(rows)}


def _select_questions(
    lake: Lake, config: Config, states: PairStates, strategies: Sequence[WeightedStrategy], budget: int
) -> Selection:
    quality, settings = config.verify.quality, config.verify.plan
    adjudicate = states.take_first(states.disputed & ~states.adjudicating, int(quality.adjudicate * budget))
    gold = states.take_first(states.unanimous & ~states.gold_asked, int(quality.gold * budget))
    repeat = states.take_first(states.answered & ~states.repeated, int(quality.repeat * budget))
    left = budget - len(adjudicate) - len(gold) - len(repeat)
    new, converted = extend_random_stratum(
        states.draw, states.random, states.asked, int(np.ceil(settings.random * left))
    )
    stratum = np.concatenate([np.flatnonzero(states.random), converted, new])
    is_open = ~states.asked
    is_open[new] = False
    left -= len(new)
    routed: dict[str, Int64] = {}
    if left > 0:
        with_embeddings = any(entry.strategy.reads_embeddings for entry in strategies)
        pairs, rows = read_routing_pairs(lake, config, states, is_open, with_embeddings=with_embeddings)
        routed = {name: rows[chosen] for name, chosen in route_pairs(pairs, strategies, left).items()}
    return Selection(
        gold=gold,
        repeat=repeat,
        adjudicate=adjudicate,
        random=new,
        converted=converted,
        stratum=stratum,
        routed=routed,
    )


def extend_random_stratum(draw: Float64, random: Bool, asked: Bool, n: int) -> tuple[Int64, Int64]:
    """Choose the next pairs of the random stratum, in the order of `draw`.

    The stratum is always the pairs with the lowest numbers, so it is a simple random sample of all pairs. It stays
    one when pairs are added to the lake: a new pair below the highest number of the stratum joins with the next plan.

    Args:
        draw: float64[Q], permanent random numbers.
        random: bool[Q], pairs of the stratum so far.
        asked: bool[Q], pairs that were asked about for any reason.
        n: Number of new questions.

    Returns:
        int64[≤ n], the pairs that nobody was asked about yet, and int64, pairs met on the way that were asked about.
    """
    order = np.argsort(draw, kind="stable")
    order = order[~random[order]]
    new = np.cumsum(~asked[order])
    within = order[: int(np.searchsorted(new, n)) + 1] if n > 0 else order[:0]
    return within[~asked[within]], within[asked[within]]


def route_pairs(pairs: Pairs, strategies: Sequence[WeightedStrategy], n: int) -> dict[str, Int64]:
    """Choose pairs by the strategies of a mix, each up to its share; uncertainty fills up what they leave.

    Args:
        pairs: The pairs of the pool.
        strategies: The mix, in the order in which the strategies choose.
        n: Number of questions in all.

    Returns:
        Name of the strategy → int64, row numbers of `pairs`, best first; strategies that chose none are left out.
    """
    chosen_by: dict[str, Int64] = {}
    total = sum(entry.share for entry in strategies)
    quotas = [(entry, round(n * entry.share / total)) for entry in strategies]
    for entry, quota in [*quotas, (FALLBACK, n)]:
        quota = min(quota, n - sum(map(len, chosen_by.values())))
        if quota <= 0:
            continue
        chosen = entry.choose_pairs(pairs, quota)
        is_open = pairs.is_open.copy()
        is_open[chosen] = False
        pairs = replace(pairs, is_open=is_open)
        if len(chosen):
            earlier = chosen_by.get(entry.name, np.zeros(0, np.int64))
            chosen_by[entry.name] = np.concatenate([earlier, chosen])
    return chosen_by


def _build_tasks(states: PairStates, selection: Selection, run_id: str) -> list[VerifyTask]:
    """Build the new questions, and the random stratum's old ones again: their probability has changed."""
    probability = len(selection.stratum) / len(states.pairs)

    def build(rows: Int64, strategy: str, purpose: str, *, lead: float = 0.0) -> list[VerifyTask]:
        # Spread over 0 … 1, so that the kinds of questions come mixed, each best first.
        priorities = 1 - (np.arange(len(rows)) + 0.5) / max(len(rows), 1)
        return [
            states.build_task(
                row,
                strategy=strategy,
                purpose=purpose,
                priority=round(lead + float(priority), 6),
                probability=probability if strategy == "random" else None,
                run_id=run_id,
            )
            for row, priority in zip(rows.tolist(), priorities, strict=True)
        ]

    tasks = build(selection.adjudicate, "people disagree", "adjudicate", lead=1.0)
    tasks += build(selection.gold, "verified earlier", "gold")
    tasks += build(selection.repeat, "asked before", "repeat")
    tasks += build(selection.stratum, "random", "label")
    for strategy, rows in selection.routed.items():
        tasks += build(rows, strategy, "label")
    return tasks


def _write_plan(
    run: StageRun, tasks: list[VerifyTask], selection: Selection, part: str, details: Mapping[str, Any]
) -> None:
    if not selection.questions and not len(selection.converted):
        return
    table = pa.Table.from_pylist([task.model_dump() for task in tasks], schema=arrow_schema(VerifyTask))
    fingerprint = content_id(sorted(task.task_id for task in tasks))
    random_ids = [task.task_id for task in tasks if task.strategy == "random"]
    with run.chunk(part, fingerprint=fingerprint, status="done") as (writer, counts):
        writer.delete("verify_tasks", "task_id IN (SELECT unnest(?::VARCHAR[]))", [random_ids])
        written = writer.append("verify_tasks", table, unique="task_id")
        counts.rows_in = counts.rows_kept = selection.questions
        counts.details |= {**details, "written": written}
        counts.details["strategies"] = {
            name: len(rows) for name, rows in selection.list_by_strategy().items()
        }


def _forecast_guarantee(
    config: Config, states: PairStates, selection: Selection
) -> AcceptanceForecast | None:
    """Forecast at the level of `aggregate.guarantee`; None where no guarantee is asked for."""
    level = config.aggregate.guarantee
    if level is None:
        return None
    stratum = np.sort(selection.stratum)
    verdict = states.verdict[stratum]
    # A tie says nothing about which side is better, unless it counts against the label.
    known = stratum[~np.isnan(verdict) & ((verdict != 0) | (level.ties == "disagree"))]
    coming = stratum[np.isnan(verdict) & ~states.answered[stratum]]
    return forecast_acceptance(
        states.confidence,
        known,
        np.sign(states.verdict[known]) == states.side[known],
        coming,
        alpha=level.alpha,
        delta=level.delta,
        seed=config.verify.plan.seed,
    )


def _describe_plan(states: PairStates, selection: Selection, forecast: AcceptanceForecast | None) -> str:
    counts = ", ".join(f"{len(rows):,} {name}" for name, rows in selection.list_by_strategy().items())
    planned = f"{selection.questions:,} questions planned ({counts})" if counts else "nothing more to plan"
    waiting = f"{planned}; {states.waiting + selection.questions:,} wait for an answer"
    return waiting if forecast is None else f"{waiting}. {str(forecast).capitalize()}."


def read_waiting(lake: Lake) -> pl.DataFrame:
    """Read the questions that nobody has answered yet, most important first: the columns of `verify_tasks`."""
    return lake.frame(read_query("verify_waiting"))
