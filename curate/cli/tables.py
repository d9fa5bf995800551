"""The tables that commands print at their end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from curate.cli.documents import AttackRate, BenchmarkScore, StageResult, Stages, StatusDocument
from curate.core.resources import read_query
from curate.core.terminal import new_console, new_table

if TYPE_CHECKING:
    from curate.judge.dry_run import CostEstimate
    from curate.lake.lake import Lake
    from curate.lake.runs import Summary
    from curate.lake.status import Status

_STATUS = ("tables", "sources", "stages", "judges", "failures", "runs", "quarantine", "forgotten")


def print_summaries(summaries: Iterable[Summary]) -> Stages:
    """Print one line a stage (its rows, by what became of them, tokens and seconds), then the notes of the stages.

    Returns:
        The same, for programs.
    """
    table = new_table("stage", "in>", "kept>", "duplicates>", "dropped>", "tokens>", "seconds>", "")
    remarks = []
    results = []
    for summary in summaries:
        counts = summary.counts
        tokens = counts.tokens_in + counts.tokens_out
        figures = [counts.rows_in, counts.rows_kept, counts.rows_duplicate, counts.rows_dropped, tokens]
        state = "nothing to do" if summary.skipped else _format_reasons(counts.dropped)
        table.add_row(
            summary.stage,
            *(f"{figure:,}" if figure else "·" for figure in figures),
            f"{summary.seconds:.1f}",
            state,
        )
        if summary.note:
            remarks.append(f"{summary.stage}: {summary.note}")
        results.append(_describe_summary(summary))
    console = new_console()
    console.print(table)
    for remark in remarks:
        console.print(remark, soft_wrap=True)
    return Stages(results)


def print_estimates(estimates: Sequence[CostEstimate]) -> None:
    """Print the calls, tokens and cost of each judge; `≈` marks an estimate, `≤` an upper bound."""
    table = new_table("judge", "questions>", "calls>", "tokens in>", "tokens out>", "cost>")
    for estimate in estimates:
        at_most, about = "≤ " if estimate.at_most else "", "" if estimate.counted else "≈ "
        figures = (
            f"{at_most}{estimate.questions:,}",
            f"{estimate.calls:,}",
            f"{about}{estimate.tokens_in:,}",
        )
        cost = "no price" if estimate.cost is None else f"{estimate.cost:,.2f}"
        table.add_row(
            estimate.judge, *figures, f"≤ {estimate.tokens_out:,}" if estimate.tokens_out else "0", cost
        )
    total = sum(estimate.cost or 0.0 for estimate in estimates)
    tokens_in, tokens_out = (
        sum(getattr(estimate, name) for estimate in estimates) for name in ("tokens_in", "tokens_out")
    )
    calls = sum(estimate.calls for estimate in estimates)
    questions = sum(estimate.questions for estimate in estimates)
    table.add_row(
        "total", f"{questions:,}", f"{calls:,}", f"{tokens_in:,}", f"{tokens_out:,}", f"{total:,.2f}"
    )
    console = new_console()
    console.print(table)
    for estimate in estimates:
        if estimate.cost_at_once is not None and estimate.cost_as_batch is not None:
            console.print(
                f"{estimate.judge}: {estimate.cost_at_once:,.2f} at once, {estimate.cost_as_batch:,.2f} as a batch "
                "(`batch: true` of its engine, where the provider offers it)",
                soft_wrap=True,
            )
    console.print("nothing was sent; tokens out are the most that the judges allow")
    if not all(estimate.counted for estimate in estimates):
        console.print("≈ estimated at four characters a token: the engine has no tokenizer here")
    if any(estimate.at_most for estimate in estimates):
        console.print("≤ at most: which questions are asked depends on earlier answers")


def print_status(status: Status) -> StatusDocument:
    """Print what is in the lake, as tables, and return it for programs."""
    frames = {name: getattr(status, name) for name in _STATUS}
    console = new_console()
    console.print(f"snapshot {status.snapshot}")
    for name, frame in frames.items():
        if frame.height:
            table = new_table(
                *(column + (">" if dtype.is_numeric() else "") for column, dtype in frame.schema.items()),
                title=name,
            )
            for row in frame.iter_rows():
                table.add_row(*map(_format_cell, row))
            console.print(table)
    for warning in status.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
    if status.reconciles:
        console.print("all counts reconcile")
    else:
        console.print("some counts do not reconcile (see stages)", style="bold red")
    rows = {name: frame.to_dicts() for name, frame in frames.items()}
    return StatusDocument(status.snapshot, status.reconciles, list(status.warnings), **rows)


def print_scores(lake: Lake) -> list[BenchmarkScore]:
    """Print the scores of each benchmark: accuracy on all pairs and on the judged ones, and of the best of N."""
    scores = [BenchmarkScore(*row) for row in lake.rows(read_query("scores"))]
    table = new_table(
        "benchmark", "subject", "all pairs>", "95 %", "judged right>", "of>", "best of N", "judged>"
    )
    for score in scores:
        share = "" if score.best_of_n is None else f"{score.best_of_n:.1%}"
        judged = "" if score.coverage is None else f"{score.coverage:.0%}"
        interval = _format_interval(score.low, score.high)
        figures = (f"{score.all_pairs:.1%}", interval, f"{score.accuracy:.1%}", f"{score.n:,}", share, judged)
        table.add_row(score.benchmark, score.subject, *figures)
    if table.row_count:
        new_console().print(table)
    return scores


def print_attacks(lake: Lake, outcome: Literal["fooled", "flipped"]) -> list[AttackRate]:
    """Print how often each judge was fooled by answers that say nothing, or flipped by edits of style."""
    query = read_query("guard_rates" if outcome == "fooled" else "attack_rates")
    rates = [AttackRate(*row) for row in lake.rows(query)]
    table = new_table("judge", outcome, "95 %", "of>", "most by", "flipped by it>")
    for rate in rates:
        there = f"{rate.there:.0%}" if rate.there is not None else ""
        interval = _format_interval(rate.low, rate.high)
        table.add_row(rate.judge, f"{rate.rate:.1%}", interval, f"{rate.n:,}", rate.most_by or "", there)
    if table.row_count:
        new_console().print(table)
    return rates


def _describe_summary(summary: Summary) -> StageResult:
    counts = summary.counts
    return StageResult(
        stage=summary.stage,
        rows_in=counts.rows_in,
        rows_kept=counts.rows_kept,
        rows_duplicate=counts.rows_duplicate,
        rows_dropped=counts.rows_dropped,
        dropped=counts.dropped,
        tokens_in=counts.tokens_in,
        tokens_out=counts.tokens_out,
        cost=counts.cost,
        seconds=summary.seconds,
        skipped=summary.skipped,
        note=summary.note,
    )


def _format_interval(low: float | None, high: float | None) -> str:
    return f"{low:.1%} – {high:.1%}" if low is not None else ""


def _format_reasons(dropped: dict[str, int]) -> str:
    most = sorted(dropped.items(), key=lambda item: -item[1])[:2]
    return "; ".join(f"{rows:,} {reason}" for reason, rows in most)


def _format_cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "")
