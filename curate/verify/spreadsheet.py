"""`curate verify export-csv` and `import-csv`: questions in a spreadsheet, and the answers read back.

| column | |
| --- | --- |
| `task_id`, `order` | leave as they are |
| `prompt`, `first`, `second` | what is asked; the order is random, no model is named |
| `verdict` | first, second, tie or skip; empty: not answered |
| `seconds`, `rationale` | optional |
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from curate.core.atomic import open_output
from curate.core.errors import CurateError
from curate.lake.lake import Lake
from curate.records import Outcome, Shown
from curate.verify.answers import OfflineAnswer, OfflineQuestion, infer_outcome

COLUMNS = ("task_id", "order", "prompt", "first", "second", "verdict", "seconds", "rationale")
NEEDED = ("task_id", "order", "verdict")
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
    writer = csv.writer(sheet)
    writer.writerow(COLUMNS)
    for question in questions:
        texts = [_escape_formula(text) for text in (question.prompt, question.first, question.second)]
        writer.writerow([question.task_id, question.shown, *texts, "", "", ""])
    with open_output(path, force=force) as stream:
        stream.write(sheet.getvalue().encode("utf-8-sig"))


def read_sheet(lake: Lake, path: Path) -> Sheet:
    """Read answers; rows with a mistake are reported and left out, the others count.

    Raises:
        CurateError: The file cannot be read, or lacks a column.
    """
    query = "SELECT task_id, prompt_id, responses FROM verify_tasks WHERE form = 'pairwise'"
    tasks = {task: (prompt, *responses) for task, prompt, responses in lake.rows(query)}
    answers: dict[str, OfflineAnswer] = {}
    empty, mistakes = 0, []
    for line, row in _read_rows(path):
        if not (row.get("verdict") or "").strip():
            empty += 1
            continue
        try:
            answer = _parse_answer(row, tasks)
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


def _parse_answer(row: dict[str, str | None], tasks: dict[str, tuple[str, ...]]) -> OfflineAnswer:
    """Read an answer from a row; raise ValueError with what is wrong."""
    task, shown = (row["task_id"] or "").strip(), (row["order"] or "").strip()
    if task not in tasks:
        raise ValueError(f"task_id {task!r} is no question of this workspace")
    if shown not in get_args(Shown):
        raise ValueError(f"order is {shown!r}; leave that column as it was exported")
    prompt, a, b = tasks[task]
    order: Shown = "ab" if shown == "ab" else "ba"
    return OfflineAnswer(
        task_id=task,
        prompt_id=prompt,
        a=a,
        b=b,
        shown=order,
        outcome=_parse_verdict(row["verdict"] or "", order),
        seconds=_parse_seconds(row.get("seconds") or ""),
        rationale=(row.get("rationale") or "").strip() or None,
    )


def _parse_verdict(verdict: str, shown: Shown) -> Outcome:
    word = verdict.strip().lower()
    if word in ("first", "1"):
        return infer_outcome(0, shown)
    if word in ("second", "2"):
        return infer_outcome(1, shown)
    if word in ("tie", "0", "="):
        return "tie"
    if word == "skip":
        return "abstain"
    raise ValueError(f"verdict is {verdict.strip()!r}; write first, second, tie or skip")


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
