"""The tables that commands print at their end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from curate.core.resources import read_query
from curate.core.terminal import escape_json, new_console, new_table, print_data

if TYPE_CHECKING:
    from curate.judge.dry_run import CostEstimate
    from curate.lake.lake import Lake
    from curate.lake.runs import Summary
    from curate.lake.status import Status


def print_summaries(summaries: Iterable[Summary]) -> None:
    """Print one line a stage (its rows, by what became of them, tokens and seconds), then the notes of the stages."""
    table = new_table("stage", "in>", "kept>", "duplicates>", "dropped>", "tokens>", "seconds>", "")
    remarks = []
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
    console = new_console()
    console.print(table)
    for remark in remarks:
        console.print(remark, soft_wrap=True)


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
    console.print("nothing was sent; tokens out are the most that the judges allow")
    if not all(estimate.counted for estimate in estimates):
        console.print("≈ estimated at four characters a token: the engine has no tokenizer here")
    if any(estimate.at_most for estimate in estimates):
        console.print("≤ at most: which questions are asked depends on earlier answers")


def print_status(status: Status, *, as_json: bool) -> None:
    """Print what is in the lake, as tables or as JSON."""
    frames = {
        "tables": status.tables,
        "sources": status.sources,
        "stages": status.stages,
        "judges": status.judges,
        "failures": status.failures,
        "runs": status.runs,
        "quarantine": status.quarantine,
        "forgotten": status.forgotten,
    }
    if as_json:
        rows = {name: frame.to_dicts() for name, frame in frames.items()}
        document = {"snapshot": status.snapshot, "reconciles": status.reconciles, "warnings": status.warnings}
        print_data(escape_json(json.dumps(document | rows, indent=2, default=str)))
        return
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


def print_scores(lake: Lake) -> None:
    """Print the scores of each benchmark: accuracy on all pairs and on the judged ones, and of the best of N."""
    table = new_table(
        "benchmark", "subject", "all pairs>", "95 %", "judged right>", "of>", "best of N", "judged>"
    )
    for name, subject, pairs, low, high, right, n, best, coverage in lake.rows(read_query("scores")):
        interval = f"{low:.1%} – {high:.1%}" if low is not None else ""
        share = "" if best is None else f"{best:.1%}"
        judged = "" if coverage is None else f"{coverage:.0%}"
        table.add_row(name, subject, f"{pairs:.1%}", interval, f"{right:.1%}", f"{n:,}", share, judged)
    if table.row_count:
        new_console().print(table)


def print_attacks(lake: Lake, outcome: Literal["fooled", "flipped"]) -> None:
    """Print how often each judge was fooled by answers that say nothing, or flipped by edits of style."""
    rows = lake.rows(read_query("guard_rates" if outcome == "fooled" else "attack_rates"))
    table = new_table("judge", outcome, "95 %", "of>", "most by", "there>")
    for judge, rate, low, high, n, hack, worst in rows:
        interval = f"{low:.1%} – {high:.1%}" if low is not None else ""
        there = f"{worst:.0%}" if worst is not None else ""
        table.add_row(judge, f"{rate:.1%}", interval, f"{n:,}", hack or "", there)
    if table.row_count:
        new_console().print(table)


def _format_reasons(dropped: dict[str, int]) -> str:
    most = sorted(dropped.items(), key=lambda item: -item[1])[:2]
    return "; ".join(f"{rows:,} {reason}" for reason, rows in most)


def _format_cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "")
