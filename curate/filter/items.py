"""The prompts and responses of a lake as filters read them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.core.resources import read_query
from curate.filter.base import Item, Items, Target
from curate.lake.lake import Lake


def open_items(lake: Lake, target: Target, dropped: pa.Table) -> Items:
    """Open what filters of a target read.

    Args:
        lake: The lake.
        target: Prompts, responses or pairs; pairs need the table of `curate.lake.aspects.collect_aspect_votes`.
        dropped: Ids (`item_id`) of prompts and responses that earlier filters left out.
    """
    query = read_query(f"filter_{target}s")
    with lake.bind("dropped_items", dropped):
        count = int(lake.value(f"SELECT count(*) FROM ({query})"))

    def read() -> Iterator[Item]:
        with lake.bind("dropped_items", dropped):
            for batch in lake.batches(query):
                yield from _read_batch(batch, target)

    return Items(read, count)


def _read_batch(batch: pa.RecordBatch, target: Target) -> Iterator[Item]:
    for row in batch.to_pylist():
        if target == "pair":
            yield Item(
                id=row["pair_id"],
                prompt_id=row["prompt_id"],
                text="",
                source=row["source"],
                category=row["category"],
                verdict=row["whole"],
                aspects=dict(zip(row["aspects"] or (), row["verdicts"] or (), strict=True)),
                votes=dict(zip(row["annotators"] or (), row["votes"] or (), strict=True)),
                models=(row["model_a"], row["model_b"]),
            )
        elif target == "prompt":
            yield Item(
                id=row["prompt_id"],
                prompt_id=row["prompt_id"],
                text=row["text"] or "",
                source=row["source"],
                category=row["category"],
                history=row["history"] or "",
                context=row["context"],
            )
        else:
            yield Item(
                id=row["response_id"],
                prompt_id=row["prompt_id"],
                text=row["text"] or "",
                source=row["source"],
                model=row["model"],
                category=row["category"],
            )
