"""Answers without a server: spreadsheet and terminal, over the queue of a real lake."""

from __future__ import annotations

import csv
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from curate.aggregate import aggregate_judgments
from curate.config.project import Config, load_config
from curate.core.errors import CurateError
from curate.data.conversation import text_answer
from curate.lake.lake import Lake
from curate.records import VerifyTask
from curate.verify.answers import OfflineQuestion, list_questions, record_answers
from curate.verify.plan import plan_questions
from curate.verify.server import TOKEN_VARIABLE
from curate.verify.spreadsheet import COLUMNS, read_sheet, write_sheet
from curate.verify.status import PersonProgress, read_verify_status
from curate.verify.terminal import annotate_questions, escape_controls
from tests.conftest import make_prompt, make_response, table

HUMAN = "SELECT outcome, seconds FROM human_judgments WHERE annotator_id = ? ORDER BY judgment_id"


@pytest.fixture
def lake_with_questions(sample_lake: Lake) -> Lake:
    aggregate_judgments(sample_lake, Config())
    plan_questions(sample_lake, Config(), budget=10)
    return sample_lake


def fill(path: Path, **cells: object) -> list[dict[str, str]]:
    """Set cells of all rows (a list: row by row) and write the file again."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        for name, value in cells.items():
            row[name] = str(value[number % len(value)] if isinstance(value, list) else value)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return rows


def test_a_spreadsheet_goes_round(lake_with_questions: Lake, tmp_path: Path) -> None:
    path = tmp_path / "questions.csv"
    waiting = list_questions(lake_with_questions, "ada")
    assert len(waiting) == 10
    assert {question.order == question.task.responses for question in waiting} == {True, False}
    write_sheet(path, waiting)
    assert "model-" not in path.read_text(encoding="utf-8")
    rows = fill(path, verdict=["first", "Second", " tie", "skip", ""], seconds="1,5", rationale="because")
    sheet = read_sheet(lake_with_questions, path)
    assert (len(sheet.answers), sheet.empty, sheet.mistakes) == (8, 2, ())
    assert record_answers(lake_with_questions, "ada", sheet.answers, part="sheet") == (8, 0)
    by_task = {question.task_id: question for question in waiting}
    for row, answer in zip([row for row in rows if row["verdict"]], sheet.answers, strict=True):
        question = by_task[row["task_id"]]
        better = dict(zip("ab", question.task.responses, strict=True)).get(answer.verdict.outcome)
        if row["verdict"] == "first":
            assert better == question.order[0]
    assert {row[1] for row in lake_with_questions.rows(HUMAN, ["ada"])} == {1.5}
    assert len(list_questions(lake_with_questions, "ada")) == 2


def test_status_tells_who_did_what_without_a_server(
    lake_with_questions: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    path = tmp_path / "questions.csv"
    write_sheet(path, list_questions(lake_with_questions, "ada"))
    fill(path, verdict=["first", "skip", "tie", "", ""], seconds="3")
    record_answers(lake_with_questions, "ada", read_sheet(lake_with_questions, path).answers, part="sheet")
    status = read_verify_status(lake_with_questions, Config())
    assert status.people == (PersonProgress("ada", answered=4, skipped=2, taken_back=0, seconds=3.0),)
    assert status.planned == 10
    assert status.asked is None
    assert status.trouble is not None


def test_importing_again_changes_nothing_and_edits_supersede(
    lake_with_questions: Lake, tmp_path: Path
) -> None:
    path = tmp_path / "questions.csv"
    write_sheet(path, list_questions(lake_with_questions, "ada"))
    fill(path, verdict="tie")
    first = read_sheet(lake_with_questions, path).answers
    assert record_answers(lake_with_questions, "ada", first, part="sheet") == (10, 0)
    assert record_answers(lake_with_questions, "ada", first, part="sheet") == (0, 10)
    fill(path, verdict=["first", "tie"])
    assert record_answers(
        lake_with_questions, "ada", read_sheet(lake_with_questions, path).answers, part="sheet"
    ) == (5, 5)
    stored = lake_with_questions.rows(HUMAN, ["ada"])
    assert len(stored) == 10
    assert sum(row[0] == "tie" for row in stored) == 5
    assert lake_with_questions.value("SELECT count(*) FROM judgments WHERE annotator_id = 'ada'") == 15
    assert record_answers(lake_with_questions, "ada", first, part="sheet") == (
        5,
        5,
    )  # back to the first verdicts: answers of their own
    assert {row[0] for row in lake_with_questions.rows(HUMAN, ["ada"])} == {"tie"}


def test_each_bad_row_is_told_with_its_line(lake_with_questions: Lake, tmp_path: Path) -> None:
    path = tmp_path / "questions.csv"
    write_sheet(path, list_questions(lake_with_questions, "ada")[:5])
    rows = fill(path, verdict=["left", "first", "first", "first", "tie"], seconds=["", "soon", "", "", ""])
    rows[2]["task_id"], rows[3]["order"] = "nothing", "ac"
    rows[4]["rationale"] = "two\nlines"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows([rows[4], *rows])
    sheet = read_sheet(lake_with_questions, path)
    assert [answer.verdict.outcome for answer in sheet.answers] == ["tie"]
    assert sheet.mistakes == (
        "questions.csv, line 4: verdict is 'left'; write first, second, tie or skip.",
        "questions.csv, line 5: seconds is 'soon'; write a number, or nothing.",
        "questions.csv, line 6: task_id 'nothing' is no question of this workspace.",
        "questions.csv, line 7: order is 'ac'; leave that column as it was exported.",
        "questions.csv, line 8: the question is answered further up already.",
    )


def test_no_cell_is_a_formula_and_semicolons_are_understood(
    lake_with_questions: Lake, tmp_path: Path
) -> None:
    path = tmp_path / "questions.csv"
    task = list_questions(lake_with_questions, "ada")[0]
    hostile = ["=cmd|' /C calc'!A0", "+1+1", "-2", "@SUM(A1)", "\t=1", "  =1", "plain = text", "x" * 40_000]
    made = [
        OfflineQuestion(
            task=task.task, asked_as="pairwise", order=task.task.responses, prompt=text, texts=(text, text)
        )
        for text in hostile
    ]
    write_sheet(path, made)
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [row["first"] for row in csv.DictReader(file)]
    assert all(not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert cells[6] == "plain = text"
    assert "8,000 more characters" in cells[7]
    path.write_text(f"task_id;order;verdict\n{task.task_id};ab;first\n", encoding="utf-8")
    assert len(read_sheet(lake_with_questions, path).answers) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n", "has no column task_id"),
        (b"task_id,order,verdict\n\xff", "save it as CSV in UTF-8"),
        (None, "There is no"),
    ],
)
def test_a_file_that_is_no_sheet_is_one_sentence(
    lake_with_questions: Lake, tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CurateError, match=message):
        read_sheet(lake_with_questions, path)


def test_who_is_asked_what(lake_with_questions: Lake) -> None:
    """A label until enough people gave one; a repeat to who knows the pair, an adjudication to who does not."""
    first = list_questions(lake_with_questions, "ada")[0]
    for purpose in ("repeat", "gold", "adjudicate"):
        with lake_with_questions.write(purpose) as writer:
            task = VerifyTask.model_validate(
                {"task_id": purpose, "prompt_id": first.task.prompt_id, "form": "pairwise", "strategy": "x",
                 "priority": 9.0, "responses": first.task.responses, "purpose": purpose, "run_id": "r"}
            )  # fmt: skip
            writer.append("verify_tasks", table([task]))

    def waiting(person: str, overlap: int = 1) -> set[str]:
        return {question.task_id for question in list_questions(lake_with_questions, person, overlap=overlap)}

    stored = [answer for answer in _answers(lake_with_questions, "ada") if answer.task_id == first.task_id]
    assert record_answers(lake_with_questions, "ada", stored, part="x") == (1, 0)
    assert {"repeat"} == waiting("ada") & {first.task_id, "repeat", "gold", "adjudicate"}
    assert {"gold", "adjudicate"} == waiting("bob") & {first.task_id, "repeat", "gold", "adjudicate"}
    assert first.task_id in waiting("bob", overlap=2)


def _answers(lake: Lake, person: str) -> list[object]:
    path = Path(lake.location.data).parent / "all.csv"
    write_sheet(path, list_questions(lake, person))
    fill(path, verdict="first")
    return list(read_sheet(lake, path).answers)


def keys(typed: str) -> Iterator[str]:
    yield from typed


def test_one_key_a_verdict_and_undo(lake_with_questions: Lake) -> None:
    typed = keys("abtxusq")
    out = StringIO()
    console = Console(file=out, width=80)
    assert annotate_questions(lake_with_questions, "ada", read_key=lambda: next(typed), console=console) == 3
    assert "'x' is no key" in out.getvalue()
    stored = lake_with_questions.rows(HUMAN, ["ada"])
    assert len(stored) == 3
    assert [outcome for outcome, _ in stored].count("abstain") == 1  # t, taken back, became a skip
    assert lake_with_questions.value("SELECT count(*) FROM judgments WHERE annotator_id = 'ada'") == 4
    more = keys("q")
    assert annotate_questions(lake_with_questions, "ada", read_key=lambda: next(more), console=console) == 0
    assert "7 left" in out.getvalue()


def test_hostile_text_cannot_steer_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2Jclear \u202egnp.exe \u200b\x9b31m\r\nnext\rover\ttab"
    safe = escape_controls(hostile)
    assert "\x1b" not in safe
    assert "\u202e" not in safe
    assert "\x9b" not in safe
    assert "\r" not in safe
    assert "\\x1b]0;owned" in safe
    assert "\nnext" in safe
    assert escape_controls("naïve 漢字 🙂 — [bold]") == "naïve 漢字 🙂 — [bold]"


@pytest.mark.e2e
def test_a_real_terminal(tmp_path: Path) -> None:
    config_path = tmp_path / "curate.yaml"
    config_path.write_text(yaml.safe_dump({"workspace": "w"}))
    with Lake.open(load_config(config_path).location) as lake:
        prompt = make_prompt(1)
        bad = make_response(prompt, 0).model_copy(
            update={"messages": text_answer("evil \x1b[2J\x1b]0;x\x07 end")}
        )
        good = make_response(prompt, 1)
        a, b = sorted((bad.response_id, good.response_id))
        task = VerifyTask(
            task_id="t",
            prompt_id=prompt.prompt_id,
            form="pairwise",
            responses=(a, b),
            strategy="random",
            run_id="r",
        )
        with lake.write("x") as writer:
            writer.append("prompts", table([prompt]))
            writer.append("responses", table([bad, good]))
            writer.append("verify_tasks", table([task]))
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "curate",
        "verify",
        "annotate",
        "--annotator",
        "Ada",
        "-c",
        str(config_path),
    ]
    if not (Path(__file__).parents[2] / "curate" / "__main__.py").exists():
        command[1:3] = ["-c", "from curate.cli.app import main; main()"]
    child = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    seen = _until(ours, b"q quit")
    assert b"evil \\x1b[2J\\x1b]0;x\\x07 end" in seen
    os.write(ours, b"\x1b[A")  # an arrow key ends in a letter and is still no answer
    assert b"is no key" in _until(ours, b"q quit")
    os.write(ours, b"a")
    assert b"1 answered" in _until(ours, b"0 left")
    assert child.wait(60) == 0
    os.close(ours)
    with Lake.open(load_config(config_path).location, read_only=True) as lake:
        who, outcome, shown, seconds = lake.rows(
            "SELECT annotator_id, outcome, shown, seconds FROM human_judgments"
        )[0]
    assert re.fullmatch(r"person-[0-9a-f]{16}", who)
    assert (outcome, shown) in {("a", "ab"), ("b", "ba")}
    assert seconds > 0


def _until(descriptor: int, wanted: bytes) -> bytes:
    seen = b""
    end = time.monotonic() + 240
    while wanted not in seen and time.monotonic() < end:
        if select.select([descriptor], [], [], 1)[0]:
            try:
                seen += os.read(descriptor, 65536)
            except OSError:  # the child has closed its side
                break
    return seen


@pytest.mark.parametrize(
    ("form", "typed", "stored"),
    [
        ("pass-fail", "pu2fxqn", [("a", 0.0), ("a", 0.0)]),
        ("critique", "ptoo short\nwrong: The answer\nbad\n\nq", [("a", 1.0)]),
        ("rubric", "ynsyq", [("a", 0.5), ("abstain", None)]),
        ("ranking", "1 2 3\n2 1 = 3 4\nq\n", [("a", None)]),
        ("pairwise", "78tq", [("tie", None), ("tie", None)]),
    ],
)
def test_every_form_in_the_terminal(
    lake_with_questions: Lake, form: str, typed: str, stored: list[tuple[str, float | None]]
) -> None:
    config = Config.model_validate({"verify": {"criteria": ["Correct", "Polite"]}})
    with lake_with_questions.write("others") as writer:
        writer.delete("verify_tasks", "true")
    plan_questions(lake_with_questions, config, budget=6, form=form)  # type: ignore[arg-type]
    out, pressed = StringIO(), keys(typed)
    console = Console(file=out, width=100)
    annotate_questions(
        lake_with_questions, "ada", read_key=lambda: next(pressed, ""), console=console, config=config
    )
    rows = lake_with_questions.rows("SELECT outcome, score FROM human_judgments ORDER BY outcome, score")
    if form == "pairwise":  # the first answer is "second, much better"
        score, shown = lake_with_questions.rows(
            "SELECT score, shown FROM human_judgments WHERE outcome <> 'tie'"
        )[0]
        assert score == (-3.0 if shown == "ab" else 3.0)
        assert (
            lake_with_questions.value("SELECT count(*) FROM human_judgments WHERE tied_as = 'both-bad'") == 1
        )
        rows = [row for row in rows if row[0] == "tie"]
    assert rows == stored
    if form == "critique":
        (raw, why) = lake_with_questions.rows("SELECT raw, rationale FROM human_judgments")[0]
        assert why == "too short"
        assert '"text": "The answer", "label": "wrong"' in raw
        assert "spans has 'bad'" in out.getvalue()
    if form == "ranking":
        assert "'1 2 3' is no ranking" in out.getvalue()
        (ranking, scores) = lake_with_questions.rows(
            "SELECT len(ranking), list_sort(scores) FROM human_judgments"
        )[0]
        assert (ranking, scores) == (4, [-2.0, -1.0, -1.0, 0.0])
    if form == "rubric":
        assert "1 of 2: Correct" in out.getvalue()
