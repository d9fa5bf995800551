"""Reading chats that a client has rendered as text.

A client renders with the model's own chat template, and what it sends is scored as the messages would be. Nothing takes
the text apart into messages: it becomes tokens as it stands, and of the template only the frame of a turn is learnt, by
rendering four small chats.

- The turn that is scored begins at the template's opening of an answer. What follows is the answer, whatever it holds:
  control strings in it are characters. So an answer cannot open a turn of its own.
- A begin token that the client took away is put back, a generation prompt after the answer is taken away, and the turn
  is closed as the template closes it.
- An answer goes on in the turn that a generation prompt has opened (`<think>`). Where neither the client nor the answer
  has written what the template writes before every answer (an empty block of thoughts), the template writes it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from curate.data.conversation import text_message
from curate.engine.base import Failure
from curate.engine.chat_tokens import ChatTokens, MarkedText
from curate.records import Message

_USER, _ANSWER, _NEXT_USER, _NEXT_ANSWER = (
    "qzu17x",
    "qza28y",
    "qzv39x",
    "qzb40y",
)  # texts that no template holds
_TAIL = 64  # characters at the end of a prompt by which it is found where its beginning is cut
_THINK = "<think>"
_MARK = re.compile(r"<[^<>\s]{1,48}>|\[/?[A-Z_]{2,20}\]")
# Marks of chat templates. Where the model's tokenizer has no such token, the text belongs to another model.
_TEMPLATE_MARK = re.compile(
    r"<[|｜][^<>|｜\s]{1,40}[|｜]>|<(?:start|end)_of_turn>|<\|turn>|<turn\|>|\[/?INST\]|<</?SYS>>"
)
GOES_ON = (
    "the chat goes on after its first answer, and nothing shows whether the response itself has written that: send "
    "/classify `messages`, or /get_reward `prompts` too, or start the server with --multi-turn if the policy cannot "
    "write control strings"
)
NO_ANSWER = (
    "a chat without an answer, or in an unknown template: send `prompts` too, or use /score with messages"
)


@dataclass(frozen=True, slots=True)
class TurnFrame:
    """Frame that a chat template writes around an answer.

    Attributes:
        begin: The begin token at the start of every chat, or "".
        opening: Opens an answer.
        user_opening: Opens a turn of the user after an answer.
        prompt_rest: What a generation prompt writes after `opening`.
        answer_rest: What stands between `opening` and the last answer of a chat.
        tail: What closes the last answer.
        next_prompt: The generation prompt after an answer, with what closes that answer.
    """

    begin: str
    opening: str
    user_opening: str
    prompt_rest: str
    answer_rest: str
    tail: str
    next_prompt: str


def learn_frame(chat: ChatTokens) -> TurnFrame | None:
    """Learn the frame of an answer; None where the template prints no opening of it."""
    user, answer = text_message("user", _USER), text_message("assistant", _ANSWER)
    more = (text_message("user", _NEXT_USER), text_message("assistant", _NEXT_ANSWER))
    whole = _render(chat, (user, answer))
    prompt = _render(chat, (user,), answer=True)
    longer = _render(chat, (user, answer, *more))
    last = _get_between(whole, _USER, _ANSWER)
    if last is None or _USER not in prompt:
        return None
    generation, tail = prompt.rpartition(_USER)[2], whole.rpartition(_ANSWER)[2]
    middle = _get_between(longer, _USER, _ANSWER)
    between = _get_between(longer, _ANSWER, _NEXT_USER) or ""
    shared = _get_common_beginning([last, generation or last, last if middle is None else middle])
    shared = shared.partition(_THINK)[0]
    closing = set(_MARK.findall(tail))
    opening = _drop_closing(shared, closing)
    if not opening.strip():
        return None
    begin = chat.tokenizer.bos_token or ""
    return TurnFrame(
        begin=begin if begin and whole.startswith(begin) else "",
        opening=opening,
        user_opening=_drop_closing(between, closing).strip() or between.strip(),
        prompt_rest=generation[len(shared) :],
        answer_rest=last[len(shared) :],
        tail=tail,
        next_prompt=_render(chat, (user, answer), answer=True).rpartition(_ANSWER)[2],
    )


@dataclass
class RenderedChats:
    """Makes tokens of rendered chats with the tokenizer of one model. Threads may share it.

    Args:
        chat: Encodes chats.
    """

    chat: ChatTokens
    _begin: list[int] = field(init=False)  # what the tokenizer puts before a text
    _learnt: tuple[datetime.date, TurnFrame | None] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        tokenizer = self.chat.tokenizer
        around = tokenizer("", add_special_tokens=True)["input_ids"]
        self._begin = [token for token in around[:1] if token == tokenizer.bos_token_id]

    @property
    def frame(self) -> TurnFrame | None:
        """The frame of an answer. Templates may print the date, so it is learnt anew every day."""
        today = datetime.datetime.now().astimezone().date()
        if self._learnt is None or self._learnt[0] != today:
            self._learnt = (today, learn_frame(self.chat))
        return self._learnt[1]

    def encode_own(
        self, text: str, *, prompt: str | None = None, several: bool = False
    ) -> tuple[list[int], int] | None:
        """Encode a chat in the model's own template.

        Args:
            text: The rendered chat.
            prompt: The rendered prompt, where the client says it too. The text may have lost its beginning.
            several: The chat may hold several answers, of which the last is scored.

        Returns:
            The tokens, and how many of them are the prompt's; None where the text opens no answer of this template.

        Raises:
            ValueError: The chat goes on after its answer, or the template does not take the answer.
        """
        frame = self.frame
        if frame is None:
            return None
        end = _find_answer(text, prompt, self.chat.tokenizer)
        place = _find_opening(frame, text, end, several=several)
        if place is None:
            return None
        head, rest = text[:place], text[place:]
        rest = rest.removesuffix(frame.next_prompt) if frame.opening in frame.next_prompt else rest
        rest = self.strip_end(rest)
        if end is None and not several and _holds(rest, frame.user_opening):
            raise ValueError(GOES_ON)
        if frame.begin and not head.startswith(frame.begin):
            head = frame.begin + head
        turn = self._write_turn(frame, rest)
        marked = MarkedText((head + turn.pieces[0], *turn.pieces[1:]), turn.written)
        ids, prompt_ids = (
            self.chat.encode_marked_text(marked),
            self.chat.encode_marked_text(MarkedText((head,), ())),
        )
        return ids, _count_common(ids, prompt_ids)

    def encode_literal(self, text: str) -> list[int]:
        """Encode a text that is no chat as the tokenizer does it, its control strings as control tokens.

        Raises:
            ValueError: It is a chat without an answer, or holds marks that the tokenizer does not know.
        """
        frame = self.frame
        if frame is not None and _holds(text, frame.user_opening):
            raise ValueError(NO_ANSWER)
        known = self.chat.tokenizer.get_added_vocab()
        strange = next((mark for mark in _TEMPLATE_MARK.findall(text) if mark not in known), None)
        if strange is not None:
            raise ValueError(
                f"the text holds {strange!r}, a mark that the model's tokenizer does not know, so it was rendered with "
                "the template of another model: send messages"
            )
        ids = self.chat.encode_marked_text(MarkedText((text,), ()))
        return ids if ids[:1] == self._begin else [*self._begin, *ids]

    def strip_end(self, text: str) -> str:
        """Remove what closes an answer from its end: the template's tail, end tokens and padding."""
        frame = self.frame
        assert frame is not None
        text = text.removesuffix(frame.tail) if frame.tail.strip() else text
        tokenizer = self.chat.tokenizer
        ends = {*_MARK.findall(frame.tail), tokenizer.eos_token, tokenizer.pad_token} - {None}
        return strip_end_tokens(text, ends)

    def _write_turn(self, frame: TurnFrame, rest: str) -> MarkedText:
        """Write what stands after the opening of an answer, closed as the template closes it."""
        for written in (frame.answer_rest, frame.prompt_rest if frame.prompt_rest.strip() else ""):
            if written and rest.startswith(written):
                turn = self.chat.prepare_answer(rest[len(written) :])
                return _close_turn(
                    frame, MarkedText((written + turn.pieces[0], *turn.pieces[1:]), turn.written)
                )
        turn = self.chat.prepare_answer(rest)
        if rest.lstrip().startswith(_THINK):
            return _close_turn(frame, turn)
        if frame.answer_rest.strip() and turn.written and not turn.pieces[0].strip():
            raise ValueError(
                f"the answer begins with {turn.written[0]!r}, where this chat template writes {frame.answer_rest!r} by "
                "itself: send messages, with thoughts and calls in fields of their own"
            )
        answer = rest if frame.prompt_rest.strip() else rest.removeprefix(frame.prompt_rest)
        chat = (text_message("user", _USER), text_message("assistant", answer))
        whole = self.chat.prepare_text(chat, answer=False)
        if isinstance(whole, Failure):
            raise ValueError(whole.reason)  # noqa: TRY004 (what the client sent)
        begin = whole.pieces[0].find(frame.opening, whole.pieces[0].find(_USER))
        if begin < 0:
            raise ValueError("the chat template does not print this answer where it prints others")
        return MarkedText((whole.pieces[0][begin + len(frame.opening) :], *whole.pieces[1:]), whole.written)


