"""Answers without a server: the questions that a person may answer, and the answers as judgments.

An answer is a `human` judgment whose `raw` names its question: `{"task": "…"}`. A second answer to the same question
supersedes the first. The same answer again changes nothing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.human_forms import AskedAs
from curate.core.identity import content_id
from curate.core.resources import read_query
from curate.data.conversation import Conversation, render_message, render_text
from curate.data.judgments import JudgmentStatement, build_judgment_table
from curate.lake.forgotten import ForgottenNames
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.records import Shown, VerifyTask
from curate.verify.criteria import AskedCriterion
from curate.verify.forms import TaskItem, Verdict, add_own_criteria, get_asked_as, list_asked_criteria
from curate.verify.guidelines import Guidelines
from curate.verify.human_judgments import make_human_statement, replace_criterion_verdicts
from curate.verify.queue import read_task_items

REVISION = content_id("offline", 1)  # raise the number when people are shown something else
STAGE = "verify"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineQuestion:
    """A question for one person; `order` and `texts` are the responses in the order shown."""

    task: VerifyTask
    asked_as: AskedAs
    order: tuple[str, ...]
    prompt: str
    texts: tuple[str, ...]
    criteria: tuple[AskedCriterion, ...] = ()
    guideline: str = ""

    @property
    def task_id(self) -> str:
        """Id of the question."""
        return self.task.task_id

    @property
    def revision(self) -> str:
        """Identifies what the person is asked, beside the texts."""
        if self.asked_as == "pairwise" and self.task.aspect is None:
            return REVISION
        criteria = [criterion.text for criterion in self.criteria]
        return content_id("offline", 2, self.asked_as, self.task.aspect, criteria)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineAnswer:
    """A person's answer; an abstention where it was skipped."""

    question: OfflineQuestion
    verdict: Verdict
    seconds: float = 0.0

    @property
    def task_id(self) -> str:
        """Id of the question."""
        return self.question.task_id


def list_questions(
    lake: Lake, person: str, *, overlap: int = 1, config: Config | None = None
) -> list[OfflineQuestion]:
    """List what a person may answer now, the most important question first.

    Args:
        lake: Lake with a queue of questions.
        person: Pseudonym of the person.
        overlap: Number of people who answer each question.
        config: The project, for guidelines and criteria; default: those of the package.

    Raises:
        CurateError: A guideline or the rubric cannot be read, or a question about criteria has none.
    """
    rows = lake.arrow(read_query("verify_offline"), [person, overlap]).to_pylist()
    return list(build_questions(lake, [VerifyTask.model_validate(row) for row in rows], person, config))


def build_questions(
    lake: Lake, tasks: Sequence[VerifyTask], person: str, config: Config | None = None
) -> Iterator[OfflineQuestion]:
    """Yield tasks as questions for one person; those whose texts are not in the lake are left out.

    Args:
        lake: The project's lake.
        tasks: Tasks of the queue.
        person: Pseudonym of the person.
        config: The project; default: the settings of the package.

    Raises:
        CurateError: A guideline or the rubric cannot be read, or a question about criteria has none.
    """
    guidelines = Guidelines(config or Config())
    section = guidelines.config.verify
    for item in read_task_items(lake, tasks):
        if set(item.answers) != set(item.task.responses):
            continue
        asked_as = get_asked_as(item.task, section)
        order = draw_responses(item.task, person)
        yield OfflineQuestion(
            task=item.task,
            asked_as=asked_as,
            order=order,
            prompt=_render_conversation(item.messages),
            texts=tuple(render_text(item.answers[response]) for response in order),
            criteria=_read_criteria(item, guidelines) if asked_as == "rubric" else (),
            guideline=add_own_criteria(guidelines.find_text(item.category), item),
        )


def draw_responses(task: VerifyTask, person: str) -> tuple[str, ...]:
    """Draw the order in which a person sees the responses: at random, but always the same."""
    if task.form == "pairwise":
        return arrange_pair(task, draw_order(task.task_id, person))
    return tuple(random.Random(f"{task.task_id} {person}").sample(task.responses, len(task.responses)))


