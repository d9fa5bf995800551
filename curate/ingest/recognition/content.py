"""The content of columns: text or messages, numbers, lists, JSON in cells, or a few words that come again and again."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from curate.core.json_text import is_too_deep
from curate.data.preference_rows import is_transcript

Content = Literal[
    "text", "identifier", "transcript", "chatml", "messages", "message", "number", "flag", "texts", "numbers",
    "objects", "conversations", "object", "json", "mixed", "empty",
]  # fmt: skip
"""`identifier`: a key or path of one word; `json`: text that is JSON of messages, of a list or of an object;
`conversations`: a list of lists of messages."""

_IDENTIFIER = re.compile(r"(?=.*[\d_|/])[\w.|/:#@-]{6,}")  # one word with digits or slashes, and no sentence
_MOST_VALUES = 12  # that a column of verdicts has
_LONGEST_VALUE = 40  # characters


@dataclass(frozen=True, slots=True)
class Column:
    """Content of a column in the sampled rows.

    Attributes:
        name: Its name.
        content: What most of its values are; of `json`, see `inner`.
        filled: Share of the rows that have a value.
        length: Mean number of characters of texts.
        words: Mean number of words of texts.
        values: The different values as they are, where they are few and short.
        inner: What the JSON text in the cells is.
    """

    name: str
    content: Content
    filled: float
    length: float = 0.0
    words: float = 0.0
    values: tuple[object, ...] | None = None
    inner: Content | None = None

    @property
    def is_prose(self) -> bool:
        """Tell whether it can hold what somebody asked or answered."""
        return self.content in ("text", "transcript", "chatml", "messages", "message") or self.inner in (
            "messages",
            "message",
            "texts",
        )


def profile_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """Profile every column of sampled rows; columns without any value are left out."""
    names = dict.fromkeys(name for row in rows for name in row)
    profiles = (profile_values(name, [row.get(name) for row in rows]) for name in names)
    return {column.name: column for column in profiles if column.content != "empty"}


def profile_values(name: str, values: Sequence[object]) -> Column:
    """Profile the values of one column."""
    filled = [value for value in values if value is not None and value not in ("", [], {})]
    if not filled:
        return Column(name, "empty", 0.0)
    kinds = Counter(map(classify_value, filled))
    content, count = kinds.most_common(1)[0]
    if count < 0.8 * len(filled):
        texts_only = {"text", "identifier", "number", "flag", "transcript", "chatml"}
        content = "text" if set(kinds) <= texts_only else "mixed"
    inner: Content | None = None
    if content == "json":
        inner = Counter(classify_value(_parse_cell(value)) for value in filled).most_common(1)[0][0]
    texts = [value for value in filled if isinstance(value, str)]
    scalars = [value for value in filled if isinstance(value, str | int | float)]
    different = list({repr(value): value for value in scalars}.values())
    few = (
        len(scalars) == len(filled)
        and len(different) <= _MOST_VALUES
        and all(len(str(value)) <= _LONGEST_VALUE for value in different)
    )
    return Column(
        name,
        content,
        len(filled) / len(values),
        sum(map(len, texts)) / max(len(texts), 1),
        sum(len(text.split()) for text in texts) / max(len(texts), 1),
        tuple(different) if few else None,
        inner,
    )


def classify_value(value: object) -> Content:
    """Say what a value is."""
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return _classify_text(value)
    if isinstance(value, Mapping):
        return "message" if is_message(value) else "object"
    if isinstance(value, list):
        items = [item for item in value if item is not None]
        if not items:
            return "empty"
        if all(map(is_message, items)):
            return "messages"
        if all(isinstance(item, str) for item in items):
            return "texts"
        if all(isinstance(item, int | float) for item in items):
            return "numbers"
        if all(isinstance(item, Mapping) for item in items):
            return "objects"
        if all(isinstance(item, list) and item and all(map(is_message, item)) for item in items):
            return "conversations"
    return "mixed"


def is_message(value: object) -> bool:
    """Tell whether a value is a message with a role, in any of the usual forms."""
    return isinstance(value, Mapping) and any(
        isinstance(value.get(role), str) and content in value
        for role, content in (
            ("role", "content"),
            ("from", "value"),
            ("role", "parts"),
            ("role", "value"),
            ("from", "content"),
        )
    )


def classify_json(text: str) -> Content | None:
    """Say what the JSON of a text is, or None where it is no JSON of lists or objects."""
    return classify_value(_parse_cell(text)) if _classify_text(text) == "json" else None


def _classify_text(text: str) -> Content:
    if text[:1] in "[{" and text.strip()[-1:] in ("]", "}"):
        parsed = _parse_cell(text)
        if isinstance(parsed, dict | list) and parsed:
            return "json"
    if is_transcript(text):
        return "transcript"
    if "<|im_start|>" in text:
        return "chatml"
    stripped = text.strip()
    if stripped.lower() in ("true", "false"):
        return "flag"
    try:
        number = float(stripped)
    except ValueError:
        return "identifier" if _IDENTIFIER.fullmatch(text) else "text"
    return "number" if math.isfinite(number) else "text"


def _parse_cell(value: object) -> Any:
    if not isinstance(value, str) or is_too_deep(value):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def list_keys(values: Sequence[object], *, depth: int = 4) -> list[str]:
    """List the keys of objects in values, and of the objects in these, also where a cell holds them as JSON text."""
    keys: dict[str, None] = {}
    for value in values:
        inside = _parse_cell(value) if isinstance(value, str) else value
        if isinstance(inside, Mapping):
            keys |= dict.fromkeys(map(str, inside))
            inside = list(inside.values())
        if isinstance(inside, list) and depth > 1:
            keys |= dict.fromkeys(
                list_keys([item for item in inside if isinstance(item, Mapping | list)], depth=depth - 1)
            )
    return list(keys)
