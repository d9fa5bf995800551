"""`curate verify plan`: fills the queue of questions to people, the table `verify_tasks`, up to a budget.

A plan is of one form (`verify.form`): pairs, prompts to rank, or responses to judge one by one; and about the responses
as a whole, or about one aspect. Strategies choose pairs; a form that asks about prompts or responses asks about those
of the chosen pairs.

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
import pyarrow as pa

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.human_forms import AskedAs, get_filter_name
from curate.core.identity import content_id
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary
from curate.records import VerifyTask, arrow_schema
from curate.verify.criteria import read_project_rubric
from curate.verify.forecast import AcceptanceForecast, forecast_acceptance
from curate.verify.routing import WeightedStrategy, open_mix
from curate.verify.routing.pairs import Bool, Float64, Int64, Pairs
from curate.verify.routing.uncertainty import Uncertainty
from curate.verify.state import PairStates, QuestionStates, read_pair_states, read_routing_pairs
from curate.verify.units import LEAST_RANKED, index_units, read_unit_states

STAGE = "verify"
PART = "plan"
FALLBACK = WeightedStrategy("uncertainty", Uncertainty(), 1.0)
"""Takes the questions that the strategies of the mix leave over."""


def plan_questions(
    lake: Lake,
    config: Config,
    *,
    budget: int,
    form: AskedAs | None = None,
    aspect: str | None = None,
    part: str = PART,
    details: Mapping[str, Any] = MappingProxyType({}),
) -> Summary:
    """Plan questions until `budget` of them wait for an answer.

    Args:
        lake: Lake with an aggregation.
        config: The project; `verify.plan`, `verify.quality` and `aggregate.guarantee` are used.
        budget: Number of questions of the form that may wait for an answer, at least 1.
        form: Form of the questions; default: `verify.form`.
        aspect: The one criterion to ask about; default: `verify.aspect`, or that of the rubric in the rubric form.
            That of a filter (`name_filter_aspect`): whether what this filter has sent to people may stay.
        part: Name of this plan in the table `runs`.
        details: What `runs` keeps beside the counts.

    Returns:
        The counts of the run; its note says what was planned and how many more labels the answers would let through.

    Raises:
        CurateError: The budget is below 1, there is nothing to ask about in this form, or a strategy or the rubric
            cannot be opened.
    """
    if budget < 1:
        raise CurateError(f"--budget is {budget}: plan at least one question.")
    strategies = open_mix(config.verify.plan.mix, folder=config.resolve("."))
    run = StageRun(lake, STAGE, config_hash=config.verify.plan.digest)
    asked_as = form or config.verify.form
    aspect = aspect or config.verify.aspect or _read_rubric_aspect(config, asked_as)
    pairs = read_pair_states(lake, seed=config.verify.plan.seed)
    states: QuestionStates = pairs
    if asked_as != "pairwise" or aspect is not None:
        states = read_unit_states(lake, pairs, asked_as=asked_as, aspect=aspect, seed=config.verify.plan.seed)
    _require_questions(states)
    selection = _select_questions(lake, config, states, pairs, strategies, max(budget - states.waiting, 0))
    tasks = _build_tasks(states, selection, run.run_id)
    _write_plan(run, tasks, selection, part, details)
    forecast = _forecast_guarantee(config, pairs, selection) if states is pairs else None
    return run.summary(skipped=not tasks, note=_describe_plan(states, selection, forecast))


def _read_rubric_aspect(config: Config, asked_as: AskedAs) -> str | None:
    """Read the aspect that the rubric is about; raise CurateError where the rubric form has no criteria."""
    if asked_as != "rubric":
        return None
    rubric = read_project_rubric(config)
    if rubric is None and not config.verify.criteria:
        raise CurateError("The rubric form needs criteria: set `verify.rubric` or `verify.criteria`.")
    return None if rubric is None else rubric.aspect


def _require_questions(states: QuestionStates) -> None:
    if len(states):
        return
    if (name := get_filter_name(states.aspect)) is not None:
        raise CurateError(
            f"No response waits for people because of a filter {name!r}: one of "
            "curate.yaml with `action: route` sends them there when `curate filter` runs."
        )
    if states.asked_as == "pairwise":
        raise CurateError("There are no preferences to verify yet: run `curate aggregate` first.")
    wanted = (
        f"a prompt with {LEAST_RANKED} responses or more" if states.asked_as == "ranking" else "a response"
    )
    raise CurateError(f"There is nothing to ask about as {states.asked_as}: the lake needs {wanted}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Row numbers of `QuestionStates.questions` to ask, best first.

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
    lake: Lake,
    config: Config,
    states: QuestionStates,
    pairs: PairStates,
    strategies: Sequence[WeightedStrategy],
    budget: int,
) -> Selection:
    quality, settings = config.verify.quality, config.verify.plan
    adjudicate = states.take_first(states.disputed & ~states.adjudicating, int(quality.adjudicate * budget))
    gold = states.take_first(states.unanimous & ~states.gold_asked, int(quality.gold * budget))
    repeat = states.take_first(states.answered & ~states.repeated, int(quality.repeat * budget))
    left = budget - len(adjudicate) - len(gold) - len(repeat)
    # Without labels of pairs, there is nothing that a strategy could choose by; and they tell nothing of a filter.
    tells = len(pairs) > 0 and get_filter_name(states.aspect) is None
    share = settings.random if tells else 1.0
    new, converted = extend_random_stratum(
        states.draw, states.random, states.asked, int(np.ceil(share * left))
    )
    stratum = np.concatenate([np.flatnonzero(states.random), converted, new])
    is_open = ~states.asked
    is_open[new] = False
    left -= len(new)
    routed: dict[str, Int64] = {}
    if left > 0:
        routed = _route_questions(lake, config, states, pairs, strategies, is_open, left)
    return Selection(
        gold=gold,
        repeat=repeat,
        adjudicate=adjudicate,
        random=new,
        converted=converted,
        stratum=stratum,
        routed=routed,
    )


def _route_questions(
    lake: Lake,
    config: Config,
    states: QuestionStates,
    pairs: PairStates,
    strategies: Sequence[WeightedStrategy],
    is_open: Bool,
    n: int,
) -> dict[str, Int64]:
    """Let the strategies choose n of the open questions: those about the pairs that they choose."""
    units = None if states is pairs else index_units(states, pairs)
    open_pairs: Bool = is_open if units is None else np.any((units >= 0) & is_open[units], axis=1)
    with_embeddings = any(entry.strategy.reads_embeddings for entry in strategies)
    pool, rows = read_routing_pairs(lake, config, pairs, open_pairs, with_embeddings=with_embeddings)
    if units is None:
        return {name: rows[chosen] for name, chosen in route_pairs(pool, strategies, n).items()}
    closed = np.where(units[rows] >= 0, ~is_open[units[rows]], True)
    return route_pairs(pool, strategies, n, units=np.where(closed, -1, units[rows]))


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


def route_pairs(
    pairs: Pairs, strategies: Sequence[WeightedStrategy], n: int, *, units: Int64 | None = None
) -> dict[str, Int64]:
    """Choose pairs by the strategies of a mix, each up to its share; uncertainty fills up what they leave.

    Args:
        pairs: The pairs of the pool.
        strategies: The mix, in the order in which the strategies choose.
        n: Number of questions in all.
        units: int64[Q, k], the questions about each pair, for forms that do not ask about pairs; -1: none.

    Returns:
        Name of the strategy → int64, row numbers of `pairs` (with `units`: questions), best first; strategies that
        chose none are left out.
    """
    chosen_by: dict[str, list[int]] = {}
    taken: set[int] = {-1}
    by_pair = np.arange(len(pairs), dtype=np.int64)[:, None] if units is None else units
    total = sum(entry.share for entry in strategies)
    quotas = [(entry, round(n * entry.share / total)) for entry in strategies]
    for entry, quota in [*quotas, (FALLBACK, n)]:
        quota = min(quota, n - (len(taken) - 1))
        while quota > 0:
            chosen = entry.choose_pairs(pairs, -(-quota // by_pair.shape[1]))
            new = [unit for unit in dict.fromkeys(by_pair[chosen].ravel().tolist()) if unit not in taken][
                :quota
            ]
            taken.update(new)
            is_open = pairs.is_open & ~np.isin(by_pair, list(taken)).all(axis=1)
            pairs = replace(pairs, is_open=is_open)
            if new:
                chosen_by.setdefault(entry.name, []).extend(new)
            quota = quota - len(new) if units is not None and new else 0
    return {name: np.array(rows, np.int64) for name, rows in chosen_by.items()}


def _build_tasks(states: QuestionStates, selection: Selection, run_id: str) -> list[VerifyTask]:
    """Build the new questions, and the random stratum's old ones again: their probability has changed."""
    probability = len(selection.stratum) / len(states)

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


def _describe_plan(states: QuestionStates, selection: Selection, forecast: AcceptanceForecast | None) -> str:
    counts = ", ".join(f"{len(rows):,} {name}" for name, rows in selection.list_by_strategy().items())
    planned = f"{selection.questions:,} questions planned ({counts})" if counts else "nothing more to plan"
    waiting = states.waiting + selection.questions
    sentences = [f"{planned}; {waiting:,} wait for an answer"]
    if forecast is not None:
        sentences.append(str(forecast).capitalize())
    if waiting:
        sentences.append(
            "Answer them with `curate verify annotate --annotator NAME`, or in Label Studio after `curate verify push`"
        )
    return sentences[0] if len(sentences) == 1 else f"{'. '.join(sentences)}."
