"""`curate explain PROMPT`: an explanation as text for a terminal of 80 columns, or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath, SnapshotOption
from curate.core.terminal import (
    SafeConsole,
    SafeTable,
    clean_cell,
    clean_text,
    new_table,
)

if TYPE_CHECKING:
    from rich.console import Console

    from curate.lake.explain import Explanation, LabelledPair, Statement

_TEXT = 200  # characters of a text, unless all is asked for
_STYLES = {"verified": "green", "accepted": "", "routed": "yellow", "flipped": "magenta", "discarded": "dim"}


def explain_labels(
    prompt: Annotated[str, typer.Argument(help="Id of the prompt, the beginning of its id, or its key.")],
    full: Annotated[
        bool, typer.Option("--full", help="Show whole texts and the reasons that judges gave.")
    ] = False,
    snapshot: SnapshotOption = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Explanation:
    """Show how a prompt got its labels: its judgments, its pairs, and the votes that were overruled."""
    from curate.lake.explain import explain_prompt, find_prompt
    from curate.lake.panel_view import select_panel

    settings = load_config(config)
    with open_lake(settings, read_only=True, snapshot=snapshot) as reader:
        select_panel(reader, settings.panel_names)
        explanation = explain_prompt(reader, find_prompt(reader, prompt))
    print_explanation(explanation, SafeConsole(highlight=False), full=full)
    return explanation


def print_explanation(explanation: Explanation, console: Console, *, full: bool = False) -> None:
    """Print an explanation; markup and control characters in texts of people and models take no effect."""
    key = f"  key {explanation.key}" if explanation.key is not None else ""
    console.print(clean_cell(f"prompt {explanation.prompt_id}{key}"), style="bold")
    console.print(_format_text(explanation.question, full))
    console.print()
    console.print(_build_responses(explanation, full))
    console.print(Text(explanation.order))
    console.print()
    if explanation.pairs:
        console.print(_build_pairs(explanation))
    if explanation.statements:
        console.print(_build_statements(explanation, full))
    else:
        console.print(Text("The present panel has not judged this prompt."))


def _build_responses(explanation: Explanation, full: bool) -> SafeTable:
    table = _build_table("", "rank>", "score>", "model", "response", title="Responses, best first")
    for place, response in enumerate(explanation.responses, 1):
        score = "" if response.score is None else f"{response.score:+.2f}"
        rank = "–" if response.rank is None else str(response.rank)
        table.add_row(
            f"#{place}", rank, score, clean_cell(response.model or ""), _format_text(response.text, full)
        )
    return table


def _build_pairs(explanation: Explanation) -> SafeTable:
    table = _build_table("label", "sure>", "votes>", "over-ruled>", "status", "why", title="Pairs")
    for pair in explanation.pairs:
        sign = "=" if pair.outcome == "tie" else ">"
        label = f"{explanation.place(pair.winner)} {sign} {explanation.place(pair.loser)}"
        dropped = f"{pair.dropped_weight:.3g}" if pair.dropped_weight else ""
        status = Text(pair.status, style=_STYLES.get(pair.status, ""))
        why = Text(pair.reason or "")
        table.add_row(label, f"{pair.confidence:.0%}", _format_votes(explanation, pair), dropped, status, why)
    return table


def _format_votes(explanation: Explanation, pair: LabelledPair) -> str:
    won, lost, ties = explanation.votes(pair)
    return f"{won}:{lost}" + (f" ={ties}" if ties else "")


def _build_statements(explanation: Explanation, full: bool) -> SafeTable:
    columns = ["annotator", "kind", "says", "shown first", "P>", *(["reason"] if full else [])]
    table = _build_table(*columns, title="Judgments")
    for statement in explanation.statements:
        style = "dim strike" if statement.superseded else ""
        first = {
            "ab": explanation.place(statement.response_a),
            "ba": explanation.place(statement.response_b),
        }.get(statement.shown or "", "")
        sure = _format_probability(statement)
        verdict = _format_verdict(explanation, statement)
        cells = [clean_cell(statement.annotator), *map(Text, (statement.kind, verdict, first, sure))]
        table.add_row(*cells, *([_format_text(statement.rationale or "", True)] if full else []), style=style)
    return table


def _format_verdict(explanation: Explanation, statement: Statement) -> str:
    a, b = explanation.place(statement.response_a), explanation.place(statement.response_b)
    if statement.form == "pointwise" and statement.score is not None:
        return f"{a} rated {statement.score:.3g}"
    if statement.form != "pairwise":
        return statement.form
    return {"a": f"{a} > {b}", "b": f"{b} > {a}", "tie": f"{a} = {b}"}.get(
        statement.outcome, f"{a} ? {b} ({statement.outcome})"
    )


def _format_probability(statement: Statement) -> str:
    """Return the probability of the verdict itself; `p_a` is that of response a."""
    if statement.p_a is None:
        return ""
    return f"{1 - statement.p_a if statement.outcome == 'b' else statement.p_a:.0%}"


def _format_text(text: str, full: bool) -> Text:
    from curate.report.printable import cut_text

    return clean_text(text if full else cut_text(" ".join(text.split()), _TEXT))


def _build_table(*columns: str, title: str) -> SafeTable:
    """Make a table; columns whose name ends in `>` hold numbers and are set to the right."""
    return new_table(*columns, title=title, padding=(0, 1, 0, 0))
