"""Resolution of the references of imported judgments: the prompts and responses that they are about."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curate.core.resources import read_query
from curate.ingest.ratings import StatedRow, resolve_stated_rows
from curate.ingest.rejection import RowError
from curate.ingest.rows import JudgmentRow
from curate.ingest.statements import SourceStatement, make_statement
from curate.lake.lake import Lake

UNRESOLVED = "unknown reference"


def resolve_references(
    lake: Lake, rows: Sequence[JudgmentRow | StatedRow]
) -> list[SourceStatement | RowError]:
    """Return for each row its statement with the lake's ids, or why there is none; all rows are of one kind."""
    pairs = [row for row in rows if isinstance(row, JudgmentRow)]
    if len(pairs) < len(rows):
        return resolve_stated_rows(lake, [row for row in rows if not isinstance(row, JudgmentRow)])
    return _resolve_pairs(lake, pairs) if pairs else []


def _resolve_pairs(lake: Lake, rows: Sequence[JudgmentRow]) -> list[SourceStatement | RowError]:
    refs = pa.table(
        {
            "row": range(len(rows)),
            "prompt": [row.prompt for row in rows],
            "a": [row.a for row in rows],
            "b": [row.b for row in rows],
        }
    )
    with lake.bind("refs", refs):
        resolved = lake.rows(read_query("resolve_references"))
    return [
        _build_statement(number, rows[number], prompt, a, b)
        if pairs == 1 and a != b
        else _explain_failure(rows[number], prompts, as_a, as_b, pairs)
        for number, prompts, as_a, as_b, pairs, prompt, a, b in resolved
    ]


def _build_statement(number: int, row: JudgmentRow, prompt: str, a: str, b: str) -> SourceStatement:
    statement = make_statement(
        prompt, row.annotator, row.kind, (a, b), row.shown, row.winner, row.p_a, row.rationale,
        margin=row.margin, aspect=row.aspect, tied_as=row.tied_as,
    )  # fmt: skip
    return SourceStatement(number, statement)


def _explain_failure(row: JudgmentRow, prompts: int, as_a: int, as_b: int, pairs: int) -> RowError:
    if prompts == 0:
        return RowError(UNRESOLVED, f"No prompt in the lake has the id {row.prompt!r}.")
    for name, reference, n_matches in (("a", row.a, as_a), ("b", row.b, as_b)):
        if n_matches == 0:
            reason = f"`{name}`: prompt {row.prompt!r} has no response {reference!r} in the lake."
            return RowError(UNRESOLVED, reason)
    if pairs == 0:
        reason = (
            f"Responses {row.a!r} and {row.b!r} belong to different prompts that share the id {row.prompt!r}."
        )
        return RowError(UNRESOLVED, reason)
    if pairs == 1:
        return RowError("same response twice", f"{row.a!r} and {row.b!r} are the same response in the lake.")
    reason = (
        f"{row.prompt!r}, {row.a!r} and {row.b!r} fit {pairs} pairs of responses in the lake: "
        "use the lake's own ids (`prompt_id`, `response_id`)."
    )
    return RowError("ambiguous reference", reason)
