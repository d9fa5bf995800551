"""Answers as rows of the table `judgments`, column by column: building a pydantic model for each costs ten times it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curate.judge.base import Answer
from curate.judge.configured import ConfiguredJudge
from curate.judge.pending import PendingQuestion, make_failure_id
from curate.records import Judgment, arrow_schema

_SCHEMA = arrow_schema(Judgment)


def build_judgment_rows(
    seat: ConfiguredJudge, asked: Sequence[PendingQuestion], answers: Sequence[Answer], *, run_id: str, seconds: float
) -> pa.Table:
    """One row per question, in their order. `seconds`: what each took.

    A failed attempt has an id of its own; a permanent failure is filed as the last attempt.
    """
    rows = list(zip(asked, answers, strict=True))
    questions = [each.question for each in asked]
    columns: dict[str, Sequence[object]] = {
        "judgment_id": [_make_row_id(seat, each, answer) for each, answer in rows],
        "prompt_id": [question.contest.prompt_id for question in questions],
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
        "annotator_id": seat.name,
        "kind": seat.judge.kind,
        "revision": seat.revision,
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


def _make_row_id(seat: ConfiguredJudge, each: PendingQuestion, answer: Answer) -> str:
    if answer.outcome != "failed":
        return each.judgment_id
    return make_failure_id(each.judgment_id, seat.attempts - 1 if answer.permanent else each.failures)
