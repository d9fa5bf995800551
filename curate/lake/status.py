"""The content of the lake, the fate of every row, and the last runs."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curate.core.resources import read_query
from curate.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Status:
    """One frame each, as the queries `status_*` give them.

    `failures`: why judgments failed, by judge; `warnings`: what the aggregation says against its own labels.
    """

    snapshot: int
    tables: pl.DataFrame
    stages: pl.DataFrame
    judges: pl.DataFrame
    failures: pl.DataFrame
    runs: pl.DataFrame
    quarantine: pl.DataFrame
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
        warnings=tuple(sentence for (sentence,) in lake.rows(read_query("doubts"))),
    )
