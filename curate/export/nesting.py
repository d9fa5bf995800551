"""Nesting of one row per response into one row per prompt, in a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl
import pyarrow as pa


def nest_rankings(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Nest rows of `export_ranking.sql` into rows of the format `ranking` (columns as in `RankingRow`).

    The rows of a prompt come one after the other, but may go over several batches: the last prompt of a batch waits
    for the next one.
    """
    waiting: pl.DataFrame | None = None
    for batch in batches:
        rows = pl.DataFrame(pl.from_arrow(batch))
        if rows.is_empty():
            continue
        if waiting is not None:
            rows = pl.concat([waiting, rows])
        last = pl.col("prompt_id") == rows["prompt_id"][-1]
        waiting = rows.filter(last)
        yield from _nest_rows(rows.filter(~last))
    if waiting is not None:
        yield from _nest_rows(waiting)


def _nest_rows(rows: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    by_prompt = rows.group_by("prompt_id", maintain_order=True).agg(
        pl.col("prompt").first(),
        pl.struct("response_id", "model", "text").alias("responses"),
        pl.col("rank").alias("rankings"),
        pl.col("score").alias("scores"),
        pl.col("iteration").first(),
    )
    columns = ["prompt", "responses", "rankings", "scores", "prompt_id", "iteration"]
    yield from by_prompt.select(columns).to_arrow().to_batches()
