"""`curate filter`: what is left out of judging and of exports, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.documents import Row, Stages
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.tables import print_summaries
from curate.core.errors import CurateError
from curate.core.progress import progress_bars
from curate.core.resources import read_query
from curate.core.terminal import new_console, new_table

if TYPE_CHECKING:
    from curate.filter.stage import FilterResult

_EXAMPLES = 3


def filter_texts(
    config: ConfigPath = DEFAULT_CONFIG,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be left out, with examples; write nothing.")
    ] = False,
    show: Annotated[
        str | None,
        typer.Option("--show", help="Print the decisions of one filter, with texts, and do nothing else."),
    ] = None,
) -> Stages | list[Row]:
    """Decide which prompts and responses judges and exports leave out; nothing is deleted."""
    from curate.filter import filter_items, preview_filters

    settings = load_config(config)
    if show is not None:
        return _show_decisions(config, show)
    if not settings.filter and dry_run:
        raise CurateError(
            f"{config} has no section `filter`: add one, for example `filter: [{{kind: duplicates}}]`."
        )
    with open_lake(settings, read_only=dry_run) as lake:
        if dry_run:
            return _print_preview(preview_filters(lake, settings))
        return print_summaries([filter_items(lake, settings, track=progress_bars)])


def _show_decisions(config: ConfigPath, name: str) -> list[Row]:
    with open_lake(load_config(config), read_only=True) as lake:
        rows: list[Row] = lake.arrow(read_query("filter_show"), [name]).to_pylist()
        if not rows:
            known = ", ".join(str(known_name) for (known_name,) in lake.rows(read_query("filter_names")))
            advice = f"there are {known}" if known else "run `curate filter`"
            raise CurateError(f"No filter called {name!r} has left anything out: {advice}.")
    table = new_table("target", "reason", "score>", "like", "text")
    for row in rows:
        score = "" if row["score"] is None else f"{row['score']:.2f}"
        table.add_row(
            row["target"], row["reason"], score, (row["other"] or "")[:12], _shorten(row["text"] or "")
        )
    new_console().print(table)
    return rows


def _print_preview(results: list[FilterResult]) -> list[Row]:
    table = new_table("filter", "action", "of", "in>", "found>", "reasons")
    for result in results:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in result.reasons.most_common(4))
        table.add_row(
            result.configured.name,
            result.configured.filter.options.action,
            result.configured.filter.target,
            f"{result.items:,}",
            f"{len(result.decisions):,}",
            reasons,
        )
    console = new_console()
    console.print(table)
    for result in results:
        for decision in result.decisions[:_EXAMPLES]:
            console.print(
                f"{result.configured.name}: {decision.reason}: {_shorten(decision.item.text)}", soft_wrap=True
            )
    console.print("nothing was written")
    return [_describe(result) for result in results]


def _describe(result: FilterResult) -> Row:
    return {
        "filter": result.configured.name,
        "action": result.configured.filter.options.action,
        "of": result.configured.filter.target,
        "items": result.items,
        "found": len(result.decisions),
        "reasons": dict(result.reasons),
        "examples": [
            {
                "id": decision.item.id,
                "reason": decision.reason,
                "score": decision.score,
                "text": decision.item.text,
            }
            for decision in result.decisions[:_EXAMPLES]
        ],
    }


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:99]}…"
