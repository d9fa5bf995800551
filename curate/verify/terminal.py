"""`curate verify annotate`: questions in the terminal. Each answer is committed at once.

A pair, a pass or fail and a criterion take one key each; rankings, reasons and marked words are typed as lines.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.human_forms import AskedAs
from curate.core.terminal import SafeConsole, escape_controls
from curate.lake.lake import Lake
from curate.verify.answer_words import SPAN_LABELS, WORDS, parse_answer
from curate.verify.answers import OfflineAnswer, OfflineQuestion, list_questions, record_answers
from curate.verify.forms import Verdict, describe_aspect

ReadKey = Callable[[], str]
PART = "terminal"

_OTHERS = "s skip · u undo (back to the last one) · q quit"
_PAIR_KEYS = {
    "a": "first",
    "b": "second",
    "t": "tie",
    "1": "first much",
    "2": "first",
    "3": "first slightly",
    "4": "tie",
    "5": "second slightly",
    "6": "second",
    "7": "second much",
    "8": "both bad",
}
_PASS_KEYS = {"1": "pass", "2": "fail", "3": "unsure", "p": "pass", "f": "fail"}
_LEAVING = {"u": "undo", "q": "quit", "": "quit"}
KEYS: dict[AskedAs, str] = {
    "pairwise": "a A is better · b B is better · t equally good · 1 2 3 A much, somewhat, slightly better · "
    f"5 6 7 B slightly, somewhat, much better · 8 both bad · {_OTHERS}",
    "pass-fail": f"p pass · f fail · 3 cannot tell · {_OTHERS}",
    "critique": f"p pass · f fail · 3 cannot tell · {_OTHERS}",
    "rubric": f"y the criterion is met · n it is not · {_OTHERS}",
    "ranking": "type the numbers from best to worst (2 1 3; 2 = 1 3 for equal ones), then Enter · or s, u, q",
}
"""What can be pressed, for each form."""


class _LeaveQuestionError(Exception):
    """The person goes back or quits in place of an answer; `args[0]`: "undo" or "quit"."""


def annotate_questions(
    lake: Lake,
    person: str,
    *,
    overlap: int = 1,
    limit: int | None = None,
    config: Config | None = None,
    read_key: ReadKey | None = None,
    console: Console | None = None,
) -> int:
    """Ask a person the questions that wait for them, until all are answered or the person quits.

    Args:
        lake: The project's lake, open for writing.
        person: Pseudonym of the person.
        overlap: Number of people who answer each question.
        limit: Most questions to ask.
        config: The project, for guidelines and criteria; default: those of the package.
        read_key: Returns the next key; default: from the terminal.
        console: Where questions are shown; default: the terminal.

    Returns:
        The number of questions that the person has answered.

    Raises:
        CurateError: Keys are to be read from a terminal, and there is none.
    """
    console = console or SafeConsole(highlight=False)
    questions = list_questions(lake, person, overlap=overlap, config=config)[:limit]
    answered: set[str] = set()
    number = 0
    with contextlib.ExitStack() as stack:
        read_key = read_key or stack.enter_context(open_keyboard())
        while number < len(questions):
            question = questions[number]
            started = time.monotonic()
            _show_question(console, question, number, len(questions))
            try:
                verdict = _ASKING[question.asked_as](question, read_key, console)
            except _LeaveQuestionError as leaving:
                if leaving.args[0] == "quit":
                    break
                number = max(number - 1, 0)
                continue
            seconds = round(time.monotonic() - started, 3)
            answer = OfflineAnswer(question=question, verdict=verdict, seconds=seconds)
            record_answers(lake, person, [answer], part=PART)
            answered.add(question.task_id)
            number += 1
    console.print(f"{len(answered)} answered, {len(questions) - number} left.")
    return len(answered)


@contextlib.contextmanager
def open_keyboard() -> Iterator[ReadKey]:
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
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read_key() -> str:
        while not typed:
            piece = os.read(descriptor, 32)
            if not piece:
                return ""
            text = decoder.decode(piece)
            typed.extend([text] if text.startswith("\x1b") else text)  # an arrow key is one key, not three
        return typed.popleft()

    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield read_key
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _ask_pair(question: OfflineQuestion, read_key: ReadKey, console: Console) -> Verdict:
    key = _read_choice(question.asked_as, _PAIR_KEYS, read_key, console)
    return parse_answer(question, _PAIR_KEYS.get(key, "skip"), rationale=None)


def _ask_pass_fail(question: OfflineQuestion, read_key: ReadKey, console: Console) -> Verdict:
    key = _read_choice(question.asked_as, _PASS_KEYS, read_key, console)
    return parse_answer(question, _PASS_KEYS.get(key, "skip"), rationale=None)


def _ask_critique(question: OfflineQuestion, read_key: ReadKey, console: Console) -> Verdict:
    """Ask for a verdict, the reason, and words to mark; Enter alone leaves the reason or the words out."""
    key = _read_choice(question.asked_as, _PASS_KEYS, read_key, console)
    word = _PASS_KEYS.get(key, "skip")
    if word == "skip":
        return parse_answer(question, word, rationale=None)
    rationale = _read_line("Why? (Enter: no reason)", read_key, console) or None
    spans: list[str] = []
    hint = f"Mark words as `label: words` ({', '.join(SPAN_LABELS)}); Enter: no more"
    while line := _read_line(hint, read_key, console):
        try:
            parse_answer(question, word, rationale=rationale, spans=line)
        except ValueError as error:
            _warn(console, str(error))
            continue
        spans.append(line)
    return parse_answer(question, word, rationale=rationale, spans="\n".join(spans))


def _ask_rubric(question: OfflineQuestion, read_key: ReadKey, console: Console) -> Verdict:
    """Ask about one criterion after the other."""
    met = []
    for number, criterion in enumerate(question.criteria, start=1):
        text = escape_controls(criterion.text)
        console.print(Text(f"{number} of {len(question.criteria)}: {text}"))
        key = _read_choice("rubric", {"y": "met", "n": "not met"}, read_key, console)
        if key == "s":
            return parse_answer(question, "skip", rationale=None)
        met += [str(number)] if key == "y" else []
    return parse_answer(question, " ".join(met) or "none", rationale=None)


def _ask_ranking(question: OfflineQuestion, read_key: ReadKey, console: Console) -> Verdict:
    while True:
        line = _read_line("Best first:", read_key, console).lower()
        if line in ("u", "q"):
            raise _LeaveQuestionError(_LEAVING[line])
        try:
            return parse_answer(question, "skip" if line == "s" else line, rationale=None)
        except ValueError:
            _warn(console, f"{line!r} is no ranking: write {WORDS['ranking']}")


_ASKING: dict[AskedAs, Callable[[OfflineQuestion, ReadKey, Console], Verdict]] = {
    "pairwise": _ask_pair,
    "pass-fail": _ask_pass_fail,
    "critique": _ask_critique,
    "rubric": _ask_rubric,
    "ranking": _ask_ranking,
}


def _read_choice(form: AskedAs, choices: Mapping[str, str], read_key: ReadKey, console: Console) -> str:
    """Read a key of `choices`, or "s"; raise `_LeaveQuestionError` where the person goes back or quits."""
    while True:
        key = read_key().lower()
        if key in _LEAVING:
            raise _LeaveQuestionError(_LEAVING[key])
        if key == "s" or key in choices:
            return key
        _warn(console, f"{key!r} is no key: {KEYS[form]}")


def _read_line(title: str, read_key: ReadKey, console: Console) -> str:
    """Read a line, which is shown while it is typed; raise `_LeaveQuestionError` at the end of the input."""
    console.print(Text(title, style="dim"))
    line = ""
    while True:
        key = read_key()
        if key == "":
            raise _LeaveQuestionError("quit")
        if key in ("\r", "\n"):
            console.print()
            return line.strip()
        if key in ("\x7f", "\b"):
            line = line[:-1]
            console.print()
            console.print(Text(line), end="")  # written again: not every terminal can go back
        elif key.isprintable():
            console.print(Text(key), end="")
            line += key


def _warn(console: Console, sentence: str) -> None:
    console.print(Text(escape_controls(sentence), style="yellow"))


def _show_question(console: Console, question: OfflineQuestion, number: int, total: int) -> None:
    console.clear()
    console.print(Text(f"Question {number + 1} of {total}", style="bold"))
    if question.task.aspect:
        console.print(Text(escape_controls(describe_aspect(question.task.aspect)), style="bold"))
    if question.asked_as != "pairwise" or question.task.aspect:
        console.print(Panel(Text(escape_controls(question.guideline)), title="Guideline", title_align="left"))
    titles = _name_responses(question)
    for title, text in [("Prompt", question.prompt), *zip(titles, question.texts, strict=True)]:
        console.print(Panel(Text(escape_controls(text) or "(empty)"), title=title, title_align="left"))
    console.print(Text(KEYS[question.asked_as], style="dim"))


def _name_responses(question: OfflineQuestion) -> list[str]:
    if question.asked_as == "pairwise":
        return ["A", "B"]
    if len(question.texts) == 1:
        return ["Response"]
    return [str(number) for number in range(1, len(question.texts) + 1)]
