"""Messages as text: for judges that read text, and for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from curate.data.message_kinds import Conversation, is_plain, is_text
from curate.records import Message, plain_text

_TAGS = re.compile(
    r"<(?=/?(?:thinking|tool_call|tool_result|system|developer|user|assistant)\b)", re.IGNORECASE
)


def change_texts(messages: Conversation, change: Callable[[str], str]) -> Conversation:
    """Return messages with what the assistant says changed; calls, results and reasoning stay."""
    return tuple(
        message
        if message.role != "assistant"
        else message.model_copy(
            update={
                "content": tuple(
                    part if part.text is None else part.model_copy(update={"text": change(part.text)})
                    for part in message.content
                )
            }
        )
        for message in messages
    )


def render_text(messages: Sequence[Message], *, show_reasoning: bool = True, show_calls: bool = True) -> str:
    """Render a response as text for judges that read text.

    One plain message is its text. Anything else is in sections: what the assistant says bare, its reasoning, calls,
    results and what others say between tags. Texts cannot forge these tags: their `<` is written `&lt;` there.

    Args:
        messages: The messages of a response.
        show_reasoning: Whether reasoning is rendered.
        show_calls: Whether calls and results are rendered.
    """
    if is_plain(messages):
        return plain_text(messages[0].content)
    sections = [
        section
        for message in messages
        for section in _wrap_speaker(
            message, _list_sections(message, show_reasoning=show_reasoning, show_calls=show_calls)
        )
    ]
    return "\n\n".join(sections)


def render_message(message: Message, *, show_reasoning: bool = True, show_calls: bool = True) -> str:
    """Render one message as text, without its role: reasoning, calls and results between tags."""
    if is_text([message]):
        return plain_text(message.content)
    return "\n\n".join(_list_sections(message, show_reasoning=show_reasoning, show_calls=show_calls))


def render_prompt(
    messages: Sequence[Message],
    *,
    tools: str | None = None,
    show_reasoning: bool = True,
    show_calls: bool = True,
) -> str:
    """Render a prompt as text: a single turn as it is, several turns with their roles, and its tools before them.

    Args:
        messages: The messages of the prompt.
        tools: JSON text of the tools that models may call.
        show_reasoning: Whether reasoning is rendered.
        show_calls: Whether calls and results are rendered.
    """
    turns = [
        (message, render_message(message, show_reasoning=show_reasoning, show_calls=show_calls))
        for message in messages
    ]
    if len(turns) == 1 and tools is None:
        return turns[0][1]
    head = [] if tools is None else [f"[tools]\n{tools}"]
    shown = (f"[{message.role}]\n{text}" for message, text in turns if text or is_text([message]))
    return "\n\n".join([*head, *shown])


def render_response(
    messages: Sequence[Message], *, show_reasoning: bool = False, show_calls: bool = True
) -> str:
    """Render a response as text; all of it where nothing else would be left (see `render_text`)."""
    text = render_text(messages, show_reasoning=show_reasoning, show_calls=show_calls)
    return text if text.strip() else render_text(messages)


def get_final_text(messages: Sequence[Message]) -> str:
    """Return the text of the assistant's last message: the answer that a trajectory comes to."""
    last = next((message for message in reversed(messages) if message.role == "assistant"), None)
    return "" if last is None else plain_text(last.content)


def get_spoken_text(messages: Sequence[Message]) -> str:
    """Return all that the assistant says, without reasoning, calls and results."""
    if is_plain(messages):
        return plain_text(messages[0].content)
    texts = (plain_text(message.content) for message in messages if message.role == "assistant")
    return "\n\n".join(text for text in texts if text)


def render_extras(message: Message) -> tuple[str, str]:
    """Render what a message has beside its content as text: its reasoning and its calls, "" where there is none."""
    reasoning = (
        "" if message.reasoning is None else _wrap_section("thinking", _escape_tags(message.reasoning))
    )
    calls = [
        _wrap_section("tool_call", _escape_tags(call.arguments), name=call.name, id=call.id)
        for call in message.tool_calls
    ]
    return reasoning, "\n\n".join(calls)


def escape_content(message: Message) -> Message:
    """Return a message whose texts forge none of the tags of `render_message`."""
    content = tuple(
        part if part.text is None else part.model_copy(update={"text": _escape_tags(part.text)})
        for part in message.content
    )
    return message.model_copy(update={"content": content})


def _list_sections(message: Message, *, show_reasoning: bool, show_calls: bool) -> list[str]:
    text = _escape_tags(plain_text(message.content))
    if message.role == "tool":
        return [_wrap_section("tool_result", text, name=message.name, id=message.tool_call_id)] * show_calls
    reasoning, calls = render_extras(message)
    return [section for section in (reasoning * show_reasoning, text, calls * show_calls) if section]


def _wrap_speaker(message: Message, sections: Sequence[str]) -> Sequence[str]:
    """Put what others than the assistant and its tools say in a response between tags of their role."""
    if message.role in ("assistant", "tool"):
        return sections
    return [_wrap_section(message.role, "\n\n".join(sections), name=message.name)]


def _wrap_section(tag: str, text: str, **attributes: str | None) -> str:
    given = "".join(
        f' {name}="{_escape_quotes(value)}"' for name, value in attributes.items() if value is not None
    )
    return f"<{tag}{given}>\n{text}\n</{tag}>"


def _escape_tags(text: str) -> str:
    return _TAGS.sub("&lt;", text)


def _escape_quotes(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
