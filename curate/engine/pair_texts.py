"""A chat as the two texts of a BERT-like model: what stands before the answer, and the answer."""

from __future__ import annotations

from collections.abc import Sequence

from curate.data.conversation import render_message, render_text
from curate.records import Message


def split_pair_texts(chat: Sequence[Message], tools: str | None = None, answer: int = 1) -> tuple[str, str]:
    """Split a chat into two texts.

    Args:
        chat: The messages.
        tools: JSON text of the tools that the chat may call.
        answer: Number of messages at the end that are the answer.
    """
    before = [] if tools is None else [f"You may call these tools:\n\n{tools}"]
    before += [render_message(message) for message in chat[: len(chat) - answer]]
    return "\n\n".join(before), render_text(chat[len(chat) - answer :])
