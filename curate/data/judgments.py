"""Rows of the table `judgments`: what an annotator says becomes a row here, whoever says it and by whatever way.

| who | id |
| --- | --- |
| a judge, a row of a file | `make_question_id`: of the question, so that it is answered, and paid for, once |
| a judge that failed | `make_failure_id`: of the question and the attempt; the question's own id stays free |
| a person | `make_answer_id`: of the answer and what it supersedes, for people change their minds, and back |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from curate.core.human_forms import AskedAs
from curate.core.identity import content_id
from curate.records import Form, Judgment, Kind, Outcome, Shown, TiedAs, arrow_schema, judgment_id

_SCHEMA = arrow_schema(Judgment)
_MIRRORED_OUTCOMES: dict[Outcome, Outcome] = {"a": "b", "b": "a"}
_MIRRORED_ORDERS: dict[Shown | None, Shown] = {"ab": "ba", "ba": "ab"}


class JudgmentStatement(NamedTuple):
    """Statement of one annotator about responses of one prompt.

    Attributes:
        prompt_id: Id of the prompt.
        annotator_id: Name of the annotator.
        kind: Kind of annotator.
        revision: Revision of the annotator.
        form: Form of the judgment.
        responses: Ids of the responses: a pair in any order (the first one is a), one response, or a list in the order
            in which it was shown; () for a list of which only the ranking is known.
        outcome: The better response, a tie, an abstention or a failure.
        shown: Order in which the annotator saw the pair.
        p_a: Probability that a is better.
        score: Margin of a over b, or the rating of one response.
        score_sd: Standard deviation of the rating.
        scores: One score for each response of a list.
        ranking: Ids of a list's responses from best to worst.
        rationale: Reasons that the annotator gives.
        raw: What the annotator's answer was read from.
        sample: Number of the repetition, from 0.
        tokens_in: Tokens read.
        tokens_out: Tokens written.
        seconds: Time that the answer took.
        supersedes: Id of the earlier judgment that this one takes the place of.
        judgment_id: Id where it is not the question's.
        aspect: The one criterion that the statement is about.
        tied_as: What a tie says of both responses.
        asked_as: Form in which `curate verify` asked a person.
    """

    prompt_id: str
    annotator_id: str
    kind: Kind
    revision: str
    form: Form
    responses: tuple[str, ...]
    outcome: Outcome
    shown: Shown | None = None
    p_a: float | None = None
    score: float | None = None
    score_sd: float | None = None
    scores: tuple[float, ...] | None = None
    ranking: tuple[str, ...] | None = None
    rationale: str | None = None
    raw: str | None = None
    sample: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    supersedes: str | None = None
    judgment_id: str | None = None
    aspect: str | None = None
    tied_as: TiedAs | None = None
    asked_as: AskedAs | None = None


def order_pair(statement: JudgmentStatement) -> JudgmentStatement:
    """Return the same statement with `a < b` (canonical order); outcome, p_a, margin and shown order follow."""
    if statement.form != "pairwise" or statement.responses[0] < statement.responses[1]:
        return statement
    return statement._replace(
        responses=statement.responses[::-1],
        outcome=_MIRRORED_OUTCOMES.get(statement.outcome, statement.outcome),
        shown=_MIRRORED_ORDERS.get(statement.shown),
        p_a=None if statement.p_a is None else 1 - statement.p_a,
        score=None if statement.score is None else 0.0 - statement.score,  # not -0.0
    )


def make_question_id(statement: JudgmentStatement, sample: int | None = None) -> str:
    """Return the id of the question that a statement in canonical order answers; `sample`: another repetition of it."""
    return judgment_id(
        prompt=statement.prompt_id,
        annotator=statement.annotator_id,
        revision=statement.revision,
        form=statement.form,
        responses=statement.responses,
        shown=statement.shown,
        sample=statement.sample if sample is None else sample,
        aspect=statement.aspect,
    )


def make_failure_id(question_id: str, attempt: int) -> str:
    """Return the id of a failed attempt (from 0) at a question."""
    return content_id(question_id, "failed", attempt)


def make_answer_id(answer: Sequence[object], supersedes: str | None) -> str:
    """Return the id of a person's answer.

    Args:
        answer: What identifies it: the question, the person and what the answer says.
        supersedes: The person's earlier judgment on the same question.
    """
    return content_id(*answer, supersedes)


def build_judgment_table(
    statements: Sequence[JudgmentStatement],
    *,
    run_id: str,
    columns: Mapping[str, Sequence[object]] | None = None,
) -> pa.Table:
    """Build rows of `judgments`, column by column: pydantic models would take ten times as long.

    Args:
        statements: One for each row; a pair may stand in any order.
        run_id: Id of the run in the rows.
        columns: Columns in place of those that the statements give.
    """
    given: dict[str, Sequence[object]] = dict(columns or {})
    ordered = [order_pair(statement) for statement in statements]
    values: dict[str, Sequence[object]] = (
        dict(zip(JudgmentStatement._fields, zip(*ordered, strict=True), strict=True))
        if ordered
        else dict.fromkeys(JudgmentStatement._fields, ())
    )
    responses = [statement.responses for statement in ordered]
    forms = values["form"]
    values |= {
        "response_a": [
            None if form == "listwise" else ids[0] for form, ids in zip(forms, responses, strict=True)
        ],
        "response_b": [
            ids[1] if form == "pairwise" else None for form, ids in zip(forms, responses, strict=True)
        ],
        "listed": [
            (ids or None) if form == "listwise" else None for form, ids in zip(forms, responses, strict=True)
        ],
        "run_id": [run_id] * len(ordered),
        "part": [None] * len(ordered),
    }
    if "judgment_id" not in given:
        given["judgment_id"] = [
            make_question_id(statement) if statement.judgment_id is None else statement.judgment_id
            for statement in ordered
        ]
    values |= given
    return pa.table(
        [pa.array(values[field.name], field.type) for field in _SCHEMA],
        schema=_SCHEMA,
    )
