"""The memory of the guarantee in the lake: the tables `guarantee_tests` and `label_uses`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from curate.aggregate.encode import EncodedVotes
from curate.aggregate.guarantee_memory import GuaranteeMemory, TestedRevision
from curate.aggregate.votes import Int64
from curate.config.aggregate import AggregateSection
from curate.core.identity import content_id
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.records import TABLES, arrow_schema

MEMORY = ("guarantee_tests", "tested_labels", "label_uses")


def read_memory(
    lake: Lake, encoded: EncodedVotes, section: AggregateSection, *, iteration: int, share: float
) -> GuaranteeMemory:
    """Read what earlier looks at a label set have left.

    Args:
        lake: The lake.
        encoded: The votes, which number the responses.
        section: The settings, of which those of the guarantee say what is promised.
        iteration: Number of the label set.
        share: Share of delta that the label set may use, given how many label sets there are.
    """
    asked = section.guarantee
    scope = content_id(None if asked is None else asked.model_dump(mode="json"))
    rows = lake.rows(read_query("guarantee_test"), [iteration])
    if not rows:
        return GuaranteeMemory(scope=scope, share=share, start=_find_first_wealth(lake, iteration, share))
    revision, identity, old_share, wealth, remains, lead, looks, holds = rows[0]
    uses = lake.frame(read_query("label_uses"), [iteration])
    pairs = _number_pairs(encoded, uses)
    learnt = (uses["use"] == "learn").to_numpy()
    current = (uses["revision"] == revision).to_numpy() & ~learnt
    memory = GuaranteeMemory(
        scope=scope,
        revision=revision,
        identity=identity,
        labels=_read_labels(lake, encoded, iteration, revision),
        share=old_share,
        start=wealth,
        left=remains,
        looks=looks,
        learnt=np.sort(pairs[learnt]),
        tested=pairs[current],
        agrees=uses["agrees"].to_numpy()[current].astype(np.int8),
        used=np.sort(pairs[~learnt & ~current]),
        lead=lead,
        holds=holds,
    )
    return memory.limit_share(share)


def build_memory_tables(
    memory: GuaranteeMemory | None, encoded: EncodedVotes, stamp: Mapping[str, Any]
) -> dict[str, pa.Table]:
    """Build the rows of the current revision; none before the first.

    Args:
        memory: What to remember.
        encoded: The votes, which number the responses.
        stamp: Columns that are the same in every row: `iteration` and `run_id`.
    """
    if memory is None or memory.labels is None:
        return {name: pa.Table.from_pylist([], schema=arrow_schema(TABLES[name])) for name in MEMORY}
    errors = int((memory.agrees < 0).sum())
    test = {
        "revision": memory.revision,
        "identity": memory.identity,
        "share": memory.share,
        "wealth": memory.start,
        "remains": memory.left,
        "lead": memory.lead,
        "looks": memory.looks,
        "learnt": len(memory.learnt),
        "tested": len(memory.tested),
        "errors": errors,
        "holds": memory.holds,
    }
    n_learnt, n_tested = len(memory.learnt), len(memory.tested)
    uses = {
        **_name_pairs(encoded, np.concatenate([memory.learnt, memory.tested])),
        "use": pa.array(["learn"] * n_learnt + ["test"] * n_tested),
        "agrees": pa.array(np.concatenate([np.zeros(n_learnt, np.int64), memory.agrees.astype(np.int64)])),
        "place": pa.array(np.concatenate([np.arange(n_learnt), np.arange(n_tested)])),
    }
    labels = {
        **_name_pairs(encoded, memory.labels.pairs),
        "direction": pa.array(memory.labels.direction.astype(np.int64)),
        "p_a": pa.array(memory.labels.p_a),
        "stratum": pa.array(memory.labels.strata, pa.string()).take(pa.array(memory.labels.stratum)),
    }
    stamp = {"revision": memory.revision, **stamp}
    columns = {
        "guarantee_tests": {name: pa.array([value]) for name, value in test.items()},
        "tested_labels": labels,
        "label_uses": uses,
    }
    return {name: _stamp_rows(name, values, stamp) for name, values in columns.items()}


def _stamp_rows(name: str, columns: Mapping[str, pa.Array], stamp: Mapping[str, Any]) -> pa.Table:
    size = len(next(iter(columns.values())))
    whole = {**columns, **{key: pa.array([value] * size) for key, value in stamp.items()}}
    schema = arrow_schema(TABLES[name])
    return pa.Table.from_arrays([whole[field.name].cast(field.type) for field in schema], schema=schema)


def _name_pairs(encoded: EncodedVotes, pairs: Int64) -> dict[str, pa.Array]:
    width = max(encoded.votes.n_responses, 1)
    prompt = np.searchsorted(encoded.votes.offsets, pairs // width, side="right") - 1
    return {
        "prompt_id": encoded.prompt_ids.take(pa.array(prompt)),
        "response_a": encoded.response_ids.take(pa.array(pairs // width)),
        "response_b": encoded.response_ids.take(pa.array(pairs % width)),
    }


def _read_labels(lake: Lake, encoded: EncodedVotes, iteration: int, revision: int) -> TestedRevision | None:
    rows = lake.frame(read_query("tested_labels"), [iteration, revision])
    if not len(rows):
        return None
    pairs = _number_pairs(encoded, rows)
    order = np.argsort(pairs)
    strata, stratum = np.unique(rows["stratum"].to_numpy(), return_inverse=True)
    return TestedRevision(
        pairs=pairs[order],
        direction=rows["direction"].to_numpy()[order].astype(np.int8),
        p_a=rows["p_a"].to_numpy()[order],
        stratum=stratum[order].astype(np.int64),
        strata=tuple(str(name) for name in strata.tolist()),
    )


def _find_first_wealth(lake: Lake, iteration: int, share: float) -> float:
    """Find what a label set may start with: as much as label set 0 has, since the two share alike."""
    rows = lake.rows(read_query("guarantee_test"), [0]) if iteration else []
    left: list[float] = [
        wealth * (1.0 if identity else remains) for _, identity, _, wealth, remains, *_ in rows
    ]
    return min([share, *left])


def _number_pairs(encoded: EncodedVotes, uses: pl.DataFrame) -> Int64:
    width = max(encoded.votes.n_responses, 1)
    a, b = (
        pc.index_in(pa.array(uses[side].to_list(), pa.large_string()), value_set=encoded.response_ids)
        for side in ("response_a", "response_b")
    )
    result: Int64 = a.to_numpy().astype(np.int64) * width + b.to_numpy().astype(np.int64)
    return result
