"""`curate verify annotate`: questions in the terminal, one key a verdict. Each answer is committed at once."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from curate.core.errors import CurateError
from curate.core.terminal import SafeConsole, escape_controls
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


def annotate_questions(
    lake: Lake,
    person: str,
    *,
    overlap: int = 1,
    limit: int | None = None,
    read_key: Callable[[], str] | None = None,
    console: Console | None = None,
) -> int:
    """Ask a person the questions that wait for them, until all are answered or the person quits.

    Args:
        lake: The project's lake, open for writing.
        person: Pseudonym of the person.
        overlap: Number of people who answer each question.
        limit: Most questions to ask.
        read_key: Returns the next key; default: from the terminal.
        console: Where questions are shown; default: the terminal.

    Returns:
        The number of questions that the person has answered.

    Raises:
        CurateError: Keys are to be read from a terminal, and there is none.
    """
    console = console or SafeConsole(highlight=False)
    questions = list_questions(lake, person, overlap=overlap)[:limit]
    answered: set[str] = set()
    number = 0
    with contextlib.ExitStack() as stack:
        read_key = read_key or stack.enter_context(open_keyboard())
        while number < len(questions):
            question = questions[number]
            started = time.monotonic()
            _show_question(console, question, number, len(questions))
            key = _read_valid_key(read_key, console)
            if key in ("q", ""):
                break
            if key == "u":
                number = max(number - 1, 0)
                continue
            answer = _build_answer(question, key, time.monotonic() - started)
            record_answers(lake, person, [answer], part=PART)
            answered.add(question.task_id)
            number += 1
    console.print(f"{len(answered)} answered, {len(questions) - number} left.")
    return len(answered)


@contextlib.contextmanager
def open_keyboard() -> Iterator[Callable[[], str]]:
    """Yield a function that waits for a key of the terminal; "" at the end of the input.

    The terminal is restored afterwards. An interrupt is a KeyboardInterrupt. `click.getchar` would drop the keys that
    are typed between two questions.

    Raises:
        CurateError: The standard input is no terminal.
    """
    if not sys.stdin.isatty():
        raise CurateError(
            "`curate verify annotate` needs a terminal: use export-csv and import-csv elsewhere."
        )
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    typed: deque[str] = deque()

    def read_key() -> str:
        if not typed:
            text = os.read(descriptor, 32).decode("ascii", "replace").lower()
            typed.extend([text] if text.startswith("\x1b") else text)  # an arrow key is one key, not three
        return typed.popleft() if typed else ""

    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield read_key
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read_valid_key(read_key: Callable[[], str], console: Console) -> str:
    while True:
        key = read_key()
        if key in ("", *"abtsuq"):
            return key
        console.print(Text(f"{escape_controls(key)!r} is no key: {KEYS}", style="yellow"))


def _show_question(console: Console, question: OfflineQuestion, number: int, total: int) -> None:
    console.clear()
    console.print(Text(f"Question {number + 1} of {total}", style="bold"))
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
