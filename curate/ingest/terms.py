"""The table `sources`: which inputs there are, and the licence and origin that curate.yaml states for each."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curate.ingest.inputs import Input
from curate.lake.lake import Lake
from curate.records import InputSource, arrow_schema


def register_inputs(lake: Lake, inputs: Sequence[Input], run_id: str) -> None:
    """Write the inputs whose row is missing or says something else; a licence may change without a row of data."""
    known = {
        part: (source, license, origin)
        for part, source, license, origin in lake.rows("SELECT part, source, license, origin FROM sources")
    }
    changed = [
        InputSource(
            part=item.part,
            source=item.name,
            license=item.source.license,
            origin=item.source.origin,
            run_id=run_id,
        )
        for item in inputs
        if known.get(item.part) != (item.name, item.source.license, item.source.origin)
    ]
    if not changed:
        return
    with lake.write(run_id) as writer:
        for row in changed:
            writer.delete("sources", "part = ?", [row.part])
        rows = pa.Table.from_pylist([row.model_dump() for row in changed], arrow_schema(InputSource))
        writer.append("sources", rows)
