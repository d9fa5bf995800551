"""Parsing of rendered chats in templates that are not the reward model's own.

Reinforcement learning sends chats as a chat template rendered them. In the reward model's own template they become
tokens as they stand (`curate.reward.rendered`). Of other templates ChatML (Qwen, SmolLM), Llama 3 and Gemma are known:
such a chat is taken apart into turns, which the reward model renders with its own template. Any other text is scored as
the very text that it is, or refused where it holds marks of templates that the model does not know.

A response can hold the very strings that open and close turns: in a rendered chat, nothing tells them from the
template's own. So what follows the first opening of an assistant's turn is the response, whatever it holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from curate.data.conversation import Conversation, text_answer, text_message
from curate.records import Role, plain_text
from curate.reward.rendered import GOES_ON, NO_ANSWER
from curate.reward.rendered import strip_end_tokens as strip_tokens
from curate.reward.scorer import EncodingScorer, PromptResponses

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


@dataclass(frozen=True, slots=True)
class ChatReader:
    """Reads rendered chats for one reward model.

    Args:
        scorer: The model, where it makes tokens of texts; None for models that read messages alone.
        several: Chats may hold several answers, of which the last is scored (see `split_rendered_chat`).
        image_mark: Text that stands for an image in rendered chats of a vision-language model. Such chats are refused:
            they say that there is an image, and hold none.
    """

    scorer: EncodingScorer | None = None
    several: bool = False
    image_mark: str | None = None

    def read(self, text: str, prompt: str | None = None) -> PromptResponses:
        """Read a rendered chat with one answer, which is to be scored.

        Args:
            text: The chat. It alone decides.
            prompt: Its rendered prompt, which shows where the answer begins.

        Raises:
            ValueError: It cannot be scored as what it is.
        """
        self._refuse_image_marks(text)
        if self.scorer is not None:
            own = self.scorer.encode_own(text, prompt=prompt, several=self.several)
            if own is not None:
                return PromptResponses((), ((),), encoded=own)
        if _find_template(text) is not None:
            if prompt and text.startswith(prompt) and _find_template(prompt) is not None:
                answer = strip_end_tokens(text[len(prompt) :])
                return PromptResponses(parse_turns(prompt), (text_answer(answer),))
            context, answer = split_rendered_chat(text, multi_turn=self.several)
            return PromptResponses(context, (text_answer(answer),))
        if self.scorer is None:
            raise ValueError(NO_ANSWER)
        return PromptResponses((), ((),), encoded=self.scorer.encode_literal(text))

    def read_ids(self, ids: list[int]) -> PromptResponses:
        """Read a chat that is token ids already.

        Raises:
            ValueError: The model has no such tokens, or reads messages alone.
        """
        if self.scorer is None:
            raise ValueError("this model reads messages and no token ids")
        return PromptResponses((), ((),), encoded=self.scorer.encode_ids(ids))

    def _refuse_image_marks(self, text: str) -> None:
        if self.image_mark is not None and self.image_mark in text:
            raise ValueError(
                "a rendered chat holds no images, and this one has the mark of one: send `messages`"
            )

    def read_prompt(self, prompt: str, completion: Conversation, tools: str | None = None) -> PromptResponses:
        """Read a prompt that is a text, and its completion.

        Args:
            prompt: A rendered prompt, or what a user says.
            completion: The completion.
            tools: JSON text of the tools that the prompt offers; a rendered prompt holds them itself.

        Raises:
            ValueError: The prompt holds marks of a template that nobody knows here.
        """
        if _find_template(prompt) is not None:
            self._refuse_image_marks(prompt)
        answer = plain_text(completion[0].content) if len(completion) == 1 else None
        if self.scorer is not None and answer is not None:
            own = self.scorer.encode_own(prompt + answer, prompt=prompt, several=self.several)
            if own is not None:
                return PromptResponses((), ((),), encoded=own)
        if _find_template(prompt) is not None:
            return PromptResponses(parse_turns(prompt), (completion,), tools=tools)
        if self.scorer is not None:
            self.scorer.encode_literal(prompt)  # refuses the marks of other templates
        return PromptResponses((text_message("user", prompt),), (completion,), tools=tools)


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
                raise ValueError(GOES_ON)
            return parse_turns(rendered[: first.start()]), strip_end_tokens(rendered[first.end() :])
    raise ValueError(NO_ANSWER)


def _find_template(rendered: str) -> re.Pattern[str] | None:
    """Return the opening of turns that comes first: those of other templates are text."""
    matches = [match for opening in _TURNS if (match := opening.search(rendered)) is not None]
    return min(matches, key=lambda match: match.start()).re if matches else None


def _read_role(role: str) -> Role:
    return _ROLES.get(role, "user")


def strip_end_tokens(text: str) -> str:
    """Remove the control tokens at the end of a text, with the blanks after each; blanks before them stay."""
    return strip_tokens(text, _ENDS)
