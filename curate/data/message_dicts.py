"""Messages as dictionaries: for chat templates, TRL and OpenAI's API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from curate.data.normal_form import normalize_arguments
from curate.records import Message

_LONG_INTEGERS = re.compile(r"-\d{19}|\d{20}")  # which readers of 64 bits refuse, or round


def build_dicts(messages: Iterable[Message], *, parse_arguments: bool = True) -> list[dict[str, Any]]:
    """Return messages as chat templates, TRL and OpenAI's API read them.

    Content is text where a message holds text alone, else a list of parts. `read_messages` reads them back.

    Args:
        messages: The messages.
        parse_arguments: Arguments are objects, which chat templates need; else JSON text, as in OpenAI's API.
    """
    return [_build_dict(message, parse_arguments=parse_arguments) for message in messages]


def _build_dict(message: Message, *, parse_arguments: bool) -> dict[str, Any]:
    built: dict[str, Any] = {"role": message.role}
    only_text = len(message.content) == 1 and message.content[0].type == "text"
    if only_text:
        built["content"] = message.content[0].text
    else:
        built["content"] = [part.model_dump(exclude_none=True) for part in message.content] or ""
    if message.reasoning is not None:
        built["reasoning_content"] = message.reasoning
    if message.tool_calls:
        built["tool_calls"] = build_calls(message, parse_arguments=parse_arguments)
    for name in ("tool_call_id", "name", "is_target"):
        if getattr(message, name) is not None:
            built[name] = getattr(message, name)
    return built


def build_calls(message: Message, *, parse_arguments: bool = True) -> list[dict[str, Any]]:
    """Return the calls of a message in OpenAI's form; `parse_arguments`: as objects rather than JSON text."""
    return [
        {
            **({} if call.id is None else {"id": call.id}),
            "type": "function",
            "function": {
                "name": call.name,
                "arguments": _parse_object(call.arguments) if parse_arguments else call.arguments,
            },
        }
        for call in message.tool_calls
    ]


def _parse_object(arguments: str) -> Any:
    """Parse the arguments of a call where they are an object and nothing is lost by it, in any reader of JSON."""
    try:
        parsed = json.loads(arguments)
        is_same = isinstance(parsed, dict) and normalize_arguments(parsed) == arguments
        json.dumps(parsed, allow_nan=False)
    except (ValueError, RecursionError):
        return arguments
    return parsed if is_same and not _LONG_INTEGERS.search(arguments) else arguments


def parse_tools(tools: str | None) -> list[dict[str, Any]] | None:
    """Return the tools of a prompt as objects, for chat templates."""
    return None if tools is None else json.loads(tools)
