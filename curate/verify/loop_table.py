"""What `curate verify loop` prints of where the loop stands."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from curate.verify.consistency import RULES
from curate.verify.loop import LoopState


def print_loop_state(found: LoopState, console: Console | None = None) -> None:
    """A line for each turn, the rules of stage 2 once they were applied, and what is waited for."""
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
    for turn in found.turns:
        asked = ", ".join(f"{number:,} {name}" for name, number in turn.strategies.items())
        share = f"{turn.agrees / turn.gold:.0%}" if turn.gold else "·"
        turns.add_row(str(turn.number), f"{turn.gold:,}", share, f"{turn.calls:,}", asked)
    if found.turns:
        console.print(turns)
    if found.rules is not None and not found.waiting:
        rules = Table(box=box.SIMPLE_HEAD)
        rules.add_column("stage 2")
        rules.add_column("pairs", justify="right")
        for rule in RULES:
            rules.add_row(rule, f"{found.rules[rule]:,}")
        console.print(rules)
    console.print(f"{str(found).capitalize()}.")
