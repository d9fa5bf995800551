"""`curate diff`: which labels changed between two runs or snapshots, and why."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.core.terminal import new_console, new_table

if TYPE_CHECKING:
    from curate.lake.label_diff import ChangedLabel, LabelDiff, LabelState


def compare_runs(
    before: Annotated[
        str, typer.Argument(help="A run (the beginning of its id, see `curate runs`) or a snapshot's number.")
    ],
    after: Annotated[str | None, typer.Argument(help="A later run or snapshot; default: now.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Most pairs that are shown.")] = 20,
    config: ConfigPath = DEFAULT_CONFIG,
) -> LabelDiff:
    """Show which labels changed from one state of the lake to another, and why: votes, people, judges, settings."""
    from curate.lake.history import find_snapshot
    from curate.lake.label_diff import compare_labels

    settings = load_config(config)
    with open_lake(settings, read_only=True) as lake:
        first = find_snapshot(lake, before)
        last = lake.snapshot() if after is None else find_snapshot(lake, after)
    with (
        open_lake(settings, read_only=True, snapshot=first) as old,
        open_lake(settings, read_only=True, snapshot=last) as new,
    ):
        diff = compare_labels(old, new)
    _print_diff(diff, limit)
    return dataclasses.replace(diff, pairs=diff.pairs[:limit])


def _print_diff(diff: LabelDiff, limit: int) -> None:
    console = new_console()
    console.print(f"{_describe_state(diff.before)} → {_describe_state(diff.after)}")
    if not diff.changed:
        console.print("no label changed")
    for name, counts in (("changed", diff.kinds), ("because of", diff.reasons)):
        if counts:
            words = ", ".join(f"{number:,} {word}" for word, number in counts.items())
            console.print(f"{name}: {words}", soft_wrap=True)
    for change in diff.settings:
        console.print(f"setting {change.key}: {_show(change.before)} → {_show(change.after)}", soft_wrap=True)
    if diff.pairs[:limit]:
        table = new_table("prompt", "a", "b", "label", "P(a)", "status", "because of")
        for pair in diff.pairs[:limit]:
            table.add_row(*_describe_pair(pair))
        console.print(table)
    if diff.changed > limit:
        console.print(
            f"{diff.changed:,} pairs, {limit:,} shown: --limit shows more; `curate explain PROMPT` one"
        )


def _describe_state(state: LabelState) -> str:
    run = f" (run {state.run_id[:8]})" if state.run_id else ""
    return f"snapshot {state.snapshot}: {state.labels:,} labels, set {state.iteration}{run}"


def _describe_pair(pair: ChangedLabel) -> list[str]:
    causes = [
        f"{cause.reason} ({', '.join(cause.annotators)})" if cause.annotators else cause.reason
        for cause in pair.causes
    ]
    return [
        pair.prompt_id[:8],
        pair.response_a[:8],
        pair.response_b[:8],
        _join(pair.outcome_before, pair.outcome_after),
        " → ".join("–" if p is None else f"{p:.2f}" for p in (pair.p_a_before, pair.p_a_after)),
        _join(pair.status_before, pair.status_after),
        "; ".join(causes),
    ]


def _join(before: str | None, after: str | None) -> str:
    return (before or "–") if before == after else f"{before or '–'} → {after or '–'}"


def _show(value: object) -> str:
    return "default" if value is None else str(value)
