"""The queue of planned questions (table `verify_tasks`), with the texts that people must see to answer them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from curate.core.json_text import JsonError, parse_json
from curate.core.resources import read_query
from curate.data.conversation import load_messages
from curate.lake.lake import Lake
from curate.records import VerifyTask, arrow_schema
from curate.verify.forms import TaskItem


def read_queue(lake: Lake) -> list[tuple[VerifyTask, int]]:
    """Read every task with the number of people who have answered it, the most important first."""
    rows = lake.arrow(read_query("verify_queue")).to_pylist()
    return [(VerifyTask.model_validate(row), people) for row in rows for people in (row.pop("people"),)]


def read_task_items(lake: Lake, tasks: Sequence[VerifyTask], *, chunk: int = 1000) -> Iterator[TaskItem]:
    """Yield the tasks with their texts; a task whose prompt or responses are not in the lake comes without them.

    Args:
        lake: The project's lake.
        tasks: Tasks of the queue.
        chunk: Number of tasks whose texts are read at once.
    """
    schema = arrow_schema(VerifyTask)
    for start in range(0, len(tasks), chunk):
        batch = tasks[start : start + chunk]
        wanted = pa.Table.from_pylist([task.model_dump() for task in batch], schema=schema)
        with lake.bind("wanted", wanted):
            texts = {row[0]: row[1:] for row in lake.rows(read_query("verify_contents"))}
        for task in batch:
            messages, meta, ids, answers = texts.get(task.task_id, ([], None, [], []))
            yield TaskItem(
                task,
                load_messages(messages),
                {identity: load_messages(answer) for identity, answer in zip(ids, answers, strict=True)},
                *_read_prompt_meta(meta),
            )


def _read_prompt_meta(meta: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Read the category and the own criteria of a prompt, which its `meta` may name."""
    try:
        document: Any = parse_json(meta) if meta else None
    except JsonError:  # nested too deeply: it names nothing that we could find
        document = None
    if not isinstance(document, dict):
        return None, ()
    category, criteria = document.get("category"), document.get("criteria")
    texts = [text.strip() for text in criteria if isinstance(text, str)] if isinstance(criteria, list) else []
    return category if isinstance(category, str) else None, tuple(dict.fromkeys(filter(None, texts)))
