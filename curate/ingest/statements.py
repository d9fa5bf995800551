"""Judgments of the incoming rows: canonical order, ids, and which of them say something new.

An annotator may say two different things of the same pair in the same order; both are kept, as `sample` 0
and 1. The same statement again, in this file or any other, is a duplicate. The sample is the number of
different statements on the same question that came before, so it does not depend on how often a row comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curate.ingest.columns import Columns, parse_ids
from curate.ingest.known import KnownIds, Mask
from curate.ingest.rows import NativeRow, Row
from curate.lake import Lake
from curate.records import Judgment, Kind, Outcome, Shown, arrow_schema, judgment_id
from curate.resources import sql

REVISION = "imported"
_SCHEMA = arrow_schema(Judgment)


class Statement(NamedTuple):
    """What row `row` says about a pair, in canonical id order."""

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


def canonical(statement: Statement) -> Statement:
    """The same statement with `a < b`: who won, what was shown first and p_a follow."""
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


def of_rows(rows: Sequence[Row | NativeRow], columns: Columns) -> list[Statement]:
    """The verdicts that foreign rows carry about their own responses."""
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
            statements.append(canonical(statement))
        first += len(row.responses)
    return statements


class Statements:
    """The statements of a chunk, with the ids of their questions computed ahead of the lake's lock."""

    def __init__(self, statements: Sequence[Statement]) -> None:
        self.statements = statements
        self.questions = [statement.question for statement in statements]
        self.question_ids = parse_ids(self.questions)

    def resolve(self, lake: Lake, known: KnownIds) -> tuple[list[int], list[str], Mask]:
        """Samples, judgment ids, and which statements are new; inside the lake's lock."""
        said: dict[str, dict[tuple[object, ...], int]] = {}
        asked = known.holds(self.question_ids)
        if asked.any():
            said = _said(lake, [self.questions[i] for i in np.flatnonzero(asked)], self._prompts(asked))
        samples, ids, novel = [], [], np.zeros(len(self.statements), bool)
        for i, (statement, question) in enumerate(zip(self.statements, self.questions, strict=True)):
            answers = said.setdefault(question, {})
            sample = answers.get(statement.answer)
            if sample is None:
                sample = answers[statement.answer] = len(answers)
                novel[i] = True
            samples.append(sample)
            ids.append(question if sample == 0 else statement.identity(sample))
        return samples, ids, novel

    def table(self, samples: Sequence[int], ids: Sequence[str], run_id: str) -> pa.Table:
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


def _said(
    lake: Lake, questions: Sequence[str], prompts: Sequence[str]
) -> dict[str, dict[tuple[object, ...], int]]:
    """What the lake's annotators answered already: question → answer → sample."""
    said: dict[str, dict[tuple[object, ...], int]] = {}
    wanted = set(questions)
    with lake.bind("asked", pa.table({"prompt_id": sorted(set(prompts))})):
        rows = lake.rows(sql("imported_statements"))
    for prompt, annotator, kind, a, b, shown, outcome, p_a, rationale, sample in rows:
        statement = Statement(0, prompt, annotator, kind, a, b, shown, outcome, p_a, rationale)
        question = statement.question
        if question in wanted:
            said.setdefault(question, {})[statement.answer] = sample
    return said
