"""Judgments of the incoming rows: canonical order, ids, and which of them say something new.

An annotator may say two different things of the same pair in the same order; both are kept, as `sample` 0
and 1. The same statement again, in this file or any other, is a duplicate. The sample is the number of
different statements on the same question that came before, so it does not depend on how often a row comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curate.core.resources import read_query
from curate.ingest.columns import Columns, parse_ids
from curate.ingest.known import KnownIds, Mask
from curate.ingest.rows import NativeRow, Row
from curate.lake.lake import Lake
from curate.records import Judgment, Kind, Outcome, Shown, arrow_schema, judgment_id

REVISION = "imported"
_SCHEMA = arrow_schema(Judgment)


class Statement(NamedTuple):
    """The statement of row `row` about a pair, in canonical id order."""

    row: int
    prompt: str
    annotator: str
    kind: Kind
    a: str
    b: str
    shown: Shown | None
    outcome: Outcome
    p_a: float | None
    rationale: str | None
    address: str | None = None
    """The e-mail address for which `annotator` is a pseudonym."""

    @property
    def question(self) -> str:
        return self.identity(0)

    @property
    def answer(self) -> tuple[object, ...]:
        return (self.kind, self.outcome, self.p_a, self.rationale)

    def identity(self, sample: int) -> str:
        return judgment_id(
            prompt=self.prompt,
            annotator=self.annotator,
            revision=REVISION,
            form="pairwise",
            responses=(self.a, self.b),
            shown=self.shown,
            sample=sample,
        )


def canonicalize_statement(statement: Statement) -> Statement:
    """Return the same statement with `a < b`; outcome, shown order and p_a follow."""
    if statement.a < statement.b:
        return statement
    swap: dict[str, str] = {"a": "b", "b": "a", "ab": "ba", "ba": "ab"}
    return statement._replace(
        a=statement.b,
        b=statement.a,
        shown=None if statement.shown is None else swap[statement.shown],  # type: ignore[arg-type]
        outcome=swap.get(statement.outcome, statement.outcome),  # type: ignore[arg-type]
        p_a=None if statement.p_a is None else 1 - statement.p_a,
    )


def list_statements(rows: Sequence[Row | NativeRow], columns: Columns) -> list[Statement]:
    """List the verdicts that foreign rows carry about their own responses."""
    if not any(row.verdicts for row in rows):
        return []
    prompts = columns.prompts["prompt_id"].to_pylist()
    responses = columns.responses["response_id"].to_pylist()
    statements, first = [], 0
    for number, row in enumerate(rows):
        for verdict in row.verdicts:
            statement = Statement(
                number,
                prompts[number],
                verdict.annotator,
                verdict.kind,
                responses[first + verdict.a],
                responses[first + verdict.b],
                verdict.shown,
                verdict.winner,
                verdict.p_a,
                verdict.rationale,
            )
            statements.append(canonicalize_statement(statement))
        first += len(row.responses)
    return statements


class Statements:
    """The statements of a chunk, with the ids of their questions computed ahead of the lake's lock."""

    def __init__(self, statements: Sequence[Statement], pseudonym: Callable[[str], str]) -> None:
        """Take statements; `pseudonym` returns the name under which the lake knows a person."""
        self.statements = [_with_pseudonym(statement, pseudonym) for statement in statements]
        self.questions = [statement.question for statement in self.statements]
        self.question_ids = parse_ids(self.questions)

    def number_samples(
        self, lake: Lake, known: KnownIds
    ) -> tuple[list[int], list[str], Mask, list[str | None]]:
        """Return samples, judgment ids, which statements are new, and what these supersede; inside the lake's lock."""
        answers_by_question: dict[str, dict[tuple[object, ...], int]] = {}
        before = [  # asked of the same person under a name that the lake had before
            (statement.prompt, statement._replace(annotator=statement.address).question)
            for statement in self.statements
            if statement.address is not None
        ]
        asked = known.find_known(self.question_ids)
        repeated = bool(asked.any() or before)
        if repeated:
            questions = [self.questions[i] for i in np.flatnonzero(asked)] + [
                question for _, question in before
            ]
            answers_by_question = _read_earlier_answers(
                lake, questions, self._prompts(asked) + [prompt for prompt, _ in before]
            )
        samples, ids, novel = [], [], np.zeros(len(self.statements), bool)
        supersedes: list[str | None] = []
        for i, (statement, question) in enumerate(zip(self.statements, self.questions, strict=True)):
            answers = answers_by_question.setdefault(question, {})
            sample = answers.get(statement.answer)
            if sample is None:
                sample = answers[statement.answer] = len(answers)
                novel[i] = True
            supersedes.append(
                _find_superseded(statement, answers_by_question) if repeated and novel[i] else None
            )
            samples.append(sample)
            ids.append(question if sample == 0 else statement.identity(sample))
        return samples, ids, novel, supersedes

    def build_table(
        self, samples: Sequence[int], ids: Sequence[str], supersedes: Sequence[str | None], run_id: str
    ) -> pa.Table:
        n = len(self.statements)
        columns: dict[str, object] = dict(
            zip(Statement._fields, zip(*self.statements, strict=True), strict=True)
        )
        constant = {"form": "pairwise", "revision": REVISION, "run_id": run_id}
        arrays = {
            "judgment_id": ids,
            "prompt_id": columns["prompt"],
            "annotator_id": columns["annotator"],
            "response_a": columns["a"],
            "response_b": columns["b"],
            "sample": samples,
            "supersedes": supersedes,
            "tokens_in": np.zeros(n, np.int64),
            "tokens_out": np.zeros(n, np.int64),
            "seconds": np.zeros(n),
            **{name: columns[name] for name in ("kind", "shown", "outcome", "p_a", "rationale")},
            **{name: [value] * n for name, value in constant.items()},
        }
        return pa.table(
            [
                pa.array(arrays[field.name], field.type) if field.name in arrays else pa.nulls(n, field.type)
                for field in _SCHEMA
            ],
            schema=_SCHEMA,
        )

    def _prompts(self, asked: Mask) -> list[str]:
        return [self.statements[i].prompt for i in np.flatnonzero(asked)]


