"""`curate runs`: what ran, when, how long, and what became of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.documents import RunsDocument
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.core.errors import CurateError
from curate.core.terminal import new_console, new_table

if TYPE_CHECKING:
    from curate.cli.documents import Row
    from curate.lake.history import RunRecord


def show_runs(
    run: Annotated[str | None, typer.Argument(help="Beginning of a run's id: show its parts.")] = None,
    stage: Annotated[str | None, typer.Option("--stage", "-s", help="Only runs of this stage.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Most runs, the newest first.")] = 20,
    config: ConfigPath = DEFAULT_CONFIG,
) -> RunsDocument:
    """List what ran, when, how long, rows in and out, cost and failures; what had nothing to do left no record."""
    from curate.lake.history import list_parts, list_runs

    with open_lake(load_config(config), read_only=True) as lake:
        runs = list_runs(lake, run=(run or "").lower(), stage=stage, limit=limit)
        parts = list_parts(lake, run.lower()) if run else []
    if not runs and (run or stage):
        raise CurateError(
            f"No run of that kind: {run or stage!r} is neither a run's beginning nor a stage that ran."
        )
    _print_runs(runs)
    if parts:
        _print_parts(parts)
    return RunsDocument(runs, parts)


def _print_runs(runs: list[RunRecord]) -> None:
    figures = ("seconds", "in", "kept", "dropped", "failed", "tokens", "cost")
    table = new_table("run", "stage", "began (UTC)", *(f"{name}>" for name in figures), "status", "snapshot>")
    for run in runs:
        counts = (run.rows_in, run.rows_kept, run.rows_dropped, run.failed)
        tokens = run.tokens_in + run.tokens_out
        table.add_row(
            run.run_id[:8],
            run.stage,
            run.started[:19].replace("T", " "),
            f"{run.seconds:,.1f}",
            *(f"{count:,}" if count else "·" for count in (*counts, tokens)),
            f"{run.cost:,.2f}" if run.cost else "·",
            run.status,
            "gone" if run.snapshot is None else str(run.snapshot),
        )
    new_console().print(table)


def _print_parts(parts: list[Row]) -> None:
    table = new_table("stage", "part", "chunks>", "seconds>", "in>", "kept>", "dropped>", "cost>", "status")
    for part in parts:
        counts = (part["rows_in"], part["rows_kept"], part["rows_dropped"])
        table.add_row(
            part["stage"],
            part["part"],
            f"{part['chunks']:,}",
            f"{part['seconds']:,.1f}",
            *(f"{count:,}" if count else "·" for count in counts),
            f"{part['cost']:,.2f}" if part["cost"] else "·",
            "done" if part["status"] == "done" else "unfinished",
        )
    new_console().print(table)
