"""Hypothesis strategies of conversations in normal form."""

from __future__ import annotations

from hypothesis import strategies as st

from curate.data.conversation import Conversation, normalize_arguments, normalize_content
from curate.records import Message, Part, ToolCall

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
texts = st.one_of(
    st.text(characters, max_size=20),
    st.sampled_from(['<tool_call name="f">', "</TOOL_RESULT>", "a\n\nb", '"quoted" & <b>', "é", "e\u0301"]),
)
names = st.text(characters, min_size=1, max_size=8)
optional_names = st.none() | names
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
parts = st.one_of(
    st.builds(Part, text=texts),
    st.builds(
        Part,
        type=st.sampled_from(["image", "video", "audio"]),
        uri=st.sampled_from(["a.png", "https://x.test/b", "data:image/png;base64,AA=="]),
        sha256=st.none() | st.just("0" * 64),
    ),
)
calls = st.builds(
    ToolCall,
    id=optional_names,
    name=names,
    arguments=st.one_of(st.dictionaries(texts, json_values, max_size=3), texts).map(normalize_arguments),
)


@st.composite
def messages(
    draw: st.DrawFn, roles: tuple[str, ...] = ("system", "developer", "user", "assistant", "tool")
) -> Message:
    """A message; only the assistant thinks and calls tools."""
    role = draw(st.sampled_from(roles))
    is_assistant = role == "assistant"
    reasoning = draw(st.none() | st.text(characters, min_size=1, max_size=10)) if is_assistant else None
    tool_calls = tuple(draw(st.lists(calls, max_size=2))) if is_assistant else ()
    content = draw(st.lists(parts, max_size=3))
    return Message.model_validate(
        {
            "role": role,
            "content": normalize_content(content, alone=not (reasoning or tool_calls)),
            "reasoning": reasoning,
            "tool_calls": tool_calls,
            "tool_call_id": draw(optional_names) if role == "tool" else None,
            "name": draw(optional_names),
            "is_target": draw(st.none() | st.booleans()),
        }
    )


prompts: st.SearchStrategy[Conversation] = st.lists(messages(), min_size=1, max_size=4).map(tuple)


@st.composite
def answers(draw: st.DrawFn) -> Conversation:
    """A response: the assistant says the first and the last of its messages."""
    first = draw(messages(("assistant",)))
    if draw(st.booleans()):
        return (first,)
    middle = draw(st.lists(messages(("assistant", "tool", "user")), max_size=3))
    return (first, *middle, draw(messages(("assistant",))))
