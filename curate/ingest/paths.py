"""Paths into a row: names of objects, places in lists, `[*]` for all items, and into JSON that a cell holds as text."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from curate.ingest.rejection import RowError
from curate.ingest.storable import check_storable

_INDEX = re.compile(r"\[(\*|-?\d+)\]")
ABSENT = object()
"""What a path leads to where the row has no such place; null is a place that is there."""


@lru_cache(maxsize=4096)
def _split_path(path: str) -> tuple[str, ...]:
    return tuple(_INDEX.sub(r".\1", path).lstrip(".").split("."))


def find_value(row: Any, path: str | None) -> Any:
    """Return the value at a path, or None where there is none. A key that itself has dots comes first.

    >>> find_value({"a": [{"b": 1}, {"b": 2}]}, "a[*].b"), find_value({"a": '{"b": [5]}'}, "a.b.0")
    ([1, 2], 5)
    """
    if path is None:
        return None
    value = locate_value(row, path)
    return None if value is ABSENT else value


def locate_value(row: Any, path: str | None) -> Any:
    """Return the value at a path, or ABSENT."""
    if path is None:
        return ABSENT
    if path == ".":
        return row
    if isinstance(row, dict):  # nearly always, and quicker to tell than a mapping
        value = row.get(path, ABSENT)
        if value is not ABSENT or path.isidentifier():
            return value
    elif isinstance(row, Mapping) and path in row:
        return row[path]
    return _follow(row, _split_path(path))


def _follow(value: Any, steps: tuple[str, ...]) -> Any:
    if not steps:
        return value
    if isinstance(value, str):
        value = open_json(value)
    if isinstance(value, (dict, Mapping)):  # a dictionary is told from a mapping much quicker
        for end in range(len(steps), 0, -1):
            name = ".".join(steps[:end]) if end > 1 else steps[0]
            if name in value:
                return _follow(value[name], steps[end:])
        return ABSENT
    if isinstance(value, list):
        if steps[0] == "*":
            inside = [_follow(item, steps[1:]) for item in value]
            return [item for item in inside if item is not ABSENT]
        with contextlib.suppress(ValueError, IndexError):
            return _follow(value[int(steps[0])], steps[1:])
    return ABSENT


def get_column(path: str, columns: frozenset[str] | None = None) -> str:
    """Return the column that a path starts at: the path itself where a column has its dots in the name."""
    if columns is not None and path in columns:
        return path
    steps = _split_path(path)
    if columns is not None:
        for end in range(len(steps), 0, -1):
            if ".".join(steps[:end]) in columns:
                return ".".join(steps[:end])
    return steps[0]


def find_list(row: Any, path: str | None) -> Any:
    """Return the value at a path where a list is wanted: text that is JSON is what it stands for."""
    return open_json(find_value(row, path), path)


def open_json(value: Any, place: str | None = None) -> Any:
    """Return what text that is a JSON array or object stands for, and any other value as it is.

    Args:
        value: Of a row.
        place: Its path, for error messages.

    Raises:
        RowError: The JSON holds characters that cannot be stored.
    """
    if not isinstance(value, str):
        return value
    parsed = parse_json_text(value)
    check_storable(parsed if place is None else {place: parsed})
    return parsed


def parse_json_text(text: str) -> Any:
    """Return what text that is a JSON array or object stands for; other text stays text."""
    if text.lstrip()[:1] not in ("[", "{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def parse_json_cell(value: str, place: str) -> Any:
    """Parse a cell that holds JSON, in which there may be characters that its text as such does not have."""
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        raise RowError("broken JSON", f"`{place}` is text, but not valid JSON.") from None
    check_storable({place: parsed})
    return parsed
