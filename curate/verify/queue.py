"""The queue: what is planned to be asked (table `verify_tasks`), with what people must see to answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.records import Message, Part, VerifyTask, arrow_schema
from curate.verify.forms import TaskItem


def read_queue(lake: Lake) -> list[tuple[VerifyTask, int]]:
    """Every task with the number of people who have answered it, the most important first."""
    found = lake.arrow(read_query("verify_queue")).to_pylist()
    return [(VerifyTask.model_validate(row), people) for row in found for people in (row.pop("people"),)]


def read_task_items(lake: Lake, tasks: Sequence[VerifyTask], *, chunk: int = 1000) -> Iterator[TaskItem]:
    """The tasks with their texts; one whose prompt or responses are not in the lake comes without those."""
    schema = arrow_schema(VerifyTask)
    for start in range(0, len(tasks), chunk):
        some = tasks[start : start + chunk]
        wanted = pa.Table.from_pylist([task.model_dump() for task in some], schema=schema)
        with lake.bind("wanted", wanted):
            found = {row[0]: row[1:] for row in lake.rows(read_query("verify_contents"))}
        for task in some:
            messages, meta, ids, contents = found.get(task.task_id, ([], None, [], []))
            yield TaskItem(
                task,
                tuple(Message.model_validate(message) for message in messages),
                {
                    identity: tuple(Part.model_validate(part) for part in content)
                    for identity, content in zip(ids, contents, strict=True)
                },
                *_read_prompt_meta(meta),
            )


def _read_prompt_meta(meta: str | None) -> tuple[str | None, tuple[str, ...]]:
    """The category of a prompt and the criteria of its own, which its `meta` may name."""
    found: Any = json.loads(meta) if meta else None
    if not isinstance(found, dict):
        return None, ()
    category, criteria = found.get("category"), found.get("criteria")
    told = [each.strip() for each in criteria if isinstance(each, str)] if isinstance(criteria, list) else []
    return category if isinstance(category, str) else None, tuple(dict.fromkeys(filter(None, told)))
