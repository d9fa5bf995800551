"""Answers without a server: the questions that a person may answer, and the answers as judgments.

An answer is a `human` judgment whose `raw` names its question: `{"task": "…"}`. A second answer to the same question
supersedes the first. The same answer again changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.resources import read_query
from curate.data.conversation import load_messages, render_message, render_text
from curate.data.judgments import JudgmentStatement, build_judgment_table
from curate.lake.forgotten import ForgottenNames
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.records import Outcome, Shown
from curate.verify.human_judgments import make_human_statement

REVISION = content_id("offline", 1)  # raise the number when people are shown something else
STAGE = "verify"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineQuestion:
    """A question about a pair, for one person; `first` and `second` are texts in the order `shown`."""

    task_id: str
    prompt_id: str
    a: str
    b: str
    shown: Shown
    prompt: str
    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineAnswer:
    """A person's answer; its `outcome` is about a and b, not about positions, and "abstain" where it was skipped."""

    task_id: str
    prompt_id: str
    a: str
    b: str
    shown: Shown
    outcome: Outcome
    seconds: float = 0.0
    rationale: str | None = None


def list_questions(lake: Lake, person: str, *, overlap: int = 1) -> list[OfflineQuestion]:
    """List what a person may answer now, the most important question first.

    Args:
        lake: Lake with a queue of questions.
        person: Pseudonym of the person.
        overlap: Number of people who answer each question.
    """
    return [
        _build_question(row, person)
        for row in lake.arrow(read_query("verify_offline"), [person, overlap]).to_pylist()
    ]


def draw_order(task_id: str, person: str) -> Shown:
    """Draw the order of a question for a person: at random, but always the same."""
    return "ab" if blake2b(f"{task_id} {person}".encode(), digest_size=1).digest()[0] % 2 == 0 else "ba"


def infer_outcome(position: int, shown: Shown) -> Outcome:
    """Return the outcome when the response in a position (0 first, 1 second) is better."""
    return "a" if (position == 0) == (shown == "ab") else "b"


def record_answers(
    lake: Lake, person: str, answers: Sequence[OfflineAnswer], *, part: str
) -> tuple[int, int]:
    """Commit the answers of one person.

    Args:
        lake: The project's lake, open for writing.
        person: Pseudonym of the person.
        answers: The answers.
        part: Name of this commit in the table `runs`.

    Returns:
        Number of answers that were new or changed, and number of those that the lake had already.

    Raises:
        CurateError: The person was forgotten.
    """
    if answers and ForgottenNames.read(lake).has("person", person):
        raise CurateError(
            f"{person} was forgotten with `curate forget person`, so answers of that person are not taken in."
        )
    known = _read_earlier_answers(lake, person)
    statements, same = list[JudgmentStatement](), 0
    run = StageRun(lake, STAGE, config_hash=REVISION)
    for answer in answers:
        earlier = known.get(answer.task_id)
        if earlier is not None and (earlier[1], earlier[2]) == (answer.outcome, answer.rationale):
            same += 1
            continue
        statement = _make_statement(answer, person, earlier)
        known[answer.task_id] = (str(statement.judgment_id), statement.outcome, statement.rationale)
        statements.append(statement)
    if statements:
        table = build_judgment_table(statements, run_id=run.run_id)
        fingerprint = content_id(table["judgment_id"].to_pylist())
        with run.chunk(part, fingerprint=fingerprint, status="done") as (writer, counts):
            counts.rows_in = len(answers)
            counts.rows_kept = writer.append("judgments", table, unique="judgment_id")
            counts.rows_duplicate = counts.rows_in - counts.rows_kept
    return len(statements), same


EarlierAnswer = tuple[str, str, str | None]


def _read_earlier_answers(lake: Lake, person: str) -> dict[str, EarlierAnswer]:
    """Read the person's current answers: question → (judgment, outcome, rationale)."""
    query = (
        "SELECT task, judgment_id, outcome, rationale FROM human_judgments "
        "WHERE annotator_id = ? AND task IS NOT NULL"
    )
    rows = lake.rows(query, [person])
    return {task: (identity, outcome, rationale) for task, identity, outcome, rationale in rows}


def _make_statement(answer: OfflineAnswer, person: str, earlier: EarlierAnswer | None) -> JudgmentStatement:
    return make_human_statement(
        (answer.task_id, person, REVISION, answer.outcome, answer.rationale),
        prompt_id=answer.prompt_id,
        annotator_id=person,
        form="pairwise",
        responses=(answer.a, answer.b),
        shown=answer.shown,
        outcome=answer.outcome,
        rationale=answer.rationale,
        raw={"task": answer.task_id},
        revision=REVISION,
        seconds=answer.seconds,
        supersedes=earlier[0] if earlier else None,
    )


def _build_question(row: dict[str, object], person: str) -> OfflineQuestion:
    task, responses = str(row["task_id"]), row["responses"]
    assert isinstance(responses, list)
    shown = draw_order(task, person)
    a, b = _render_text(row["a"]), _render_text(row["b"])
    return OfflineQuestion(
        task_id=task,
        prompt_id=str(row["prompt_id"]),
        a=responses[0],
        b=responses[1],
        shown=shown,
        prompt=_render_conversation(row["messages"]),
        first=a if shown == "ab" else b,
        second=b if shown == "ab" else a,
    )


def _render_text(messages: object) -> str:
    assert isinstance(messages, list)
    return render_text(load_messages(messages))


def _render_conversation(messages: object) -> str:
    assert isinstance(messages, list)
    turns = load_messages(messages)
    if len(turns) == 1:
        return render_message(turns[0])
    return "\n\n".join(f"{message.role}: {render_message(message)}" for message in turns)
