"""A lake whose preferences and rankings are known: what `aggregate` would have written, row by row."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from curate.lake.lake import Lake
from curate.records import TABLES, arrow_schema

Aggregate = Callable[..., None]


def aggregated(lake: Lake, *, run_id: str = "run", iteration: int = 0) -> None:
    """Preferences and rankings by the truth of the sample: the lower the model's number the better."""
    responses = lake.rows("SELECT prompt_id, response_id, model FROM responses ORDER BY 1, 2")
    rows: dict[str, list[dict[str, object]]] = {"preferences": [], "rankings": [], "annotators": []}
    stamp = {"iteration": iteration, "run_id": run_id}
    for prompt, a, model in responses:
        number = int(model[-1])
        rows["rankings"].append(
            {"prompt_id": prompt, "response_id": a, "rank": number + 1, "score": -float(number), **stamp}
        )
        for other_prompt, b, other in responses:
            if other_prompt != prompt or b <= a:
                continue
            first, gap = model < other, abs(number - int(other[-1]))
            confidence = 0.5 + gap / 10
            rows["preferences"].append(
                {
                    "prompt_id": prompt,
                    "response_a": a,
                    "response_b": b,
                    "p_a": confidence if first else 1 - confidence,
                    "strength": float(gap if first else -gap),
                    "outcome": "a" if first else "b",
                    "status": "accepted",
                    "confidence": confidence,
                    "n_judgments": 6,
                    "dropped_weight": 0.0,
                    **stamp,
                }
            )
    for name, agreement in (("good", 0.95), ("fair", 0.75), ("random", 0.5)):
        rows["annotators"].append(
            {"annotator_id": name, "kind": "llm", "agreement": agreement, "n": 144, **stamp}
        )
    with lake.write(run_id) as writer:
        for table, records in rows.items():
            writer.delete(table, "iteration = ?", [iteration])
            writer.append(table, pa.Table.from_pylist(records, schema=arrow_schema(TABLES[table])))


@pytest.fixture
def aggregate() -> Aggregate:
    return aggregated


@pytest.fixture
def labelled_lake(sample_lake: Lake) -> Lake:
    """The sample lake, aggregated once: 72 pairs of 12 prompts."""
    aggregated(sample_lake)
    return sample_lake
