"""JSON in a model's output: the whole text or one fenced block; JSON between other words is not accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.core.json_text import JsonError, parse_json, unwrap_fence
from curate.engine.base import Failure


def parse_json_object(text: str) -> dict[str, Any] | Failure:
    """Parse a text as a JSON object, or return a Failure that keeps the text."""
    try:
        value = parse_json(unwrap_fence(text, closing_line=True))
    except JsonError as error:
        return Failure(f"not JSON: {error}", text)
    if not isinstance(value, dict):
        return Failure("not a JSON object", text)
    return value


def build_object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an object that has just these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
