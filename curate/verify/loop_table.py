"""The tables that `curate verify loop` prints."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from curate.verify.consistency import RULES
from curate.verify.loop import LoopState


def print_loop_state(state: LoopState, console: Console | None = None) -> None:
    """Print a line for each turn, the counts of stage 2 once it has run, and what the loop waits for."""
    console = console or Console(highlight=False)
    turns = Table(box=box.SIMPLE_HEAD)
    for column in (
        "turn",
        "pairs with people's verdict",
        "best model agrees",
        "neighbours called",
        "questions asked",
    ):
        turns.add_column(column, justify="left" if column == "questions asked" else "right")
    for turn in state.turns:
        asked = ", ".join(f"{number:,} {name}" for name, number in turn.strategies.items())
        share = f"{turn.agrees / turn.gold:.0%}" if turn.gold else "·"
        turns.add_row(str(turn.number), f"{turn.gold:,}", share, f"{turn.calls:,}", asked)
    if state.turns:
        console.print(turns)
    if state.rules is not None and not state.waiting:
        rules = Table(box=box.SIMPLE_HEAD)
        rules.add_column("stage 2")
        rules.add_column("pairs", justify="right")
        for rule in RULES:
            rules.add_row(rule, f"{state.rules[rule]:,}")
        console.print(rules)
    console.print(f"{str(state).capitalize()}.")