def _close_turn(frame: TurnFrame, turn: MarkedText) -> MarkedText:
    return MarkedText((*turn.pieces[:-1], turn.pieces[-1] + frame.tail), turn.written)


def strip_end_tokens(text: str, ends: Sequence[str] | set[str]) -> str:
    """Remove control tokens at the end of a text, with the blanks after each; blanks before them stay."""
    known = "|".join(re.escape(token[::-1]) for token in ends)
    if not known:
        return text
    # Matched on the reversed text: blanks, and the control token that stands before them. A forward search would read a
    # run of tokens in the middle of a text again from each of its tokens, in quadratic time.
    pattern = re.compile(rf"\s*+(?:{known})")
    backwards, length = text[::-1], 0
    while (end := pattern.match(backwards, length)) is not None:
        length = end.end()
    return text[: len(text) - length]


def _find_opening(frame: TurnFrame, text: str, end: int | None, *, several: bool) -> int | None:
    """Return where the answer that is scored begins, after what opens it; `end`: where the prompt ends."""
    if end is not None:
        place = text.rfind(frame.opening, 0, end)
        if place >= 0 and not _holds(text[place:end], frame.user_opening):
            return place + len(frame.opening)
        # A prompt without a generation prompt, after which the response brings it.
        opens = text.startswith(frame.opening, end) and _holds(text[:end], frame.user_opening)
        place = end if opens else -1
    elif several:
        last = len(text) - len(frame.next_prompt) if text.endswith(frame.next_prompt) else len(text)
        place = max(text.rfind(frame.opening, 0, last), text.find(frame.opening))
    else:
        place = text.find(frame.opening)
    return None if place < 0 else place + len(frame.opening)


