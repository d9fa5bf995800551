"""Messages as a model's own chat template reads them, and as text where the template has no words for them.

A template that never mentions calls of tools, reasoning or tools would leave them out without a word. What it does not
know is therefore written into the text of the message, as `curate.data.conversation.render_message` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from curate.data.conversation import build_calls, escape_content, parse_tools, render_extras, render_message
from curate.engine.base import Chat
from curate.records import Message

Turn = dict[str, Any]
Mark = Callable[[str], str]
"""Marks control strings in a text."""

_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")


class TemplateTurns:
    """Converts chats for one chat template.

    Args:
        template: Source of the template; "" where the tokenizer has none.
        join: Joins two contents, of which either may be a text.
    """

    def __init__(self, template: str, join: Callable[[Any, Any], Any]) -> None:
        self._join = join
        self._knows_calls = "tool_calls" in template
        self._knows_results = "tool" in template
        self._knows_developer = "developer" in template
        self._knows_tools = "tools" in template
        self._reasoning_key = next((key for key in _REASONING_KEYS if key in template), None)

    def build_turns(self, chat: Chat, mark: Mark, build_content: Callable[[Message], Any]) -> list[Turn]:
        """Return the turns as the template reads them.

        Args:
            chat: The messages.
            mark: Marks control strings in what stands beside contents.
            build_content: Returns the content of a message, marked.
        """
        return [self._build_turn(message, mark, build_content) for message in chat]

    def add_tools(
        self, tools: str | None, turns: Sequence[Turn], mark: Mark
    ) -> tuple[list[Any] | None, list[Turn]]:
        """Return the argument `tools` of the template, and the turns.

        Where the template takes no tools, they stand in the text of a system turn.

        Args:
            tools: JSON text of the tools, or None.
            turns: The turns.
            mark: Marks control strings.
        """
        if tools is None:
            return None, list(turns)
        if self._knows_tools:
            return _mark_texts(parse_tools(tools), mark), list(turns)
        text = f"You may call these tools:\n\n{mark(tools)}"
        if turns and turns[0]["role"] == "system":
            return None, [{**turns[0], "content": self._join(turns[0]["content"], text)}, *turns[1:]]
        return None, [{"role": "system", "content": text}, *turns]

    def _build_turn(self, message: Message, mark: Mark, build_content: Callable[[Message], Any]) -> Turn:
        if message.role == "tool" and not self._knows_results:
            return {"role": "user", "content": mark(render_message(message))}
        role = "system" if message.role == "developer" and not self._knows_developer else message.role
        says_calls = bool(message.tool_calls) and not self._knows_calls
        says_reasoning = message.reasoning is not None and self._reasoning_key is None
        content = build_content(escape_content(message) if says_calls or says_reasoning else message)
        reasoning, calls = render_extras(message)
        if says_reasoning:
            content = self._join(mark(reasoning), content)
        if says_calls:
            content = self._join(content, mark(calls)) if content else mark(calls)
        turn: Turn = {"role": role, "content": content}
        if message.reasoning is not None and self._reasoning_key is not None:
            turn[self._reasoning_key] = mark(message.reasoning)
        if message.tool_calls and self._knows_calls:
            turn["tool_calls"] = _mark_texts(build_calls(message), mark)
        if message.tool_call_id is not None:
            turn["tool_call_id"] = mark(message.tool_call_id)
        if message.name is not None:
            turn["name"] = mark(message.name)
        return turn


def _mark_texts(value: Any, mark: Mark) -> Any:
    """Return a JSON value in which every text has gone through `mark`."""
    if isinstance(value, str):
        return mark(value)
    if isinstance(value, list):
        return [_mark_texts(item, mark) for item in value]
    if isinstance(value, dict):
        return {mark(name): _mark_texts(item, mark) for name, item in value.items()}
    return value
