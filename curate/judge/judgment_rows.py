"""Rows of the table `judgments` from answers, column by column: pydantic models would take ten times as long."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curate.judge.base import Answer
from curate.judge.configured import ConfiguredJudge
from curate.judge.pending import PendingQuestion, make_failure_id
from curate.records import Judgment, arrow_schema

_SCHEMA = arrow_schema(Judgment)


def build_judgment_rows(
    configured: ConfiguredJudge,
    pending: Sequence[PendingQuestion],
    answers: Sequence[Answer],
    *,
    run_id: str,
    seconds: float,
) -> pa.Table:
    """Build one row for each question, in their order.

    A failed attempt has an id of its own; a permanent failure is stored as the last attempt.

    Args:
        configured: The judge.
        pending: The questions that it was asked.
        answers: Its answers, in the same order.
        run_id: Id of the run.
        seconds: Mean time of a question.
    """
    rows = list(zip(pending, answers, strict=True))
    questions = [question.question for question in pending]
    columns: dict[str, Sequence[object]] = {
        "judgment_id": [_make_row_id(configured, question, answer) for question, answer in rows],
        "prompt_id": [question.item.prompt_id for question in questions],
        "form": [question.form for question in questions],
        "response_a": [
            None if question.form == "listwise" else question.asked[0].response_id for question in questions
        ],
        "response_b": [
            question.asked[1].response_id if question.form == "pairwise" else None for question in questions
        ],
        "shown": [question.shown for question in questions],
        "outcome": [answer.outcome for answer in answers],
        "p_a": [answer.p_a for answer in answers],
        "score": [answer.score for answer in answers],
        "ranking": [answer.ranking for answer in answers],
        "rationale": [answer.rationale for answer in answers],
        "raw": [answer.raw for answer in answers],
        "sample": [question.sample for question in questions],
        "tokens_in": [answer.tokens_in for answer in answers],
        "tokens_out": [answer.tokens_out for answer in answers],
        "score_sd": [answer.score_sd for answer in answers],
        "listed": [
            [candidate.response_id for candidate in question.asked] if question.form == "listwise" else None
            for question in questions
        ],
        "scores": [answer.scores for answer in answers],
        "supersedes": [None] * len(rows),
    }
    same = {
        "annotator_id": configured.name,
        "kind": configured.judge.kind,
        "revision": configured.revision,
        "seconds": seconds,
        "run_id": run_id,
    }
    return pa.table(
        [
            pa.repeat(pa.scalar(same[field.name], field.type), len(rows))
            if field.name in same
            else pa.array(columns[field.name], field.type)
            for field in _SCHEMA
        ],
        schema=_SCHEMA,
    )


def _make_row_id(configured: ConfiguredJudge, pending: PendingQuestion, answer: Answer) -> str:
    if answer.outcome != "failed":
        return pending.judgment_id
    return make_failure_id(
        pending.judgment_id, configured.attempts - 1 if answer.permanent else pending.failures
    )
