"""What is in the lake, what became of every row, and what ran last."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curate.lake import Lake
from curate.resources import sql


@dataclass(frozen=True, slots=True)
class Status:
    """`tables`, `stages`, `runs`, `quarantine`: one frame each, as the queries `status_*` give them."""

    snapshot: int
    tables: pl.DataFrame
    stages: pl.DataFrame
    runs: pl.DataFrame
    quarantine: pl.DataFrame

    @property
    def reconciles(self) -> bool:
        return bool(self.stages["reconciles"].all())


def status(lake: Lake) -> Status:
    return Status(
        snapshot=lake.snapshot(),
        tables=lake.frame(sql("status_tables")),
        stages=lake.frame(sql("status_stages")),
        runs=lake.frame(sql("status_runs")),
        quarantine=lake.frame(sql("quarantine_reasons")),
    )
