"""`curate verify annotate`: questions in the terminal, one key a verdict. Each answer is committed at once."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from curate.core.errors import CurateError
from curate.lake.lake import Lake
from curate.records import Outcome
from curate.verify.answers import (
    OfflineAnswer,
    OfflineQuestion,
    infer_outcome,
    list_questions,
    record_answers,
)

KEYS = "a first is better · b second is better · t tie · s skip · u undo (back to the last one) · q quit"
PART = "terminal"
_BREAKS = {"\n", "\t"}
_CONTROLS = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}  # escapes, direction overrides, zero-width marks


def annotate_questions(
    lake: Lake,
    person: str,
    *,
    overlap: int = 1,
    limit: int | None = None,
    read_key: Callable[[], str] | None = None,
    console: Console | None = None,
) -> int:
    """Ask `person` (a pseudonym) what waits for them, until they quit; returns how many questions they answered.

    `read_key` and `console`: the terminal, unless a test brings its own.
    """
    console = console or Console(highlight=False)
    asked = list_questions(lake, person, overlap=overlap)[:limit]
    answered: set[str] = set()
    place = 0
    with contextlib.ExitStack() as stack:
        read = read_key or stack.enter_context(open_keyboard())
        while place < len(asked):
            question = asked[place]
            started = time.monotonic()
            _show_question(console, question, place, len(asked))
            key = _read_valid_key(read, console)
            if key in ("q", ""):
                break
            if key == "u":
                place = max(place - 1, 0)
                continue
            answer = _build_answer(question, key, time.monotonic() - started)
            record_answers(lake, person, [answer], part=PART)
            answered.add(question.task_id)
            place += 1
    console.print(f"{len(answered)} answered, {len(asked) - place} left.")
    return len(answered)


def escape_controls(text: str) -> str:
    """The text with every character that could steer a terminal or hide something spelt out.

    >>> printable("red\\x1b[31m \\u202etxt")
    'red\\\\x1b[31m \\\\u202etxt'
    """
    return "".join(
        char
        if char in _BREAKS or unicodedata.category(char) not in _CONTROLS
        else char.encode("unicode_escape").decode()
        for char in text.replace("\r\n", "\n")
    )


@contextlib.contextmanager
def open_keyboard() -> Iterator[Callable[[], str]]:
    """A function that waits for one key; the terminal is as it was afterwards. An interrupt is a KeyboardInterrupt."""
    if not sys.stdin.isatty():
        raise CurateError(
            "`curate verify annotate` needs a terminal: use export-csv and import-csv elsewhere."
        )
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield lambda: os.read(descriptor, 1).decode("ascii", "replace").lower()
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read_valid_key(read: Callable[[], str], console: Console) -> str:
    while True:
        key = read()
        if key == "" or key in "abtsuq":
            return key
        console.print(Text(f"{escape_controls(key)!r} is no key: {KEYS}", style="yellow"))


def _show_question(console: Console, question: OfflineQuestion, place: int, of: int) -> None:
    console.clear()
    console.print(Text(f"Question {place + 1} of {of}", style="bold"))
    for title, text in (("Prompt", question.prompt), ("A", question.first), ("B", question.second)):
        console.print(Panel(Text(escape_controls(text) or "(empty)"), title=title, title_align="left"))
    console.print(Text(KEYS, style="dim"))


def _build_answer(question: OfflineQuestion, key: str, seconds: float) -> OfflineAnswer:
    outcome: Outcome = (
        "tie" if key == "t" else "abstain" if key == "s" else infer_outcome(int(key == "b"), question.shown)
    )
    return OfflineAnswer(
        task_id=question.task_id,
        prompt_id=question.prompt_id,
        a=question.a,
        b=question.b,
        shown=question.shown,
        outcome=outcome,
        seconds=round(seconds, 3),
    )