def _find_answer(text: str, prompt: str | None, tokenizer: Any) -> int | None:
    """Return where the prompt ends in the text, which may lack its beginning or have been normalised by a tokenizer."""
    if not prompt:
        return None
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    for known in (prompt, normalizer.normalize_str(prompt) if normalizer else prompt):
        if text.startswith(known):
            return len(known)
        tail = known[-_TAIL:]
        if len(known) > _TAIL and text.count(tail) == 1:
            return text.index(tail) + len(tail)
    return None


def _render(chat: ChatTokens, messages: Sequence[Message], *, answer: bool = False) -> str:
    text = chat.prepare_text(tuple(messages), answer=answer)
    return "" if isinstance(text, Failure) else "".join(text.pieces)


def _get_between(text: str, one: str, other: str) -> str | None:
    """Return what stands between the first `one` and the next `other`; None where they do not follow each other."""
    _, first, after = text.partition(one)
    between, second, _ = after.partition(other)
    return between if first and second else None


def _drop_closing(text: str, closing: set[str]) -> str:
    """Drop marks at the beginning that close the turn before."""
    while (mark := _MARK.match(text.lstrip())) is not None and mark[0] in closing:
        text = text.lstrip()[mark.end() :].lstrip()
    return text


def _get_common_beginning(texts: Sequence[str]) -> str:
    same = takewhile(lambda characters: len(set(characters)) == 1, zip(*texts, strict=False))
    return "".join(characters[0] for characters in same)


def _holds(text: str, part: str) -> bool:
    return bool(part) and part in text


def _count_common(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
