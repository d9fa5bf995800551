"""`curate verify export-csv` and `import-csv`: questions in a spreadsheet, and the answers read back.

| column | |
| --- | --- |
| `task_id`, `order` | leave as they are |
| `question` | what `verdict` may be, where there are other questions than pairs |
| `prompt`, `first`, `second`, `response 3` … | what is asked; the order is random, no model is named |
| `criteria` | those that a rubric asks about, numbered |
| `verdict` | the answer, in the words of `curate.verify.answer_words`; empty: not answered |
| `spans` | words of a critique, one `label: words` a line; optional |
| `seconds`, `rationale` | optional |
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curate.config.project import Config
from curate.core.atomic import open_output
from curate.core.errors import CurateError
from curate.lake.lake import Lake
from curate.verify.answer_words import WORDS, parse_answer
from curate.verify.answers import OfflineAnswer, OfflineQuestion, build_questions
from curate.verify.forms import describe_aspect
from curate.verify.queue import read_queue

COLUMNS = ("task_id", "order", "prompt", "first", "second", "verdict", "seconds", "rationale")
"""The columns of a sheet of pairs; the other forms have further ones."""

NEEDED = ("task_id", "order", "verdict")
_NUMBERED = ("first", "second")
_FORMULA = tuple(
    "=+-@|%\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}"
    "\N{FULLWIDTH HYPHEN-MINUS}\N{MINUS SIGN}"
)
_UNSEEN = re.compile(
    r"^[ \u00a0\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+"
)  # a spreadsheet may drop them
_MOST_CHARACTERS = 32_000  # characters: a cell of the usual spreadsheets holds 32,767


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The contents of a file: answers, number of rows without a verdict, and a sentence for each mistake."""

    answers: tuple[OfflineAnswer, ...]
    empty: int
    mistakes: tuple[str, ...]


def write_sheet(path: Path, questions: Sequence[OfflineQuestion], *, force: bool = False) -> None:
    """Write questions as CSV in UTF-8, with the byte order mark that spreadsheets need to recognise it.

    Args:
        path: File to write.
        questions: The questions.
        force: Overwrite a file that exists, and the answers that it may hold.

    Raises:
        CurateError: The file exists and `force` is not set, or it cannot be written.
    """
    sheet = io.StringIO(newline="")
    writer = csv.DictWriter(sheet, _choose_columns(questions))
    writer.writeheader()
    for question in questions:
        writer.writerow(_build_row(question, writer.fieldnames))
    with open_output(path, force=force) as stream:
        stream.write(sheet.getvalue().encode("utf-8-sig"))


def _choose_columns(questions: Sequence[OfflineQuestion]) -> list[str]:
    """Return the columns that these questions need."""
    forms = {question.asked_as for question in questions}
    most = max((len(question.texts) for question in questions), default=2)
    has_aspects = any(question.task.aspect for question in questions)
    names = ["task_id", "order"]
    names += ["question"] if has_aspects or forms - {"pairwise"} else []
    names += ["prompt", *(_name_text(number) for number in range(most))]
    names += ["criteria"] if "rubric" in forms else []
    names += ["verdict"]
    names += ["spans"] if "critique" in forms else []
    return [*names, "seconds", "rationale"]


def _name_text(number: int) -> str:
    return _NUMBERED[number] if number < len(_NUMBERED) else f"response {number + 1}"


def _build_row(question: OfflineQuestion, columns: Sequence[str]) -> dict[str, str]:
    about = f"{describe_aspect(question.task.aspect)}. " if question.task.aspect else ""
    cells = {
        "task_id": question.task_id,
        "order": _write_order(question),
        "question": f"{about}Write {WORDS[question.asked_as]}.",
        "criteria": _write_criteria(question),
        "prompt": question.prompt,
    }
    cells |= {_name_text(number): text for number, text in enumerate(question.texts)}
    return {name: _escape_formula(cells.get(name, "")) for name in columns}


def _write_order(question: OfflineQuestion) -> str:
    """Write the order shown: ab or ba for a pair, else the places of the responses in the task."""
    task = question.task
    if task.form == "pairwise":
        return "ab" if question.order == task.responses else "ba"
    return " ".join(str(task.responses.index(response) + 1) for response in question.order)


def _write_criteria(question: OfflineQuestion) -> str:
    return "\n".join(f"{number}. {item.text}" for number, item in enumerate(question.criteria, start=1))


