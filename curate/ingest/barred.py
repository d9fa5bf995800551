"""Rows that `curate forget` removed do not come in again, and no copy of them goes into quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from curate.core.errors import CurateError
from curate.ingest.columns import Columns
from curate.ingest.inputs import Input
from curate.ingest.known import Mask
from curate.ingest.prepare import PreparedResponses
from curate.ingest.statements import Statements
from curate.lake.forgotten import ForgottenNames

REASON = "forgotten"  # the reason of such rows among those that are dropped


def refuse_forgotten_inputs(forgotten: ForgottenNames, inputs: Sequence[Input]) -> None:
    """Raise CurateError for an input that was forgotten as a whole."""
    for item in inputs:
        if forgotten.has("source", item.part):
            raise CurateError(
                f"{item.part} was forgotten with `curate forget source`: take it out of `ingest` in curate.yaml, or "
                f"take it in again with `curate ingest --replace {item.source.source}`."
            )


def drop_forgotten_rows(chunk: PreparedResponses, forgotten: ForgottenNames) -> tuple[PreparedResponses, int]:
    """Return a chunk without forgotten prompts and statements of forgotten people, and the number of rows dropped."""
    if not forgotten.digests:
        return chunk, 0
    statements, _ = drop_forgotten_people(chunk.statements, forgotten)
    marks = forgotten.find("prompt", chunk.columns.prompts["prompt_id"].to_pylist())
    if marks is None or not any(marks):
        return replace(chunk, statements=statements), 0
    kept = ~np.array(marks, bool)
    position = np.cumsum(kept) - 1
    remaining = [
        item._replace(row=int(position[item.row])) for item in statements.statements if kept[item.row]
    ]
    columns = _filter_columns(chunk.columns, kept)
    smaller = replace(
        chunk,
        rows=int(kept.sum()),
        columns=columns,
        statements=Statements(remaining, _keep_name),
    )
    return smaller, int((~kept).sum())


def drop_forgotten_people(statements: Statements, forgotten: ForgottenNames) -> tuple[Statements, set[int]]:
    """Return statements without those of forgotten people, and the rows of these."""
    names = {item.judgment.annotator_id for item in statements.statements}
    gone = {name for name in names if forgotten.has("person", name)}
    if not gone:
        return statements, set()
    kept = [item for item in statements.statements if item.judgment.annotator_id not in gone]
    rows = {item.row for item in statements.statements if item.judgment.annotator_id in gone}
    return Statements(kept, _keep_name), rows


def _filter_columns(columns: Columns, kept: Mask) -> Columns:
    answered = kept[columns.owner]
    position = np.cumsum(kept) - 1
    return Columns(
        columns.prompts.filter(pa.array(kept)),
        columns.prompt_ids[kept],
        columns.responses.filter(pa.array(answered)),
        columns.response_ids[answered],
        position[columns.owner[answered]],
    )


def _keep_name(name: str) -> str:
    return name  # statements have their pseudonyms by now
