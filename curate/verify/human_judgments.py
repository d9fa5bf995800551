"""Judgments from people's answers, whether given in Label Studio, a spreadsheet or the terminal."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from curate.core.human_forms import AskedAs
from curate.data.judgments import JudgmentStatement, make_answer_id
from curate.lake.writer import Writer
from curate.records import CriterionVerdict, Outcome, Shown, VerifyTask, arrow_schema, verdict_id
from curate.verify.forms import Verdict

_SAMPLES = {
    "label": 0,
    "gold": 1,
    "repeat": 2,
    "adjudicate": 3,
}  # a repeat asks about the same criteria once more


def make_human_statement(
    identity: Sequence[object],
    *,
    task: VerifyTask,
    asked_as: AskedAs,
    annotator_id: str,
    order: Sequence[str],
    verdict: Verdict,
    raw: Mapping[str, Any],
    revision: str,
    supersedes: str | None,
    seconds: float = 0.0,
) -> JudgmentStatement:
    """Make the statement of a person's answer.

    Args:
        identity: What identifies the answer: the question, the person and what the answer says. The judgment that it
            supersedes is part of the id too, so that going back to an earlier answer is an answer of its own.
        task: The question.
        asked_as: Form in which it was asked.
        annotator_id: Pseudonym of the person.
        order: The responses in the order shown.
        verdict: The answer.
        raw: What judgments have no column for, at least the key `task`.
        revision: What people are shown.
        supersedes: The person's earlier judgment on the same question.
        seconds: Time that the answer took.
    """
    responses = tuple(order) if task.form == "listwise" else task.responses
    return JudgmentStatement(
        prompt_id=task.prompt_id,
        annotator_id=annotator_id,
        kind="human",
        revision=revision,
        form=task.form,
        responses=responses,
        outcome=verdict.outcome,
        shown=find_shown_order(task, order),
        score=verdict.score,
        scores=verdict.scores,
        ranking=verdict.ranking,
        rationale=verdict.rationale,
        raw=json.dumps(raw, ensure_ascii=False),
        seconds=seconds,
        supersedes=supersedes,
        judgment_id=make_answer_id(identity, supersedes),
        aspect=task.aspect,
        tied_as=verdict.tied_as,
        asked_as=asked_as,
    )


def make_retraction(row: Mapping[str, Any]) -> JudgmentStatement:
    """Make the abstention that takes the place of a deleted answer, a row of `verify_state.sql`."""
    outcome: Outcome = "abstain"
    raw = {
        "task": row["task"],
        "place": row["place"],
        "item": row["item"],
        "digest": "deleted",
        "deleted": True,
    }
    identity = ("answer", row["task"], row["annotator_id"], "deleted")
    return JudgmentStatement(
        prompt_id=row["prompt_id"],
        annotator_id=row["annotator_id"],
        kind="human",
        revision=row["revision"],
        form=row["form"],
        responses=tuple(row["listed"] or [row[name] for name in ("response_a", "response_b") if row[name]]),
        outcome=outcome,
        shown=row["shown"],
        raw=json.dumps(raw, ensure_ascii=False),
        supersedes=row["judgment_id"],
        judgment_id=make_answer_id(identity, row["judgment_id"]),
        aspect=row["aspect"],
        asked_as=row["asked_as"],
    )


def find_shown_order(task: VerifyTask, order: Sequence[str]) -> Shown | None:
    """Return the order in which a pair was shown; None for other tasks."""
    if task.form != "pairwise":
        return None
    return "ab" if order[0] == task.responses[0] else "ba"


def replace_criterion_verdicts(
    writer: Writer,
    answers: Collection[tuple[JudgmentStatement, VerifyTask, Verdict]],
    retracted: Collection[tuple[str, str]],
    *,
    run_id: str,
) -> None:
    """Put what people say of single criteria in the place of what they said before; `judgments` keeps it.

    Args:
        writer: An open transaction.
        answers: New answers to questions about one response.
        retracted: Question and person of answers that were taken back.
        run_id: Id of the run in the rows.
    """
    keys = [(task.task_id, statement.annotator_id) for statement, task, _ in answers] + [*retracted]
    writer.delete(
        "criterion_verdicts",
        "kind = 'human' AND list_contains(?::VARCHAR[], json_extract_string(raw, '$.task') || ' ' || annotator_id)",
        [[f"{task} {person}" for task, person in keys]],
    )
    rows = [
        row
        for statement, task, verdict in answers
        for row in _build_verdict_rows(statement, task, verdict, run_id)
    ]
    if rows:
        writer.append("criterion_verdicts", pa.Table.from_pylist(rows, schema=arrow_schema(CriterionVerdict)))


def _build_verdict_rows(
    statement: JudgmentStatement, task: VerifyTask, verdict: Verdict, run_id: str
) -> list[dict[str, Any]]:
    sample = _SAMPLES[task.purpose]
    return [
        CriterionVerdict(
            verdict_id=verdict_id(
                criterion=criterion.id,
                response=task.responses[0],
                annotator=statement.annotator_id,
                revision=statement.revision,
                sample=sample,
            ),
            criterion_id=criterion.id,
            criterion=criterion.text,
            prompt_id=task.prompt_id,
            response_id=task.responses[0],
            annotator_id=statement.annotator_id,
            kind="human",
            outcome="satisfied" if is_met else "violated",
            raw=json.dumps({"task": task.task_id, "judgment": statement.judgment_id}),
            revision=statement.revision,
            sample=sample,
            run_id=run_id,
        ).model_dump()
        for criterion, is_met in verdict.criteria
    ]
