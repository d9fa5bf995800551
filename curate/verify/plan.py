"""`curate verify plan`: fills the queue of questions to people, `verify_tasks`, up to a budget.

Of the questions some are about people (gold questions, repeats, adjudications: `quality`), the others about pairs: a
random stratum, drawn blind, and the rest by the configured strategies. What was asked or answered is not asked again,
with one exception: a pair that the random stratum comes to is random, whyever it was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from curate.config.project import Config
from curate.config.verify import VerifyPlan
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary
from curate.records import VerifyTask, arrow_schema
from curate.verify.forecast import AcceptanceForecast, forecast_acceptance
from curate.verify.routing import choose
from curate.verify.routing.pairs import Bool, Float64, Int64, Pairs
from curate.verify.state import PairStates, read_pair_states, read_routing_pairs

STAGE = "verify"
PART = "plan"


def plan_questions(
    lake: Lake,
    config: Config,
    *,
    budget: int,
    part: str = PART,
    details: Mapping[str, Any] = MappingProxyType({}),
) -> Summary:
    """Plan questions until `budget` of them wait for an answer; returns what they are and what they buy.

    `part`, `details`: what the table `runs` calls this plan, and what it keeps beside its counts.
    """
    if budget < 1:
        raise CurateError(f"--budget is {budget}: plan at least one question.")
    run = StageRun(lake, STAGE, config_hash=config.verify.plan.digest)
    state = read_pair_states(lake, seed=config.verify.plan.seed)
    if len(state.pairs) == 0:
        raise CurateError("There are no preferences to verify yet: run `curate aggregate` first.")
    free = max(budget - state.waiting, 0)
    chosen = _select_questions(lake, config, state, free)
    tasks = _build_tasks(state, chosen, run.run_id)
    _write_plan(run, tasks, chosen, part, details)
    buys = _forecast_guarantee(config, state, chosen)
    return run.summary(skipped=not tasks, note=_describe_plan(state, chosen, buys))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Row numbers of `State.pairs`, best first. `converted`: asked for another reason, random from now on.

    `stratum`: all of the random stratum after this plan, converted and new ones included.
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
        about_people = len(self.gold) + len(self.repeat) + len(self.adjudicate)
        return about_people + len(self.random) + sum(map(len, self.routed.values()))


def _select_questions(lake: Lake, config: Config, state: PairStates, free: int) -> Selection:
    quality, settings = config.verify.quality, config.verify.plan
    adjudicate = state.first(state.disputed & ~state.adjudicating, int(quality.adjudicate * free))
    gold = state.first(state.unanimous & ~state.gold_asked, int(quality.gold * free))
    repeat = state.first(state.answered & ~state.repeated, int(quality.repeat * free))
    left = free - len(adjudicate) - len(gold) - len(repeat)
    fresh, converted = extend_random_stratum(
        state.draw, state.random, state.asked, int(np.ceil(settings.random * left))
    )
    stratum = np.concatenate([np.flatnonzero(state.random), converted, fresh])
    open_ = ~state.asked
    open_[fresh] = False
    routed = route_pairs(
        read_routing_pairs(lake, config, state, open_) if left > len(fresh) else None,
        settings,
        left - len(fresh),
    )
    return Selection(
        gold=gold, repeat=repeat, adjudicate=adjudicate, random=fresh, converted=converted, stratum=stratum,
        routed=routed,
    )  # fmt: skip


def extend_random_stratum(draw: Float64, random: Bool, asked: Bool, n: int) -> tuple[Int64, Int64]:
    """The next pairs of the random stratum in the order of `draw`: n that nobody was asked, and those met on the way.

    The stratum is always the pairs with the lowest numbers, so it is a simple random sample of all pairs, and stays
    one when pairs are added to the lake: a new one below the mark comes in with the next plan.
    """
    order = np.argsort(draw, kind="stable")
    order = order[~random[order]]
    new = np.cumsum(~asked[order])
    within = order[: int(np.searchsorted(new, n)) + 1] if n > 0 else order[:0]
    return within[~asked[within]], within[asked[within]]


def route_pairs(pool: tuple[Pairs, Int64] | None, settings: VerifyPlan, n: int) -> dict[str, Int64]:
    """n pairs by the strategies of `mix`, by their shares; a strategy that has too few leaves them to uncertainty."""
    if pool is None or n <= 0:
        return {}
    pairs, rows = pool
    found: dict[str, Int64] = {}
    total = sum(settings.mix.values())
    shares = [(name, round(n * share / total)) for name, share in settings.mix.items()]
    for name, most in [*shares, ("uncertainty", n)]:
        most = min(most, n - sum(map(len, found.values())))
        chosen = choose(name, pairs, most) if most > 0 else np.zeros(0, np.int64)
        open_ = pairs.is_open.copy()
        open_[chosen] = False
        pairs = replace(pairs, open=open_)
        if len(chosen):
            found[name] = np.concatenate([found.get(name, np.zeros(0, np.int64)), rows[chosen]])
    return found


def _build_tasks(state: PairStates, chosen: Selection, run_id: str) -> list[VerifyTask]:
    """The new questions, and the random stratum anew: its probability has changed."""
    probability = len(chosen.stratum) / len(state.pairs)

    def made(rows: Int64, strategy: str, purpose: str, *, lead: float = 0.0) -> list[VerifyTask]:
        spread = 1 - (np.arange(len(rows)) + 0.5) / max(
            len(rows), 1
        )  # kinds of questions come mixed, each best first
        return [
            state.task(
                row,
                strategy=strategy,
                purpose=purpose,
                priority=round(lead + float(first), 6),
                probability=probability if strategy == "random" else None,
                run_id=run_id,
            )
            for row, first in zip(rows.tolist(), spread, strict=True)
        ]

    tasks = made(chosen.adjudicate, "people disagree", "adjudicate", lead=1.0)
    tasks += made(chosen.gold, "verified earlier", "gold") + made(chosen.repeat, "asked before", "repeat")
    tasks += made(chosen.stratum, "random", "label")
    for strategy, rows in chosen.routed.items():
        tasks += made(rows, strategy, "label")
    return tasks


def _write_plan(
    run: StageRun, tasks: list[VerifyTask], chosen: Selection, part: str, details: Mapping[str, Any]
) -> None:
    if not chosen.questions and not len(chosen.converted):
        return
    table = pa.Table.from_pylist([task.model_dump() for task in tasks], schema=arrow_schema(VerifyTask))
    fingerprint = content_id(sorted(task.task_id for task in tasks))
    with run.chunk(part, fingerprint=fingerprint, status="done") as (writer, counts):
        writer.delete(
            "verify_tasks", "task_id IN (SELECT unnest(?::VARCHAR[]))", [_list_ids(tasks, "random")]
        )
        written = writer.append("verify_tasks", table, unique="task_id")
        counts.rows_in = counts.rows_kept = chosen.questions
        counts.details |= {**details, "written": written}
        counts.details["strategies"] = {name: len(rows) for name, rows in _group_by_strategy(chosen)}


def _list_ids(tasks: list[VerifyTask], strategy: str) -> list[str]:
    return [task.task_id for task in tasks if task.strategy == strategy]


def _group_by_strategy(chosen: Selection) -> list[tuple[str, Int64]]:
    about = [("gold", chosen.gold), ("repeat", chosen.repeat), ("adjudicate", chosen.adjudicate)]
    return [
        (name, rows)
        for name, rows in [("random", chosen.random), *chosen.routed.items(), *about]
        if len(rows)
    ]


def _forecast_guarantee(config: Config, state: PairStates, chosen: Selection) -> AcceptanceForecast | None:
    """At the level of `aggregate.guarantee`; None where none is asked for."""
    level = config.aggregate.guarantee
    if level is None:
        return None
    stratum = np.sort(chosen.stratum)
    verdict = state.verdict[stratum]
    # A tie says nothing about which side is better, unless it counts against the label.
    known = stratum[~np.isnan(verdict) & ((verdict != 0) | (level.ties == "disagree"))]
    coming = stratum[np.isnan(verdict) & ~state.answered[stratum]]
    return forecast_acceptance(
        state.confidence,
        known,
        np.sign(state.verdict[known]) == state.side[known],
        coming,
        alpha=level.alpha,
        delta=level.delta,
        seed=config.verify.plan.seed,
    )


def _describe_plan(state: PairStates, chosen: Selection, buys: AcceptanceForecast | None) -> str:
    named = ", ".join(f"{len(rows):,} {name}" for name, rows in _group_by_strategy(chosen))
    planned = f"{chosen.questions:,} questions planned ({named})" if named else "nothing more to plan"
    waiting = f"{planned}; {state.waiting + chosen.questions:,} wait for an answer"
    return waiting if buys is None else f"{waiting}. {str(buys).capitalize()}."


def read_waiting(lake: Lake) -> pl.DataFrame:
    """The questions that nobody has answered yet, most important first: the columns of `verify_tasks`."""
    return lake.frame(read_query("verify_waiting"))
