"""Find out what a chat template has words for, by rendering marks through it.

That a template mentions a name says little: it may print calls and leave out the text beside them (Llama 3.1), or
mention `enable_thinking` and print no reasoning. What counts is whether a mark comes out again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Turn = dict[str, Any]
Render = Callable[[Sequence[Turn], "list[Any] | None"], str]
"""Renders turns and tools with a chat template."""

_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
_USER: Turn = {"role": "user", "content": "?"}


@dataclass(frozen=True, slots=True)
class TemplateWords:
    """The parts of a conversation that a chat template prints.

    Attributes:
        calls: Calls of tools.
        text_arguments: It reads the arguments of calls as JSON text rather than as an object.
        text_beside_calls: The text of a message that calls tools.
        results: Messages of the role `tool`.
        developer: Messages of the role `developer`.
        tools: The tools that may be called.
        reasoning_key: Key of a turn under which it reads reasoning, or None.
    """

    calls: bool = False
    text_arguments: bool = False
    text_beside_calls: bool = False
    results: bool = False
    developer: bool = False
    tools: bool = False
    reasoning_key: str | None = None


def probe_template(template: str, render: Render) -> TemplateWords:
    """Find out what a template prints.

    Args:
        template: Its source; "" where the tokenizer has none.
        render: Renders with the template, and raises what it likes.
    """

    def prints(words: Sequence[str], turns: Sequence[Turn], tools: list[Any] | None = None) -> bool:
        try:
            rendered = render(turns, tools)
        except Exception:  # a template says no in its own way
            return False
        return all(word in rendered for word in words)

    object_call = _build_call({"@key@": "@value@"})
    text_call = _build_call('{"@key@":"@value@"}')
    called = ("@call@", "@key@", "@value@")
    reads_object = "tool_calls" in template and prints(called, [_USER, _answer("", object_call), _RESULT])
    reads_text = "tool_calls" in template and prints(called, [_USER, _answer("", text_call), _RESULT])
    call = object_call if reads_object else text_call
    calls = reads_object or reads_text
    before_result = _answer("", call) if calls else _answer("!", None)
    return TemplateWords(
        calls=calls,
        text_arguments=calls and not reads_object,
        text_beside_calls=calls and prints(("@text@", *called), [_USER, _answer("@text@", call), _RESULT]),
        results=prints(["@result@"], [_USER, before_result, _RESULT]),
        developer=prints(["@developer@"], [{"role": "developer", "content": "@developer@"}, _USER]),
        tools="tools" in template and prints(["@tool@"], [_USER], [_TOOL]),
        reasoning_key=next(
            (
                key
                for key in _REASONING_KEYS
                if key in template
                and prints(["@thought@"], [_USER, {**_answer("!", None), key: "@thought@"}])
            ),
            None,
        ),
    )


_RESULT: Turn = {"role": "tool", "content": "@result@", "tool_call_id": "abcdefghi", "name": "@call@"}
_TOOL = {
    "type": "function",
    "function": {
        "name": "@tool@",
        "description": "?",
        "parameters": {
            "type": "object",
            "properties": {"q": {"type": "string", "description": "?"}},
            "required": ["q"],
        },
    },
}


def _build_call(arguments: object) -> Turn:
    function = {"name": "@call@", "arguments": arguments}
    return {"id": "abcdefghi", "type": "function", "function": function}  # 9 letters: Mistral takes no others


def _answer(text: str, call: Turn | None) -> Turn:
    answer: Turn = {"role": "assistant", "content": text}
    return answer if call is None else {**answer, "tool_calls": [call]}
