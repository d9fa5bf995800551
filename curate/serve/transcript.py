"""Rendered chats as turns again: reinforcement learning sends what its own chat template made of them.

A reward model reads turns in *its* template. What a policy's template rendered is therefore taken apart (ChatML as in
Qwen and SmolLM, Llama 3, Gemma); any other text is taken for one turn of the user.
"""

from __future__ import annotations

import re

from curate.data.preference_rows import Turns

_TURNS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"<\|im_start\|>(\w+)\n(.*?)(<\|im_end\|>|\Z)",
        r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n\n(.*?)(<\|eot_id\|>|\Z)",
        r"<start_of_turn>(\w+)\n(.*?)(<end_of_turn>|\Z)",
    )
)
_ROLES = {"system": "system", "assistant": "assistant", "model": "assistant"}
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
# Of a text read backwards: blanks, and the control token that stands before them. (Sought forwards, a run of tokens in
# the middle of a text would be read again from each of its tokens, which takes the square of its length.)
_END_BACKWARDS = re.compile(rf"\s*+(?:{'|'.join(re.escape(token[::-1]) for token in _ENDS)})")


def parse_turns(rendered: str) -> Turns:
    """The turns of a rendered chat; one that is opened and not said (the generation prompt) is left out."""
    for pattern in _TURNS:
        found = pattern.findall(rendered)
        if found and len(found) > 1 and found[-1][1:] == ("", ""):
            found.pop()
        if found:
            return [(_ROLES.get(role, "user"), strip_end_tokens(said)) for role, said, _ in found]
    return [("user", strip_end_tokens(rendered))]


def strip_end_tokens(text: str) -> str:
    """Cut off the control tokens that end a turn or a text, with the blanks after each; blanks before them stay."""
    backwards, length = text[::-1], 0
    while (end := _END_BACKWARDS.match(backwards, length)) is not None:
        length = end.end()
    return text[: len(text) - length]
