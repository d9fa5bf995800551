"""Messages as a model's own chat template reads them, and a count of what it leaves out.

A model is given exactly what Transformers, TRL and vLLM give it: the rendering of its own chat template. A template
without words for calls of tools, reasoning or tools leaves them out, and nobody says so; here they are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from curate.data.conversation import build_calls, parse_tools
from curate.engine.base import Chat
from curate.engine.template_words import TemplateWords, Turn
from curate.records import Message

Mark = Callable[[str], str]
"""Marks control strings in a text."""


class TemplateTurns:
    """Converts chats for one chat template.

    Args:
        words: What the template prints.

    Attributes:
        left_out: Number of messages of which the template left something out, by what it is.
    """

    def __init__(self, words: TemplateWords) -> None:
        self._words = words
        self.left_out = Counter[str]()

    def build_turns(self, chat: Chat, mark: Mark, build_content: Callable[[Message], Any]) -> list[Turn]:
        """Return the turns as the template reads them.

        Args:
            chat: The messages.
            mark: Marks control strings in what stands beside contents.
            build_content: Returns the content of a message, marked.
        """
        return [self._build_turn(message, mark, build_content) for message in chat]

    def build_tools(self, tools: str | None, mark: Mark) -> list[Any] | None:
        """Return the argument `tools` of the template; `tools` is JSON text."""
        if tools is None:
            return None
        if not self._words.tools:
            self.left_out["tools of a prompt"] += 1
        return [_mark_texts(tool, mark) for tool in parse_tools(tools) or ()]

    def _build_turn(self, message: Message, mark: Mark, build_content: Callable[[Message], Any]) -> Turn:
        words = self._words
        role = "system" if message.role == "developer" and not words.developer else message.role
        turn: Turn = {"role": role, "content": build_content(message)}
        if message.reasoning is not None:
            turn[words.reasoning_key or "reasoning_content"] = mark(message.reasoning)
        if message.tool_calls:
            calls = build_calls(message, parse_arguments=not words.text_arguments)
            turn["tool_calls"] = [_mark_texts(call, mark) for call in calls]
        if message.tool_call_id is not None:
            turn["tool_call_id"] = mark(message.tool_call_id)
        if message.name is not None:
            turn["name"] = mark(message.name)
        self._count_left_out(message)
        return turn

    def _count_left_out(self, message: Message) -> None:
        words = self._words
        has_calls, has_text = bool(message.tool_calls), any(part.text for part in message.content)
        for is_left_out, what in (
            (message.reasoning is not None and words.reasoning_key is None, "reasoning"),
            (has_calls and not words.calls, "calls of tools"),
            (has_calls and words.calls and has_text and not words.text_beside_calls, "text beside calls"),
            (message.role == "tool" and not words.results, "results of tools"),
        ):
            self.left_out[what] += is_left_out


def describe_left_out(left_out: Counter[str]) -> str:
    """Return words about what a chat template left out; "" where it printed everything."""
    kinds = ", ".join(f"{what} of {number:,} messages" for what, number in sorted(left_out.items()) if number)
    return f"the chat template left out {kinds}" if kinds else ""


def _mark_texts(value: Any, mark: Mark) -> Any:
    """Return a JSON value in which every text has gone through `mark`."""
    if isinstance(value, str):
        return mark(value)
    if isinstance(value, list):
        return [_mark_texts(item, mark) for item in value]
    if isinstance(value, dict):
        return {mark(name): _mark_texts(item, mark) for name, item in value.items()}
    return value
