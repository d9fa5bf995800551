"""JSON that a model said: the whole answer, or one fenced block of it; never fished out of prose."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from curate.engine.base import Failure

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n\s*```\s*\Z", re.DOTALL)


def parse_json_object(text: str) -> dict[str, Any] | Failure:
    """The object that `text` is, or a Failure that keeps the text."""
    fenced = _FENCE.match(text)
    try:
        found = msgspec.json.decode(fenced[1] if fenced else text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        return Failure(f"not JSON: {error}", text)
    if not isinstance(found, dict):
        return Failure("not a JSON object", text)
    return found
