"""Parsing of rendered chats into turns.

Reinforcement learning sends chats as the policy's chat template rendered them, but a reward model needs turns, which it
renders with its own template. Known templates are ChatML (Qwen, SmolLM), Llama 3 and Gemma; any other text is taken for
one turn of the user.

A response can hold the very strings that open and close turns: in a rendered chat, nothing tells them from the
template's own. So what follows the first opening of an assistant's turn is the response, whatever it holds.
"""

from __future__ import annotations

import re

from curate.data.conversation import Conversation, text_message
from curate.records import Role, plain_text

_CLOSES = {
    r"<\|im_start\|>(\w+)\n": r"<\|im_end\|>",
    r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n\n": r"<\|eot_id\|>",
    r"<start_of_turn>(\w+)\n": r"<end_of_turn>",
}
_TURNS = {
    re.compile(opens): re.compile(rf"{opens}(.*?)({closes}|\Z)", re.DOTALL)
    for opens, closes in _CLOSES.items()
}
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
    opening = _find_template(rendered)
    if opening is None:
        return (text_message("user", strip_end_tokens(rendered)),)
    matches = _TURNS[opening].findall(rendered)
    if len(matches) > 1 and matches[-1][1:] == ("", ""):
        matches.pop()
    return tuple(text_message(_read_role(role), strip_end_tokens(text)) for role, text, _ in matches)


def split_rendered_chat(rendered: str, *, multi_turn: bool = False) -> tuple[Conversation, str]:
    """Split a rendered chat into its context and the response.

    Args:
        rendered: The chat.
        multi_turn: The chat may hold several answers, and the last one is the response. Only for a policy that cannot
            write control strings: else it chooses what is scored.

    Raises:
        ValueError: There is no answer, or there are turns after the first one and `multi_turn` is false.
    """
    if multi_turn:
        turns = parse_turns(rendered)
        if len(turns) > 1 and turns[-1].role == "assistant":
            return turns[:-1], plain_text(turns[-1].content)
    elif opening := _find_template(rendered):
        openings = list(opening.finditer(rendered))
        answers = [number for number, match in enumerate(openings) if _read_role(match[1]) == "assistant"]
        if answers and answers[0] > 0:
            first = openings[answers[0]]
            if len(answers) < len(openings) - answers[0]:
                raise ValueError(
                    "the chat goes on after its first answer, and nothing shows whether the response itself has "
                    "written that: send /classify `messages`, or /get_reward `prompts` too, or start the server with "
                    "--multi-turn if the policy cannot write control strings"
                )
            return parse_turns(rendered[: first.start()]), strip_end_tokens(rendered[first.end() :])
    raise ValueError(
        "a chat without an answer, or in an unknown template: send `prompts` too, or use /score with messages"
    )


def _find_template(rendered: str) -> re.Pattern[str] | None:
    """Return the opening of turns that comes first: those of other templates are text."""
    matches = [match for opening in _TURNS if (match := opening.search(rendered)) is not None]
    return min(matches, key=lambda match: match.start()).re if matches else None


def _read_role(role: str) -> Role:
    return _ROLES.get(role, "user")


def strip_end_tokens(text: str) -> str:
    """Remove the control tokens at the end of a text, with the blanks after each; blanks before them stay."""
    backwards, length = text[::-1], 0
    while (end := _END_BACKWARDS.match(backwards, length)) is not None:
        length = end.end()
    return text[: len(text) - length]
