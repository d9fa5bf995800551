"""The tables that commands print at their end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.lake.status import Status

if TYPE_CHECKING:
    from curate.judge.dry_run import CostEstimate

_LOG_WIDTH = 130


def print_summaries(summaries: Iterable[Summary]) -> None:
    """One line a stage: what it was given and what became of it; then what the stages have to say."""
    table = new_table("stage", "in>", "kept>", "duplicates>", "dropped>", "tokens>", "seconds>", "")
    remarks = []
    for summary in summaries:
        counts = summary.counts
        tokens = counts.tokens_in + counts.tokens_out
        figures = [counts.rows_in, counts.rows_kept, counts.rows_duplicate, counts.rows_dropped, tokens]
        state = "nothing to do" if summary.skipped else _reasons(counts.dropped)
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
        console.print(remark, soft_wrap=True, markup=False)


def print_estimates(estimates: Sequence[CostEstimate]) -> None:
    """What judges would ask and what it would take; `≈` where tokens are estimated, `≤` where it may be fewer."""
    table = new_table("judge", "questions>", "calls>", "tokens in>", "tokens out>", "cost>")
    for each in estimates:
        fewer, about = "≤ " if each.at_most else "", "" if each.counted else "≈ "
        figures = (f"{fewer}{each.questions:,}", f"{each.calls:,}", f"{about}{each.tokens_in:,}")
        cost = "no price" if each.cost is None else f"{each.cost:,.2f}"
        table.add_row(each.judge, *figures, f"≤ {each.tokens_out:,}" if each.tokens_out else "0", cost)
    total = sum(each.cost or 0.0 for each in estimates)
    tokens_in, tokens_out = (
        sum(getattr(each, name) for each in estimates) for name in ("tokens_in", "tokens_out")
    )
    calls = sum(each.calls for each in estimates)
    questions = sum(each.questions for each in estimates)
    table.add_row(
        "total", f"{questions:,}", f"{calls:,}", f"{tokens_in:,}", f"{tokens_out:,}", f"{total:,.2f}"
    )
    console = new_console()
    console.print(table)
    console.print("nothing was sent; tokens out are what judges allow at most", markup=False)
    if not all(each.counted for each in estimates):
        console.print(
            "≈ estimated at four characters a token: the engine has no tokenizer here", markup=False
        )
    if any(each.at_most for each in estimates):
        console.print("≤ at most: which questions are asked depends on answers", markup=False)


def print_status(status: Status, *, as_json: bool) -> None:
    frames = {
        "tables": status.tables,
        "stages": status.stages,
        "judges": status.judges,
        "failures": status.failures,
        "runs": status.runs,
        "quarantine": status.quarantine,
    }
    if as_json:
        rows = {name: frame.to_dicts() for name, frame in frames.items()}
        print(
            json.dumps(
                {"snapshot": status.snapshot, "reconciles": status.reconciles, "warnings": status.warnings}
                | rows,
                indent=2,
                default=str,
            )
        )
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
                table.add_row(*map(_cell, row))
            console.print(table)
    for warning in status.warnings:
        console.print(f"warning: {warning}", soft_wrap=True, markup=False)
    console.print(
        "all counts reconcile"
        if status.reconciles
        else "[bold red]some counts do not reconcile (see stages)[/]"
    )


def print_scores(lake: Lake) -> None:
    """The score table of each benchmark: accuracy on pairs and of the best of N, with 95 % intervals."""
    table = new_table("benchmark", "subject", "pairs right", "95 %", "of>", "best of N", "judged>")
    for name, subject, pairs, low, high, n, best, coverage in lake.rows(read_query("scores")):
        interval = f"{low:.1%} – {high:.1%}" if low is not None else ""
        share = "" if best is None else f"{best:.1%}"
        judged = "" if coverage is None else f"{coverage:.0%}"
        table.add_row(name, subject, f"{pairs:.1%}", interval, f"{n:,}", share, judged)
    if table.row_count:
        new_console().print(table)


def print_guard(lake: Lake) -> None:
    """How often each judge preferred a hack answer of the guard set to a plain good one."""
    table = new_table("judge", "fooled", "95 %", "of>", "most by", "there>")
    for judge, rate, low, high, n, hack, worst in lake.rows(read_query("guard_rates")):
        interval = f"{low:.1%} – {high:.1%}" if low is not None else ""
        table.add_row(judge, f"{rate:.1%}", interval, f"{n:,}", hack, f"{worst:.0%}")
    if table.row_count:
        new_console().print(table)


def _reasons(dropped: dict[str, int]) -> str:
    most = sorted(dropped.items(), key=lambda item: -item[1])[:2]
    return "; ".join(f"{rows:,} {reason}" for reason, rows in most)


def new_table(*columns: str, title: str | None = None) -> Table:
    """Columns that end in `>` are figures, set to the right."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column.removesuffix(">"), justify="right" if column.endswith(">") else "left")
    return table


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "")


def new_console() -> Console:
    """In a pipe or a log there is no width to keep to."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_LOG_WIDTH)
