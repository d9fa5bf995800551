"""`curate explain PROMPT`: an explanation as text for a terminal of 80 columns, or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.cli.opening import load_config, open_lake

if TYPE_CHECKING:
    from curate.lake.explain import Explanation, LabelledPair, Statement

_TEXT = 200  # characters of a text, unless all is asked for
_STYLES = {"verified": "green", "accepted": "", "routed": "yellow", "flipped": "magenta", "discarded": "dim"}


def explain_prompt(
    prompt: Annotated[str, typer.Argument(help="Its id, the beginning of its id, or its key.")],
    full: Annotated[
        bool, typer.Option("--full", help="Whole texts, and what judges gave as reasons.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    snapshot: Annotated[int | None, typer.Option(help="Read the lake as it was at this snapshot.")] = None,
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The project's file.", envvar="CURATE_CONFIG")
    ] = Path("curate.yaml"),
) -> None:
    """Show why a prompt's labels are what they are: judgments, pairs, and what was overruled."""
    from curate.lake.explain import explain_prompt, find_prompt
    from curate.lake.panel_view import select_panel

    settings = load_config(config)
    with open_lake(settings, read_only=True, snapshot=snapshot) as reader:
        select_panel(reader, settings.panel_names)
        found = explain_prompt(reader, find_prompt(reader, prompt))
    if as_json:
        print(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        print_explanation(found, Console(highlight=False), full=full)


def print_explanation(found: Explanation, console: Console, *, full: bool = False) -> None:
    """What people and models wrote is shown as plain text: no markup and no control character of it takes effect."""
    key = f"  key {found.key}" if found.key is not None else ""
    console.print(_cell(f"prompt {found.prompt_id}{key}"), style="bold")
    console.print(_shown(found.question, full))
    console.print()
    console.print(_responses(found, full))
    console.print(Text(found.order))
    console.print()
    if found.pairs:
        console.print(_pairs(found))
    if found.statements:
        console.print(_statements(found, full))
    else:
        console.print(Text("The present panel has not judged this prompt."))


def _responses(found: Explanation, full: bool) -> Table:
    table = _table("", "rank>", "score>", "model", "response", title="Responses, best first")
    for place, each in enumerate(found.responses, 1):
        score = "" if each.score is None else f"{each.score:+.2f}"
        rank = "–" if each.rank is None else str(each.rank)
        table.add_row(f"#{place}", rank, score, _cell(each.model or ""), _shown(each.text, full))
    return table


def _pairs(found: Explanation) -> Table:
    table = _table("label", "sure>", "votes>", "over-ruled>", "status", "why", title="Pairs")
    for pair in found.pairs:
        sign = "=" if pair.outcome == "tie" else ">"
        label = f"{found.place(pair.winner)} {sign} {found.place(pair.loser)}"
        dropped = f"{pair.dropped_weight:.3g}" if pair.dropped_weight else ""
        status = Text(pair.status, style=_STYLES.get(pair.status, ""))
        why = Text(pair.reason or "")
        table.add_row(label, f"{pair.confidence:.0%}", _votes(found, pair), dropped, status, why)
    return table


def _votes(found: Explanation, pair: LabelledPair) -> str:
    won, lost, ties = found.votes(pair)
    return f"{won}:{lost}" + (f" ={ties}" if ties else "")


def _statements(found: Explanation, full: bool) -> Table:
    columns = ["annotator", "kind", "says", "shown first", "P>", *(["reason"] if full else [])]
    table = _table(*columns, title="Judgments")
    for each in found.statements:
        style = "dim strike" if each.superseded else ""
        first = {"ab": found.place(each.response_a), "ba": found.place(each.response_b)}.get(
            each.shown or "", ""
        )
        sure = _probability(each)
        cells = [_cell(each.annotator), Text(each.kind), Text(_says(found, each)), Text(first), Text(sure)]
        table.add_row(*cells, *([_shown(each.rationale or "", True)] if full else []), style=style)
    return table


def _says(found: Explanation, each: Statement) -> str:
    a, b = found.place(each.response_a), found.place(each.response_b)
    if each.form == "pointwise" and each.score is not None:
        return f"{a} rated {each.score:.3g}"
    if each.form != "pairwise":
        return each.form
    return {"a": f"{a} > {b}", "b": f"{b} > {a}", "tie": f"{a} = {b}"}.get(
        each.outcome, f"{a} ? {b} ({each.outcome})"
    )


def _probability(each: Statement) -> str:
    """Of what it says, not of a."""
    if each.p_a is None:
        return ""
    return f"{1 - each.p_a if each.outcome == 'b' else each.p_a:.0%}"


def _shown(text: str, full: bool) -> Text:
    from curate.report.printable import excerpt, printable

    return Text(printable(text if full else excerpt(" ".join(text.split()), _TEXT)))


def _cell(text: str) -> Text:
    from curate.report.printable import printable

    return Text(printable(text), overflow="fold")


def _table(*columns: str, title: str) -> Table:
    """Columns that end in `>` are figures, set to the right."""
    table = Table(
        box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", padding=(0, 1, 0, 0)
    )
    for column in columns:
        table.add_column(column.removesuffix(">"), justify="right" if column.endswith(">") else "left")
    return table
