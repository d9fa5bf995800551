"""The queue: what is planned to be asked (table `verify_tasks`), with what people must see to answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from curate.lake import Lake
from curate.records import Message, Part, VerifyTask, arrow_schema
from curate.resources import sql
from curate.verify.forms import Item


def queue(lake: Lake) -> list[tuple[VerifyTask, int]]:
    """Every task with the number of people who have answered it, the most important first."""
    found = lake.arrow(sql("verify_queue")).to_pylist()
    return [(VerifyTask.model_validate(row), people) for row in found for people in (row.pop("people"),)]


def items(lake: Lake, tasks: Sequence[VerifyTask], *, chunk: int = 1000) -> Iterator[Item]:
    """The tasks with their texts; one whose prompt or responses are not in the lake comes without those."""
    schema = arrow_schema(VerifyTask)
    for start in range(0, len(tasks), chunk):
        some = tasks[start : start + chunk]
        wanted = pa.Table.from_pylist([task.model_dump() for task in some], schema=schema)
        with lake.bind("wanted", wanted):
            found = {row[0]: row[1:] for row in lake.rows(sql("verify_contents"))}
        for task in some:
            messages, meta, ids, contents = found.get(task.task_id, ([], None, [], []))
            yield Item(
                task,
                tuple(Message.model_validate(message) for message in messages),
                {
                    identity: tuple(Part.model_validate(part) for part in content)
                    for identity, content in zip(ids, contents, strict=True)
                },
                _category(meta),
            )


def _category(meta: str | None) -> str | None:
    found: Any = json.loads(meta) if meta else None
    category = found.get("category") if isinstance(found, dict) else None
    return category if isinstance(category, str) else None
