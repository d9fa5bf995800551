"""Rows of the table `judgments` from a judge's answers."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curate.data.judgments import JudgmentStatement, build_judgment_table, make_failure_id
from curate.judge.base import Answer, Question
from curate.judge.configured import ConfiguredJudge
from curate.judge.pending import PendingQuestion


def build_judgment_rows(
    configured: ConfiguredJudge,
    pending: Sequence[PendingQuestion],
    answers: Sequence[Answer],
    *,
    run_id: str,
    seconds: float,
) -> pa.Table:
    """Build one row for each question, in their order.

    Args:
        configured: The judge.
        pending: The questions that it was asked.
        answers: Its answers, in the same order.
        run_id: Id of the run.
        seconds: Mean time of a question.
    """
    statements = [
        make_statement(
            configured,
            question.question,
            answer,
            judgment_id=_make_row_id(configured, question, answer),
            seconds=seconds,
        )
        for question, answer in zip(pending, answers, strict=True)
    ]
    return build_judgment_table(statements, run_id=run_id)


def make_statement(
    configured: ConfiguredJudge,
    question: Question,
    answer: Answer,
    *,
    judgment_id: str | None = None,
    seconds: float = 0.0,
) -> JudgmentStatement:
    """Make the statement of a judge's answer.

    Args:
        configured: The judge.
        question: What it was asked.
        answer: Its answer.
        judgment_id: Id of the judgment; None: that of the question.
        seconds: Time that the answer took.
    """
    return JudgmentStatement(
        prompt_id=question.item.prompt_id,
        annotator_id=configured.name,
        kind=configured.judge.kind,
        revision=configured.revision,
        form=question.form,
        responses=tuple([candidate.response_id for candidate in question.asked]),
        outcome=answer.outcome,
        shown=question.shown,
        p_a=answer.p_a,
        score=answer.score,
        score_sd=answer.score_sd,
        scores=answer.scores,
        ranking=answer.ranking,
        rationale=answer.rationale,
        raw=answer.raw,
        sample=question.sample,
        tokens_in=answer.tokens_in,
        tokens_out=answer.tokens_out,
        seconds=seconds,
        judgment_id=judgment_id,
    )


def _make_row_id(configured: ConfiguredJudge, pending: PendingQuestion, answer: Answer) -> str:
    """Return the id of a row; a failed attempt has an id of its own, and a permanent failure is the last attempt."""
    if answer.outcome != "failed":
        return pending.judgment_id
    attempt = configured.attempts - 1 if answer.permanent else pending.failures
    return make_failure_id(pending.judgment_id, attempt)
