"""The normal form of what messages hold (see `curate.data.conversation`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from curate.records import Part, text_parts


class UnreadableMessageError(Exception):
    """A value that is no conversation: `kind` is what rows are counted by, `reason` a sentence with the place."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def normalize_content(parts: Sequence[Part], *, alone: bool) -> tuple[Part, ...]:
    """Return the content of a message in normal form; `alone`: the message has neither reasoning nor calls."""
    if not alone and len(parts) == 1 and parts[0].type == "text" and not parts[0].text:
        return ()
    return tuple(parts) if parts or not alone else text_parts("")


def normalize_arguments(value: object) -> str:
    """Return the arguments of a call as JSON text: an object compact and with sorted keys, other text as it is."""
    if value is None:
        return "{}"
    if isinstance(value, str):
        try:
            parsed = json.loads(value, object_pairs_hook=_refuse_repeated_keys)
        except (ValueError, RecursionError):
            return value
        if not isinstance(parsed, dict):
            return value
        value = parsed
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a key is there twice")
    return unique


def normalize_tools(value: object, place: str = "tools") -> str | None:
    """Return the tools of a prompt as JSON text of an array, with the order of keys as it is; None without tools.

    Args:
        value: An array of JSON Schemas, objects or their JSON text, or JSON text of the array.
        place: Where the value stands, for error messages.

    Raises:
        UnreadableMessageError: The value is something else.
    """
    parsed = _parse_json(value, place)
    if parsed in (None, "", [], {}):
        return None
    tools = [_parse_json(tool, place) for tool in (parsed if isinstance(parsed, list) else [parsed])]
    if not all(isinstance(tool, Mapping) for tool in tools):
        raise UnreadableMessageError("wrong type", f"`{place}` should be an array of JSON Schemas of tools.")
    return json.dumps(tools, ensure_ascii=False, separators=(",", ":"))


def _parse_json(value: object, place: str) -> Any:
    if not isinstance(value, str) or not value:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise UnreadableMessageError("broken JSON", f"`{place}` is text, but not valid JSON.") from None
