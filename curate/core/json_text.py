"""JSON from people and models: parsed only where it is nested no deeper than parsers and their readers can go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

MAX_DEPTH = 100  # levels; every parser and validator that we use can walk so many
_FENCE = "```"
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


class JsonError(ValueError):
    """A text is no JSON that can be read; the message says why, and follows "is not JSON: "."""


def parse_json(text: str) -> Any:
    """Parse JSON, strictly: no NaN, nothing before or after it, at most `MAX_DEPTH` levels.

    Raises:
        JsonError: The text is no JSON, or is nested too deeply.
    """
    if is_too_deep(text):
        raise JsonError(f"it is nested deeper than {MAX_DEPTH} levels")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise JsonError(str(error)) from None
    except RecursionError:  # msgspec was called with hardly any room left on the stack
        raise JsonError("it is nested too deeply") from None


def is_too_deep(text: str) -> bool:
    """Tell whether brackets outside of strings are nested deeper than `MAX_DEPTH`, in linear time."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKENS.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif token[0] in "]}":
            depth -= 1
    return False


def unwrap_fence(text: str, *, closing_line: bool = False) -> str:
    """Return what stands in a fenced block (```json or ```) that is the whole text; any other text as it is.

    Args:
        text: The text.
        closing_line: The closing fence must stand on a line of its own.
    """
    stripped = text.strip()
    if len(stripped) < 2 * len(_FENCE) or not (stripped.startswith(_FENCE) and stripped.endswith(_FENCE)):
        return text
    opening, newline, body = stripped[len(_FENCE) : -len(_FENCE)].partition("\n")
    blanks = body[len(body.rstrip()) :]
    if not newline or opening.strip() not in ("", "json") or (closing_line and "\n" not in blanks):
        return text
    return body


def list_texts(value: object) -> Iterator[str]:
    """Yield all texts in a value as JSON has them, at any depth; keys are none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from list_texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from list_texts(part)
