"""Conversations: reading what people have as messages, and writing messages for readers, people and chat templates.

A prompt and a response are both sequences of `Message`. Their normal form, in which they are compared and hashed:

- Text stays byte for byte: neither Unicode nor white space is normalised.
- Ids of calls are text: the number 7 and the text "7" are one id.
- Arguments of a call that are a JSON object are compact JSON with sorted keys; other text stays as the model wrote it.
- Tools of a prompt are compact JSON in the order of their keys, which chat templates show.
- Text as content and a list of one text part are the same; nothing joins or splits parts. Empty text beside reasoning
  or calls is no content, and where there is nothing at all the content is empty text.
"""

from __future__ import annotations

from curate.data.message_dicts import (
    build_calls,
    build_dicts,
    parse_tools,
)
from curate.data.message_kinds import (
    Conversation,
    count_common,
    has_media,
    identify_answer,
    identify_turns,
    is_plain,
    is_text,
    load_messages,
    text_answer,
    text_message,
)
from curate.data.message_reader import (
    ROLES,
    read_address,
    read_messages,
)
from curate.data.message_text import (
    change_texts,
    escape_content,
    get_final_text,
    get_spoken_text,
    render_extras,
    render_message,
    render_prompt,
    render_response,
    render_text,
)
from curate.data.normal_form import (
    UnreadableMessageError,
    normalize_arguments,
    normalize_content,
    normalize_tools,
)

__all__ = [
    "ROLES",
    "Conversation",
    "UnreadableMessageError",
    "build_calls",
    "build_dicts",
    "change_texts",
    "count_common",
    "escape_content",
    "get_final_text",
    "get_spoken_text",
    "has_media",
    "identify_answer",
    "identify_turns",
    "is_plain",
    "is_text",
    "load_messages",
    "normalize_arguments",
    "normalize_content",
    "normalize_tools",
    "parse_tools",
    "read_address",
    "read_messages",
    "render_extras",
    "render_message",
    "render_prompt",
    "render_response",
    "render_text",
    "text_answer",
    "text_message",
]