def read_sheet(lake: Lake, path: Path, person: str = "", *, config: Config | None = None) -> Sheet:
    """Read answers; rows with a mistake are reported and left out, the others count.

    Args:
        lake: Lake with the queue of questions.
        path: The file.
        person: Pseudonym of the person.
        config: The project; default: the settings of the package.

    Raises:
        CurateError: The file cannot be read, or lacks a column.
    """
    rows = list(_read_rows(path))
    answers: dict[str, OfflineAnswer] = {}
    empty, mistakes = 0, []
    wanted = {(row["task_id"] or "").strip() for _, row in rows if (row.get("verdict") or "").strip()}
    tasks = [task for task, _ in read_queue(lake) if task.task_id in wanted]
    questions = {question.task_id: question for question in build_questions(lake, tasks, person, config)}
    for line, row in rows:
        if not (row.get("verdict") or "").strip():
            empty += 1
            continue
        try:
            answer = _parse_row(row, questions)
        except ValueError as error:
            mistakes.append(f"{path.name}, line {line}: {error}.")
            continue
        if answer.task_id in answers:
            mistakes.append(f"{path.name}, line {line}: the question is answered further up already.")
            continue
        answers[answer.task_id] = answer
    return Sheet(answers=tuple(answers.values()), empty=empty, mistakes=tuple(mistakes))


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield rows with the line on which each begins."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sample = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=";" if sample.count(";") > sample.count(",") else ",")
            names = [name.strip().lower() for name in next(reader, [])]
            missing = [name for name in NEEDED if name not in names]
            if missing:
                raise CurateError(
                    f"{path} has no column {missing[0]}: import a file that `curate verify export-csv` wrote."
                )
            line = reader.line_num + 1
            for cells in reader:
                if cells:
                    yield line, dict(zip(names, [*cells, *[None] * len(names)], strict=False))
                line = reader.line_num + 1
    except FileNotFoundError:
        raise CurateError(f"There is no {path}.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CurateError(f"Cannot read {path}: {error}; save it as CSV in UTF-8.") from error


def _parse_row(row: dict[str, str | None], questions: dict[str, OfflineQuestion]) -> OfflineAnswer:
    """Read an answer from a row; raise ValueError with what is wrong."""
    task_id, order = (row["task_id"] or "").strip(), (row["order"] or "").strip()
    if task_id not in questions:
        raise ValueError(f"task_id {task_id!r} is no question of this workspace")
    question = _arrange_question(questions[task_id], order)
    if question.criteria and _squeeze(row.get("criteria")) != _squeeze(
        _escape_formula(_write_criteria(question))
    ):
        raise ValueError("the criteria are no longer those that were asked about; export the question again")
    rationale = (row.get("rationale") or "").strip() or None
    verdict = parse_answer(question, row["verdict"] or "", rationale=rationale, spans=row.get("spans") or "")
    return OfflineAnswer(question=question, verdict=verdict, seconds=_parse_seconds(row.get("seconds") or ""))


def _arrange_question(question: OfflineQuestion, order: str) -> OfflineQuestion:
    """Put the responses of a question in the order in which the sheet shows them."""
    responses = question.task.responses
    places = {"ab": [0, 1], "ba": [1, 0]}.get(order) if question.task.form == "pairwise" else None
    if places is None and question.task.form != "pairwise" and re.fullmatch(r"\d+( \d+)*", order):
        places = [int(number) - 1 for number in order.split()]
    if places is None or sorted(places) != list(range(len(responses))):
        raise ValueError(f"order is {order!r}; leave that column as it was exported")
    texts = dict(zip(question.order, question.texts, strict=True))
    shown = tuple(responses[place] for place in places)
    return replace(question, order=shown, texts=tuple(texts[response] for response in shown))


def _squeeze(text: str | None) -> str:
    return " ".join((text or "").split())


def _parse_seconds(text: str) -> float:
    if not text.strip():
        return 0.0
    try:
        seconds = float(text.strip().replace(",", "."))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e7:
        raise ValueError(f"seconds is {text.strip()!r}; write a number, or nothing")
    return seconds


def _escape_formula(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet could run as a formula, and cut a text that is too long."""
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[:_MOST_CHARACTERS]}\n[cut: {len(text) - _MOST_CHARACTERS:,} more characters]"
    return f"'{text}" if _UNSEEN.sub("", text).startswith(_FORMULA) else text
