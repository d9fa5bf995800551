"""Which exports, models and certificates were made of rows that are to be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from curate.lake.lake import Lake

_NEWEST = """
SELECT stage, part, arg_max(coalesce(CAST(json_extract(details, '$.snapshot') AS BIGINT), snapshot_in), snapshot_in)
FROM runs
WHERE stage IN ('export', 'train', 'certify') AND status = 'done'
GROUP BY stage, part
ORDER BY ALL
"""
_HELD = """
SELECT
    (SELECT count(*) FROM lake.prompts AT (VERSION => {0}) SEMI JOIN forgotten_prompts USING (prompt_id))
    + (SELECT count(*) FROM lake.responses AT (VERSION => {0}) SEMI JOIN forgotten_responses USING (response_id))
    + (SELECT count(*) FROM lake.judgments AT (VERSION => {0}) SEMI JOIN forgotten_judgments USING (judgment_id))
"""
_KINDS: dict[str, Literal["export", "model", "certificate"]] = {
    "export": "export",
    "train": "model",
    "certify": "certificate",
}


@dataclass(frozen=True, slots=True)
class Use:
    """Something made of a snapshot that holds rows which are to be forgotten.

    `name`: the folder of an export, the subject of a model; `rows`: how many of the rows the snapshot holds, None where
    the snapshot is gone and nobody can tell.
    """

    kind: Literal["export", "model", "certificate"]
    name: str
    snapshot: int
    rows: int | None


def list_uses(lake: Lake) -> list[Use]:
    """List the uses, given the temporary tables of `select_target`; none where no row is forgotten."""
    sizes = [
        lake.value(f"SELECT count(*) FROM forgotten_{name}") for name in ("prompts", "responses", "judgments")
    ]
    if not any(sizes):
        return []
    newest = lake.rows(_NEWEST)
    there = {snapshot for (snapshot,) in lake.rows("SELECT snapshot_id FROM lake.snapshots()")}
    held = {
        snapshot: int(lake.value(_HELD.format(snapshot))) if snapshot in there else None
        for snapshot in {snapshot for *_, snapshot in newest}
    }
    return [
        Use(_KINDS[stage], part, snapshot, held[snapshot])
        for stage, part, snapshot in newest
        if held[snapshot] != 0
    ]
