"""Rows to take in, and what must hold of the lake afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from curate.lake.lake import Lake
from curate.lake.runs import Summary

Take = Callable[..., Summary]


def native(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A sound row; `changes` replace keys, and None as a change takes a key away."""
    row = {
        "id": f"q{number}",
        "prompt": f"What is {number} plus {number}?",
        "responses": [{"id": f"r{k}", "model": f"m{k}", "text": f"It is {2 * number + k}."} for k in (0, 1)],
    } | changes
    return {name: value for name, value in row.items() if value is not None}


def lines(*rows: Any) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def rejected(lake: Lake) -> list[tuple[int, str]]:
    return lake.rows("SELECT line, reason FROM quarantine ORDER BY line")


def assert_reconciled(lake: Lake) -> None:
    """Every chunk's counts add up, and the tables hold what the run records say."""
    rows = lake.rows(
        "SELECT rows_in, rows_kept, rows_duplicate, rows_dropped FROM runs WHERE stage = 'ingest'"
    )
    assert all(row[0] == sum(row[1:]) for row in rows)
    assert sum(row[3] for row in rows) == lake.value("SELECT count(*) FROM quarantine")
