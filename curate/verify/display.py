r"""Prompts and responses as people see them: every character is text, and none can rearrange the page.

Responses are untrusted. The forms show them with tags that escape markup. Here, invisible characters that change how
their surroundings look are made visible: overrides and embeddings of the writing direction ("\u202e" makes the rest of
the line run backwards) and control characters. Each becomes one sign, so that positions in the text stay the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from curate.data.conversation import is_text, render_message, render_text
from curate.records import Message, Part

EMPTY = "(empty)"
_SIGN = "\ufffd"
_DIRECTIONS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS = (*(code for code in range(0x20) if chr(code) not in "\t\n"), *range(0x7F, 0xA0))
_VISIBLE = dict.fromkeys((*_DIRECTIONS, *_CONTROLS), _SIGN)


def reveal_characters(text: str) -> str:
    r"""Return the text with line ends as "\n" and a sign for each character that could hide or reorder other text."""
    return re.sub(r"\r\n?|\u2028|\u2029|\x85", "\n", text).translate(_VISIBLE)


def render_parts(parts: Iterable[Part]) -> str:
    """Render a message or response as text; images and videos by their address."""
    text = "\n".join(
        part.text or "" if part.type == "text" else f"[{part.type}: {part.uri or part.sha256}]"
        for part in parts
    )
    return reveal_characters(text) if text.strip() else EMPTY


def render_answer(messages: Sequence[Message]) -> str:
    """Render a response as text: reasoning, calls and results of a trajectory between tags."""
    text = render_text(messages)
    return reveal_characters(text) if text.strip() else EMPTY


def render_turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Render the turns of a prompt for a dialogue layout."""
    return [
        {
            "author": message.role,
            "text": render_parts(message.content)
            if is_text([message])
            else reveal_characters(render_message(message)),
        }
        for message in messages
    ]


def has_turns(messages: Sequence[Message]) -> bool:
    """Tell whether a response is more than one message without reasoning and calls."""
    return len(messages) != 1 or messages[0].reasoning is not None or bool(messages[0].tool_calls)


def render_steps(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Render a trajectory for a dialogue layout: what is thought, said, called and returned, one entry each."""
    return [
        {"author": reveal_characters(author), "text": reveal_characters(text) if text.strip() else EMPTY}
        for message in messages
        for author, text in _list_steps(message)
    ]


def split_steps(messages: Sequence[Message]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Split a trajectory into the steps that a form folds, and the last thing said, which it shows.

    Both have the layout of `render_steps` and are never empty.
    """
    steps = render_steps(messages)
    before, last = steps[:-1], steps[-1:]
    if messages and messages[-1].tool_calls:  # it ends with a call: nothing was said at the end
        before, last = steps, []
    return before or [{"author": "—", "text": "None."}], last or [
        {"author": "—", "text": "It says nothing more."}
    ]


def mark_branch(common: int) -> list[dict[str, str]]:
    """Mark where two trajectories part, after the turns that they have in common."""
    return [{"author": "—", "text": "The responses are the same up to here."}] if common else []


def _list_steps(message: Message) -> Iterator[tuple[str, str]]:
    if message.reasoning is not None:
        yield f"{message.role} thinks", message.reasoning
    if message.content or not (message.reasoning or message.tool_calls):
        author = f"result of {message.name}" if message.role == "tool" and message.name else message.role
        yield author, render_parts(message.content)
    for call in message.tool_calls:
        yield f"{message.role} calls {call.name}", _indent_arguments(call.arguments)


def _indent_arguments(arguments: str) -> str:
    """Return a JSON object as `name: value` lines; other text as it is."""
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    if not isinstance(parsed, dict):
        return arguments
    return "\n".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in parsed.items()
    )


def find_media_address(messages: Iterable[Message], kind: str) -> str:
    """Return the web address of the image or video of a response.

    Raises:
        ValueError: There is not exactly one, or it has no web address.
    """
    addresses = [part.uri for message in messages for part in message.content if part.type == kind]
    if len(addresses) != 1:
        raise ValueError(f"a response without exactly one {kind}")
    if urlsplit(addresses[0] or "").scheme not in ("http", "https"):
        raise ValueError(
            f"an {kind} without a web address" if kind == "image" else f"a {kind} without a web address"
        )
    return str(addresses[0])
