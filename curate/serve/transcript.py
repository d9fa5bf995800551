"""Parsing of rendered chats into turns.

Reinforcement learning sends chats as the policy's chat template rendered them, but a reward model needs turns, which it
renders with its own template. Known templates are ChatML (Qwen, SmolLM), Llama 3 and Gemma; any other text is taken for
one turn of the user.
"""

from __future__ import annotations

import re

from curate.data.conversation import Conversation, text_message
from curate.records import Role

_TURNS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"<\|im_start\|>(\w+)\n(.*?)(<\|im_end\|>|\Z)",
        r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n\n(.*?)(<\|eot_id\|>|\Z)",
        r"<start_of_turn>(\w+)\n(.*?)(<end_of_turn>|\Z)",
    )
)
_ROLES: dict[str, Role] = {"system": "system", "assistant": "assistant", "model": "assistant"}
_ENDS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<pad>",
)
# Matched on the reversed text: blanks, and the control token that stands before them. A forward search would read a run
# of tokens in the middle of a text again from each of its tokens, in quadratic time.
_END_BACKWARDS = re.compile(rf"\s*+(?:{'|'.join(re.escape(token[::-1]) for token in _ENDS)})")


def parse_turns(rendered: str) -> Conversation:
    """Return the turns of a rendered chat, without the empty turn that a generation prompt opens at its end."""
    for pattern in _TURNS:
        matches = pattern.findall(rendered)
        if len(matches) > 1 and matches[-1][1:] == ("", ""):
            matches.pop()
        if matches:
            return tuple(
                text_message(_ROLES.get(role, "user"), strip_end_tokens(text)) for role, text, _ in matches
            )
    return (text_message("user", strip_end_tokens(rendered)),)


def strip_end_tokens(text: str) -> str:
    """Remove the control tokens at the end of a text, with the blanks after each; blanks before them stay."""
    backwards, length = text[::-1], 0
    while (end := _END_BACKWARDS.match(backwards, length)) is not None:
        length = end.end()
    return text[: len(text) - length]
