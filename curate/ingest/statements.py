"""Judgments of the incoming rows: canonical order, ids, and which of them say something new.

An annotator may say two different things of the same pair in the same order; both are kept, as `sample` 0
and 1. The same statement again, in this file or any other, is a duplicate. The sample is the number of
different statements on the same question that came before, so it does not depend on how often a row comes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curate.core.resources import read_query
from curate.data.judgments import (
    JudgmentStatement,
    build_judgment_table,
    make_question_id,
    order_pair,
)
from curate.data.pseudonym import is_full_name
from curate.ingest.columns import Columns, parse_ids
from curate.ingest.known import KnownIds, Mask
from curate.ingest.rows import NativeRow, Rating, Row
from curate.lake.lake import Lake
from curate.records import Kind, Outcome, Shown, TiedAs

REVISION = "imported"


class SourceStatement(NamedTuple):
    """The statement of row `row`, in canonical order.

    `address`: the e-mail address for which the annotator is a pseudonym.
    """

    row: int
    judgment: JudgmentStatement
    address: str | None = None


def make_statement(
    prompt: str,
    annotator: str,
    kind: Kind,
    pair: tuple[str, str],
    shown: Shown | None,
    outcome: Outcome,
    p_a: float | None,
    rationale: str | None,
    *,
    margin: float | None = None,
    aspect: str | None = None,
    tied_as: TiedAs | None = None,
    raw: str | None = None,
) -> JudgmentStatement:
    """Make the statement of a row about a pair in any order, in canonical order.

    Args:
        prompt: Id of the prompt.
        annotator: Name of the annotator.
        kind: Kind of annotator.
        pair: Ids of the responses a and b of the row.
        shown: Order in which the annotator saw them.
        outcome: The verdict.
        p_a: Probability that a is better.
        rationale: Reasons.
        margin: By how much a is better.
        aspect: The one criterion that it is about.
        tied_as: What a tie says of both.
        raw: JSON text that is kept with it.
    """
    statement = JudgmentStatement(
        prompt, annotator, kind, REVISION, "pairwise", pair, outcome, shown, p_a, margin,
        rationale=rationale, raw=raw, aspect=aspect, tied_as=tied_as,
    )  # fmt: skip
    return order_pair(statement)


Answer = tuple[object, ...]


def _get_answer(statement: JudgmentStatement) -> Answer:
    given = (statement.outcome, statement.p_a, statement.score, statement.score_sd, statement.scores)
    return statement.kind, *given, statement.ranking, statement.rationale, statement.tied_as


def list_statements(rows: Sequence[Row | NativeRow], columns: Columns) -> list[SourceStatement]:
    """List the verdicts that foreign rows carry about their own responses.

    A prompt keeps the `meta` of its first row; each statement keeps that of its own row, in `raw`.
    """
    if not any(row.verdicts or row.ratings for row in rows):
        return []
    prompts = columns.prompts["prompt_id"].to_pylist()
    responses = columns.responses["response_id"].to_pylist()
    statements, first = [], 0
    for number, row in enumerate(rows):
        raw = None if row.meta is None else json.dumps({"meta": row.meta}, ensure_ascii=False, default=str)
        for verdict in row.verdicts:
            statement = make_statement(
                prompts[number],
                verdict.annotator,
                verdict.kind,
                (responses[first + verdict.a], responses[first + verdict.b]),
                verdict.shown,
                verdict.winner,
                verdict.p_a,
                verdict.rationale,
                margin=verdict.margin,
                aspect=verdict.aspect,
                tied_as=verdict.tied_as,
                raw=raw,
            )
            statements.append(SourceStatement(number, statement))
        for rating in row.ratings:
            statement = _make_rating(prompts[number], responses[first + rating.response], rating, raw)
            statements.append(SourceStatement(number, statement))
        first += len(row.responses)
    return statements


def _make_rating(prompt: str, response: str, rating: Rating, raw: str | None) -> JudgmentStatement:
    return JudgmentStatement(
        prompt, rating.annotator, rating.kind, REVISION, "pointwise", (response,), "a",
        score=rating.score, rationale=rating.rationale, raw=raw, aspect=rating.aspect,
    )  # fmt: skip


class Statements:
    """The statements of a chunk, with the ids of their questions computed ahead of the lake's lock."""

    def __init__(self, statements: Sequence[SourceStatement], pseudonym: Callable[[str], str]) -> None:
        """Take statements; `pseudonym` returns the name under which the lake knows a person."""
        self.statements = [_with_pseudonym(statement, pseudonym) for statement in statements]
        self.questions = [make_question_id(statement.judgment) for statement in self.statements]
        self.question_ids = parse_ids(self.questions)

    def number_samples(
        self, lake: Lake, known: KnownIds
    ) -> tuple[list[int], list[str], Mask, list[str | None]]:
        """Return samples, judgment ids, which statements are new, and what these supersede; inside the lake's lock."""
        answers_by_question: dict[str, dict[Answer, int]] = {}
        before = [  # asked of the same person under a name that the lake had before
            statement.judgment._replace(annotator_id=statement.address)
            for statement in self.statements
            if statement.address is not None
        ]
        asked = known.find_known(self.question_ids)
        repeated = bool(asked.any() or before)
        if repeated:
            questions = [self.questions[i] for i in np.flatnonzero(asked)] + list(
                map(make_question_id, before)
            )
            prompts = self._list_prompts(asked) + [statement.prompt_id for statement in before]
            answers_by_question = _read_earlier_answers(lake, questions, prompts)
        samples, ids, novel = [], [], np.zeros(len(self.statements), bool)
        supersedes: list[str | None] = []
        for i, (statement, question) in enumerate(zip(self.statements, self.questions, strict=True)):
            answers = answers_by_question.setdefault(question, {})
            answer = _get_answer(statement.judgment)
            sample = answers.get(answer)
            if sample is None:
                taken = set(answers.values())
                sample = answers[answer] = next(n for n in range(len(taken) + 1) if n not in taken)
                novel[i] = True
            supersedes.append(
                _find_superseded(statement, answers_by_question) if repeated and novel[i] else None
            )
            samples.append(sample)
            ids.append(question if sample == 0 else make_question_id(statement.judgment, sample))
        return samples, ids, novel, supersedes

    def build_table(
        self, samples: Sequence[int], ids: Sequence[str], supersedes: Sequence[str | None], run_id: str
    ) -> pa.Table:
        return build_judgment_table(
            [statement.judgment for statement in self.statements],
            run_id=run_id,
            columns={"sample": samples, "judgment_id": ids, "supersedes": supersedes},
        )

    def _list_prompts(self, asked: Mask) -> list[str]:
        return [self.statements[i].judgment.prompt_id for i in np.flatnonzero(asked)]


