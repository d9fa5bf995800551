"""Nesting a stream of rows gives the same lists, however the stream is cut."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from curate.export.nesting import nest_rankings
from curate.export.rows import RankingRow
from curate.export.shards import cut_row_groups
from curate.records import arrow_schema

FLAT = pa.schema(
    [
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("response_id", pa.string()),
        ("model", pa.string()),
        ("text", pa.string()),
        ("rank", pa.int64()),
        ("score", pa.float64()),
        ("prompt_id", pa.string()),
        ("iteration", pa.int64()),
    ]
)


@given(sizes=st.lists(st.integers(1, 5), max_size=12), cut=st.integers(1, 20))
def test_rows_come_together_again(sizes: list[int], cut: int) -> None:
    expected = []
    flat = []
    for number, size in enumerate(sizes):
        prompt = [{"role": "user", "content": f"question {number}"}]
        responses = [{"response_id": f"{number}-{i}", "model": None, "text": "x" * i} for i in range(size)]
        ranks, scores = list(range(1, size + 1)), [-float(i) for i in range(size)]
        expected.append(
            {
                "prompt": prompt,
                "responses": responses,
                "rankings": ranks,
                "scores": scores,
                "prompt_id": str(number),
                "iteration": 0,
            }
        )
        flat += [
            {
                "prompt": prompt if i == 0 else None,
                **responses[i],
                "rank": ranks[i],
                "score": scores[i],
                "prompt_id": str(number),
                "iteration": 0,
            }
            for i in range(size)
        ]
    batches = pa.Table.from_pylist(flat, schema=FLAT).to_batches(max_chunksize=cut)
    groups = list(cut_row_groups(nest_rankings(batches), arrow_schema(RankingRow)))
    assert [row for group in groups for row in group.rows.to_pylist()] == expected