def _with_pseudonym(statement: Statement, pseudonym: Callable[[str], str]) -> Statement:
    if statement.kind not in ("human", "imported"):
        return statement
    name = pseudonym(statement.annotator)
    if name == statement.annotator:
        return statement
    return statement._replace(annotator=name, address=statement.annotator)


def _find_superseded(
    statement: Statement, answers_by_question: dict[str, dict[tuple[object, ...], int]]
) -> str | None:
    """Find the same statement as the lake had it before its annotator's kind or pseudonym was known."""
    for name in (statement.annotator, statement.address):
        for kind in (statement.kind, "imported"):
            if name is not None:
                earlier = statement._replace(annotator=name, kind=kind)
                sample = answers_by_question.get(earlier.question, {}).get(earlier.answer)
                if sample is not None and earlier != statement:
                    return earlier.identity(sample)
    return None


def _read_earlier_answers(
    lake: Lake, questions: Sequence[str], prompts: Sequence[str]
) -> dict[str, dict[tuple[object, ...], int]]:
    """Read what the lake's annotators answered already: question → answer → sample."""
    answers_by_question: dict[str, dict[tuple[object, ...], int]] = {}
    wanted = set(questions)
    with lake.bind("asked", pa.table({"prompt_id": sorted(set(prompts))})):
        rows = lake.rows(read_query("imported_statements"))
    for prompt, annotator, kind, a, b, shown, outcome, p_a, rationale, sample in rows:
        statement = Statement(0, prompt, annotator, kind, a, b, shown, outcome, p_a, rationale)
        question = statement.question
        if question in wanted:
            answers_by_question.setdefault(question, {})[statement.answer] = sample
    return answers_by_question
