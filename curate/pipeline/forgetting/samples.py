"""Numbers of different statements on one question: they go on from 0 after some of them are forgotten.

The number is part of a statement's id, and `ingest` recognises a statement by the first one of its question. So what is
left gets the numbers, and the ids, that it would have if what is forgotten had never been there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from curate.lake.check.content_ids import compute_judgment_id
from curate.lake.lake import Lake
from curate.lake.writer import Writer

_LEFT = """
WITH questions AS (
    SELECT DISTINCT prompt_id, annotator_id, revision, form, response_a, response_b, listed, shown, aspect
    FROM judgments SEMI JOIN forgotten_judgments USING (judgment_id)
    WHERE revision = 'imported'
)
SELECT judgments.*
FROM judgments JOIN questions USING (prompt_id, annotator_id, revision, form)
WHERE
    judgments.response_a IS NOT DISTINCT FROM questions.response_a
    AND judgments.response_b IS NOT DISTINCT FROM questions.response_b
    AND judgments.listed IS NOT DISTINCT FROM questions.listed
    AND judgments.shown IS NOT DISTINCT FROM questions.shown
    AND judgments.aspect IS NOT DISTINCT FROM questions.aspect
    AND judgment_id NOT IN (SELECT judgment_id FROM forgotten_judgments)
ORDER BY sample
"""


def read_left_statements(lake: Lake) -> list[dict[str, Any]]:
    """Read the imported statements that stay on questions of which some are forgotten, by their numbers."""
    rows: list[dict[str, Any]] = lake.arrow(_LEFT).to_pylist()
    return rows


def renumber_statements(writer: Writer, lake: Lake, rows: Sequence[dict[str, Any]]) -> int:
    """Number the statements of each question from 0; returns how many have another id now."""
    numbers: dict[str, int] = {}
    identities: dict[str, tuple[str, int]] = {}
    for row in rows:
        question = compute_judgment_id(row | {"sample": 0})
        sample = numbers[question] = numbers.get(question, -1) + 1
        if sample != row["sample"]:
            identities[row["judgment_id"]] = (compute_judgment_id(row | {"sample": sample}), sample)
    if not identities:
        return 0
    renamed = pa.table(
        {
            "old_id": list(identities),
            "new_id": [identity for identity, _ in identities.values()],
            "new_sample": pa.array([sample for _, sample in identities.values()], pa.int64()),
        }
    )
    with lake.bind("renamed_statements", renamed):
        writer.update("judgments", "supersedes = new_id FROM renamed_statements WHERE supersedes = old_id")
        writer.update("repeats", "id = new_id FROM renamed_statements WHERE id = old_id")
        writer.update(
            "judgments",
            "judgment_id = new_id, sample = new_sample FROM renamed_statements WHERE judgment_id = old_id",
        )
    return len(identities)
