"""Messages of a role and a text are read the short way, to what the long way reads."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from curate.data import message_reader
from curate.data.message_reader import read_messages
from curate.data.normal_form import UnreadableMessageError

roles = st.sampled_from(
    ["user", "assistant", "system", "tool", "User ", "human", "gpt", "function_call", "robot", "", 1, None]
)
texts = st.text(max_size=8) | st.sampled_from(["", " ", "\x00", "\ud800", "<image>"])
contents = (
    texts | st.none() | st.integers() | st.lists(texts, max_size=2) | st.just([{"type": "text", "text": "x"}])
)
messages = st.dictionaries(
    st.sampled_from(
        ["role", "content", "from", "value", "name", "reasoning", "tool_call_id", "train", "images"]
    ),
    contents | roles,
    max_size=4,
) | st.fixed_dictionaries({"role": roles, "content": contents})


def read(long: bool, message: dict[str, Any]) -> object:
    try:
        if long:
            return tuple(message_reader._read_any_message(message, "x[0]"))
        return read_messages([message], "x")
    except UnreadableMessageError as error:
        return error.kind, error.reason
    except ValueError as error:  # pydantic, on a lone surrogate: rows are checked for those before
        return type(error)


@settings(max_examples=500)
@given(messages)
def test_the_short_way_reads_what_the_long_way_reads(message: dict[str, Any]) -> None:
    assert read(False, message) == read(True, message)
