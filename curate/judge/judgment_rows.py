"""Rows of the tables `judgments` and `criterion_verdicts` from a judge's answers."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curate.data.judgments import JudgmentStatement, build_judgment_table, make_failure_id
from curate.data.rubric import build_rubric_row
from curate.judge.base import Answer, Question
from curate.judge.configured import ConfiguredJudge
from curate.judge.criterion_answer import MEASURED
from curate.judge.pending import PendingQuestion
from curate.records import CriterionVerdict, RubricRow, arrow_schema


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


def build_aspect_rows(
    configured: ConfiguredJudge,
    pending: Sequence[PendingQuestion],
    answers: Sequence[Answer],
    *,
    run_id: str,
) -> pa.Table:
    """Build a row of `judgments` for each rating in one aspect; tokens and time stand with the response's own rating.

    Args:
        configured: The judge.
        pending: The questions that it was asked.
        answers: Its answers, in the same order.
        run_id: Id of the run.
    """
    statements = [
        make_statement(configured, question.question, answer)._replace(
            aspect=rating.aspect, score=rating.score, score_sd=rating.score_sd,
            rationale=None, raw=None, tokens_in=0, tokens_out=0,
        )
        for question, answer in zip(pending, answers, strict=True)
        for rating in answer.aspects
    ]  # fmt: skip
    return build_judgment_table(statements, run_id=run_id)


def build_verdict_rows(
    configured: ConfiguredJudge,
    pending: Sequence[PendingQuestion],
    answers: Sequence[Answer],
    *,
    run_id: str,
    seconds: float,
) -> pa.Table:
    """Build a row of `criterion_verdicts` for each criterion that was asked about.

    Args:
        configured: The judge.
        pending: The questions that it was asked.
        answers: Its answers, in the same order.
        run_id: Id of the run.
        seconds: Mean time of a question, which its criteria share.
    """
    rows = []
    for question, answer in zip(pending, answers, strict=True):
        for verdict in answer.verdicts:
            identity = verdict.verdict_id
            if verdict.outcome == "failed":
                identity = make_failure_id(identity, question.failures)
            rows.append(
                CriterionVerdict(
                    verdict_id=identity,
                    criterion_id=verdict.criterion_id,
                    criterion=verdict.criterion,
                    prompt_id=question.question.item.prompt_id,
                    response_id=verdict.response_id,
                    annotator_id=configured.name,
                    kind="rule" if verdict.revision == MEASURED else configured.judge.kind,
                    outcome=verdict.outcome,
                    p_satisfied=verdict.p_satisfied,
                    value=verdict.value,
                    rationale=verdict.rationale,
                    raw=verdict.raw,
                    revision=verdict.revision,
                    sample=question.question.sample,
                    tokens_in=verdict.tokens_in,
                    tokens_out=verdict.tokens_out,
                    seconds=seconds / len(answer.verdicts),
                    run_id=run_id,
                ).model_dump()
            )
    return pa.Table.from_pylist(rows, schema=arrow_schema(CriterionVerdict))


def build_rubric_rows(configured: ConfiguredJudge, answers: Sequence[Answer], *, run_id: str) -> pa.Table:
    """Build a row of `rubrics` for each rubric that the answers went by: what its criteria say is kept with them.

    Args:
        configured: The judge.
        answers: Its answers.
        run_id: Id of the run.
    """
    rubrics = {answer.rubric.revision: answer.rubric for answer in answers if answer.rubric is not None}
    rows = [
        build_rubric_row(rubric, origin=f"judge {configured.name}", run_id=run_id).model_dump()
        for rubric in rubrics.values()
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(RubricRow))


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