def draw_order(task_id: str, person: str) -> Shown:
    """Draw the order of a pair for a person: at random, but always the same."""
    return "ab" if blake2b(f"{task_id} {person}".encode(), digest_size=1).digest()[0] % 2 == 0 else "ba"


def arrange_pair(task: VerifyTask, shown: Shown) -> tuple[str, ...]:
    """Return the responses of a pair in the order `shown`."""
    return task.responses if shown == "ab" else task.responses[::-1]


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
    recorded, same = list[tuple[JudgmentStatement, VerifyTask, Verdict]](), 0
    run = StageRun(lake, STAGE, config_hash=REVISION)
    for answer in answers:
        earlier, content = known.get(answer.task_id), _identify_verdict(answer.verdict)
        if earlier is not None and earlier[1] == content:
            same += 1
            continue
        statement = _make_statement(answer, person, None if earlier is None else earlier[0])
        known[answer.task_id] = (str(statement.judgment_id), content)
        recorded.append((statement, answer.question.task, answer.verdict))
    if recorded:
        table = build_judgment_table([statement for statement, _, _ in recorded], run_id=run.run_id)
        fingerprint = content_id(table["judgment_id"].to_pylist())
        with run.chunk(part, fingerprint=fingerprint, status="done") as (writer, counts):
            counts.rows_in = len(answers)
            counts.rows_kept = writer.append("judgments", table, unique="judgment_id")
            counts.rows_duplicate = counts.rows_in - counts.rows_kept
            replace_criterion_verdicts(writer, recorded, (), run_id=run.run_id)
    return len(recorded), same


EarlierAnswer = tuple[str, list[Any]]


def _read_earlier_answers(lake: Lake, person: str) -> dict[str, EarlierAnswer]:
    """Read the person's current answers: question → (judgment, what it says)."""
    query = (
        "SELECT task, judgment_id, outcome, score, scores, ranking, tied_as, rationale, raw FROM human_answers "
        "WHERE annotator_id = ? AND task IS NOT NULL"
    )
    return {
        task: (identity, [*content, *(json.loads(raw).get(name) for name in _DETAILS)])
        for task, identity, *content, raw in lake.rows(query, [person])
    }


_DETAILS = ("verdict", "spans")  # of `raw`


def _identify_verdict(verdict: Verdict) -> list[Any]:
    """Return what tells an answer from another one, as `_read_earlier_answers` reads it from the lake."""
    lists = [None if value is None else list(value) for value in (verdict.scores, verdict.ranking)]
    details = [verdict.details.get(name) for name in _DETAILS]
    return [verdict.outcome, verdict.score, *lists, verdict.tied_as, verdict.rationale, *details]


def _make_statement(answer: OfflineAnswer, person: str, earlier: str | None) -> JudgmentStatement:
    question, verdict = answer.question, answer.verdict
    words: list[object] = [verdict.outcome, verdict.rationale]
    if further := [
        value for value in _identify_verdict(verdict)[1:] if value not in (None, verdict.rationale)
    ]:
        words.append(further)
    return make_human_statement(
        (question.task_id, person, question.revision, *words),
        task=question.task,
        asked_as=question.asked_as,
        annotator_id=person,
        order=question.order,
        verdict=verdict,
        raw={"task": question.task_id, **verdict.details},
        revision=question.revision,
        seconds=answer.seconds,
        supersedes=earlier,
    )


def _read_criteria(item: TaskItem, guidelines: Guidelines) -> tuple[AskedCriterion, ...]:
    try:
        return list_asked_criteria(item, guidelines.config.verify, guidelines.rubric)
    except ValueError as error:
        raise CurateError(f"Question {item.task.task_id} is {error}.") from None


def _render_conversation(turns: Conversation) -> str:
    if len(turns) == 1:
        return render_message(turns[0])
    return "\n\n".join(f"{message.role}: {render_message(message)}" for message in turns)