def _with_pseudonym(statement: SourceStatement, pseudonym: Callable[[str], str]) -> SourceStatement:
    judgment = statement.judgment
    if judgment.kind not in ("human", "imported"):
        return statement
    if judgment.kind == "imported" and is_full_name(judgment.annotator_id):
        return statement  # who is nobody knows what may be "Llama Guard"
    name = pseudonym(judgment.annotator_id)
    if name == judgment.annotator_id:
        return statement
    return SourceStatement(statement.row, judgment._replace(annotator_id=name), address=judgment.annotator_id)


def _find_superseded(
    statement: SourceStatement, answers_by_question: dict[str, dict[Answer, int]]
) -> str | None:
    """Find the same statement as the lake had it before kind or pseudonym, margin or tie were read."""
    judgment = statement.judgment
    plain = judgment._replace(score=None, tied_as=None) if judgment.form == "pairwise" else judgment
    for name in (judgment.annotator_id, statement.address):
        for kind, known in product((judgment.kind, "imported"), (judgment, plain)):
            if name is not None:
                earlier = known._replace(annotator_id=name, kind=kind)
                sample = answers_by_question.get(make_question_id(earlier), {}).get(_get_answer(earlier))
                if sample is not None and earlier != judgment:
                    return make_question_id(earlier, sample)
    return None


def _read_earlier_answers(
    lake: Lake, questions: Sequence[str], prompts: Sequence[str]
) -> dict[str, dict[Answer, int]]:
    """Read what the lake's annotators answered already: question → answer → sample."""
    answers_by_question: dict[str, dict[Answer, int]] = {}
    wanted = set(questions)
    with lake.bind("asked", pa.table({"prompt_id": sorted(set(prompts))})):
        rows = lake.rows(read_query("imported_statements"))
    for prompt, annotator, kind, form, ids, outcome, shown, p_a, score, sd, *further, sample in rows:
        scores, ranking, rationale, aspect, tied_as = further
        statement = JudgmentStatement(
            prompt, annotator, kind, REVISION, form, tuple(ids), outcome, shown, p_a, score, sd,
            None if scores is None else tuple(scores), None if ranking is None else tuple(ranking),
            rationale=rationale, aspect=aspect, tied_as=tied_as,
        )  # fmt: skip
        question = make_question_id(statement)
        if question in wanted:
            answers_by_question.setdefault(question, {})[_get_answer(statement)] = sample
    return answers_by_question
