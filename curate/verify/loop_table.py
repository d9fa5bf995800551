"""The tables that `curate verify loop` prints."""

from __future__ import annotations

from rich.console import Console

from curate.core.terminal import SafeConsole, new_table
from curate.verify.consistency import RULES
from curate.verify.loop import LoopState


def print_loop_state(state: LoopState, console: Console | None = None) -> None:
    """Print a line for each turn, the counts of stage 2 once it has run, and what the loop waits for."""
    console = console or SafeConsole(highlight=False)
    turns = new_table(
        "turn>", "pairs with people's verdict>", "best model agrees>", "neighbours called>", "questions asked"
    )
    for turn in state.turns:
        asked = ", ".join(f"{number:,} {name}" for name, number in turn.strategies.items())
        share = f"{turn.agrees / turn.gold:.0%}" if turn.gold else "·"
        turns.add_row(str(turn.number), f"{turn.gold:,}", share, f"{turn.calls:,}", asked)
    if state.turns:
        console.print(turns)
    if state.rules is not None and not state.waiting:
        rules = new_table("stage 2", "pairs>")
        for rule in RULES:
            rules.add_row(rule, f"{state.rules[rule]:,}")
        console.print(rules)
    console.print(f"{str(state).capitalize()}.")
