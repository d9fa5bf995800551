"""JSON in a model's output: the whole text or one fenced block; JSON between other words is not accepted."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from curate.engine.base import Failure

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n\s*```\s*\Z", re.DOTALL)


def parse_json_object(text: str) -> dict[str, Any] | Failure:
    """Parse a text as a JSON object, or return a Failure that keeps the text."""
    fenced = _FENCE.match(text)
    try:
        value = msgspec.json.decode(fenced[1] if fenced else text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        return Failure(f"not JSON: {error}", text)
    if not isinstance(value, dict):
        return Failure("not a JSON object", text)
    return value
