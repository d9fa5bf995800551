"""Messages as a model's own chat template reads them, and as text where the template has no words for them.

A template that prints no calls of tools, reasoning or tools would leave them out without a word. What it does not print
is therefore written into the text of the message, as `curate.data.conversation.render_message` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from curate.data.conversation import build_calls, escape_content, parse_tools, render_extras, render_message
from curate.engine.base import Chat
from curate.engine.template_words import TemplateWords, Turn
from curate.records import Message

Mark = Callable[[str], str]
"""Marks control strings in a text."""


class TemplateTurns:
    """Converts chats for one chat template.

    Args:
        words: What the template prints.
        join: Joins two contents, of which either may be a text.
    """

    def __init__(self, words: TemplateWords, join: Callable[[Any, Any], Any]) -> None:
        self._words = words
        self._join = join

    def build_turns(self, chat: Chat, mark: Mark, build_content: Callable[[Message], Any]) -> list[Turn]:
        """Return the turns as the template reads them.

        Args:
            chat: The messages.
            mark: Marks control strings in what stands beside contents.
            build_content: Returns the content of a message, marked.
        """
        return [turn for message in chat for turn in self._build_message(message, mark, build_content)]

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
        if self._words.tools:
            return _mark_texts(parse_tools(tools), mark), list(turns)
        text = f"You may call these tools:\n\n{mark(tools)}"
        if turns and turns[0]["role"] == "system":
            return None, [{**turns[0], "content": self._join(turns[0]["content"], text)}, *turns[1:]]
        return None, [{"role": "system", "content": text}, *turns]

    def _build_message(
        self, message: Message, mark: Mark, build_content: Callable[[Message], Any]
    ) -> list[Turn]:
        """Return the turn of a message; two where the template would not print its text beside its calls."""
        words = self._words
        is_printed = words.text_beside_calls or not words.calls
        if is_printed or not (message.tool_calls and message.content):
            return [self._build_turn(message, mark, build_content)]
        text, calls = (
            message.model_copy(update={"tool_calls": ()}),
            message.model_copy(update={"content": (), "reasoning": None}),
        )
        return [self._build_turn(part, mark, build_content) for part in (text, calls)]

    def _build_turn(self, message: Message, mark: Mark, build_content: Callable[[Message], Any]) -> Turn:
        words = self._words
        if message.role == "tool" and not words.results:
            return {"role": "user", "content": mark(render_message(message))}
        role = "system" if message.role == "developer" and not words.developer else message.role
        says_calls = bool(message.tool_calls) and not words.calls
        says_reasoning = message.reasoning is not None and words.reasoning_key is None
        content = build_content(escape_content(message) if says_calls or says_reasoning else message)
        reasoning, calls = render_extras(message)
        if says_reasoning:
            content = self._join(mark(reasoning), content) if content else mark(reasoning)
        if says_calls:
            content = self._join(content, mark(calls)) if content else mark(calls)
        turn: Turn = {"role": role, "content": content}
        if message.reasoning is not None and words.reasoning_key is not None:
            turn[words.reasoning_key] = mark(message.reasoning)
        if message.tool_calls and words.calls:
            turn["tool_calls"] = _mark_texts(
                build_calls(message, parse_arguments=not words.text_arguments), mark
            )
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
