"""Conversations as sequences of messages: what they hold, what identifies them, and how they begin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from curate.records import Message, Role, message_identity, plain_text, text_parts

Conversation = tuple[Message, ...]


def load_messages(stored: Iterable[Mapping[str, Any]]) -> Conversation:
    """Return messages as the lake stores them."""
    return tuple(Message.model_validate(message) for message in stored)


def is_plain(messages: Sequence[Message]) -> bool:
    """Tell whether a response is one message of the assistant that holds text and nothing else."""
    return len(messages) == 1 and messages[0].role == "assistant" and is_text(messages)


def is_text(messages: Iterable[Message]) -> bool:
    """Tell whether messages hold text alone: no media, reasoning, calls or results."""
    # Loops in place of `all`, which takes twice as long: this runs for every response.
    for message in messages:
        if message.reasoning is not None or message.tool_calls or message.role == "tool":
            return False
        for part in message.content:
            if part.type != "text":
                return False
    return True


def identify_turns(messages: Sequence[Message]) -> object:
    """Return what identifies a conversation in a `content_id`: [role, text] of each message, where that is all."""
    identities = [message_identity(message) for message in messages]
    has_text_only = is_text(messages) and all(len(identity) == 2 for identity in identities)
    return [[m.role, plain_text(m.content)] for m in messages] if has_text_only else identities


def identify_answer(messages: Sequence[Message]) -> object:
    """Return what identifies a response in a `content_id`: its text where that is all it has."""
    return plain_text(messages[0].content) if is_plain(messages) else identify_turns(messages)


def text_message(role: Role, text: str) -> Message:
    """Return a message that holds one text."""
    return Message(role=role, content=text_parts(text))


def text_answer(text: str) -> Conversation:
    """Return a response of one text."""
    return (text_message("assistant", text),)


def has_media(messages: Iterable[Message]) -> bool:
    """Tell whether a message holds an image, video or sound."""
    for message in messages:
        for part in message.content:
            if part.type != "text":
                return True
    return False


def count_common(conversations: Sequence[Sequence[Message]]) -> int:
    """Return the number of messages that all conversations begin with, such that each goes on after them."""
    first, rest = conversations[0], conversations[1:]
    most = max(0, min(map(len, conversations)) - 1)
    same = takewhile(lambda k: all(first[k] == other[k] for other in rest), range(most))
    return sum(1 for _ in same)
