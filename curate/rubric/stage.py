"""Rubrics as rows of the lake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from curate.core.identity import content_id
from curate.data.rubric import Rubric, build_rubric_row
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary
from curate.records import RubricRow, arrow_schema

STAGE = "rubric"


def record_rubric(lake: Lake, rubric: Rubric, *, origin: str, details: Mapping[str, Any]) -> Summary:
    """Keep a rubric as a row of `rubrics`; one that is there already, from the same origin, takes the new details.

    Args:
        lake: The lake.
        rubric: The rubric.
        origin: The method that wrote it.
        details: Pairs it was learnt from, criteria proposed and dropped by reason, and what the method adds.
    """
    run = StageRun(lake, STAGE, config_hash=content_id(origin, dict(details)))
    row = build_rubric_row(
        rubric, origin=origin, run_id=run.run_id, details=json.dumps(details, ensure_ascii=False)
    )
    fingerprint = content_id(rubric.revision, origin, row.details)
    with run.chunk(f"{origin}: {rubric.name}", fingerprint=fingerprint) as (writer, counts):
        writer.delete(
            "rubrics", "revision = ? AND name = ? AND origin = ?", [rubric.revision, rubric.name, origin]
        )
        writer.append("rubrics", pa.Table.from_pylist([row.model_dump()], schema=arrow_schema(RubricRow)))
        counts.rows_in = counts.rows_kept = 1
    return run.summary()
