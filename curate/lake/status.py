"""The content of the lake, the fate of every row, and the last runs."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curate.core.resources import read_query
from curate.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Status:
    """One frame each, as the queries `status_*` give them.

    `failures`: why judgments failed, by judge; `forgotten`: what was made of forgotten rows; `warnings`: what the
    aggregation says against its own labels, and what a killed command has left undone.
    """

    snapshot: int
    tables: pl.DataFrame
    stages: pl.DataFrame
    judges: pl.DataFrame
    failures: pl.DataFrame
    runs: pl.DataFrame
    quarantine: pl.DataFrame
    sources: pl.DataFrame
    forgotten: pl.DataFrame
    warnings: tuple[str, ...] = ()

    @property
    def reconciles(self) -> bool:
        return bool(self.stages["reconciles"].all())


def read_status(lake: Lake) -> Status:
    """Read what is in the lake, and what its runs did."""
    return Status(
        snapshot=lake.snapshot(),
        tables=lake.frame(read_query("status_tables")),
        stages=lake.frame(read_query("status_stages")),
        judges=lake.frame(read_query("status_judges")),
        failures=lake.frame(read_query("judge_failures")),
        runs=lake.frame(read_query("status_runs")),
        quarantine=lake.frame(read_query("quarantine_reasons")),
        sources=lake.frame(read_query("status_sources")),
        forgotten=lake.frame(read_query("status_forgotten")),
        warnings=(
            *(sentence for (sentence,) in lake.rows(read_query("doubts"))),
            *_list_undone(lake),
        ),
    )


def _list_undone(lake: Lake) -> list[str]:
    """List what killed commands of `forget` and `ingest --replace` have left to do."""
    unfinished = lake.rows(
        "SELECT min(part) FROM runs WHERE stage = 'forget' GROUP BY run_id HAVING NOT bool_or(status = 'done')"
    )
    replaced = lake.rows("SELECT DISTINCT part FROM prompts WHERE starts_with(part, 'replaced ') ORDER BY 1")
    return [f"forgetting {part} was cut off: run `curate forget` to finish it" for (part,) in unfinished] + [
        f"replacing {part.removeprefix('replaced ')} was cut off: run `curate ingest --replace` again"
        for (part,) in replaced
    ]
