"""Chats as token ids in the model's own chat template. Text inside a message can open no turn of its own."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat, zip_longest
from typing import Any

from curate.data.conversation import has_media, render_message
from curate.engine.base import Chat, Choose, Continuation, Failure
from curate.engine.batching import Target
from curate.engine.template_turns import TemplateTurns
from curate.engine.template_words import probe_template
from curate.records import Message, plain_text

_NAMES = {
    "system": "System",
    "developer": "Developer",
    "user": "User",
    "assistant": "Assistant",
    "tool": "Tool",
}
_OPEN, _CLOSE = "\ue0f0", "\ue0f1"  # private-use characters around the number of a control string
_ESCAPED = (
    "\\ue0f0",
    "\\ue0f1",
)  # what a template makes of them that prints arguments as Python or ASCII does
_MARK = re.compile(f"(?:{_OPEN}|{re.escape(_ESCAPED[0])})(\\d+)(?:{_CLOSE}|{re.escape(_ESCAPED[1])})")
# How chats are written where a tokenizer has no chat template; saved with a model that was trained so, it makes others
# write the same. What only a real template has words for, it refuses.
PARAGRAPHS_TEMPLATE = """\
{%- set names = {'system': 'System', 'developer': 'Developer', 'user': 'User', 'assistant': 'Assistant', \
'tool': 'Tool'} -%}
{%- if bos_token %}{{ bos_token }}{% endif -%}
{%- if tools %}{{ 'Tools: ' + tools | tojson + '\\n\\n' }}{% endif -%}
{%- for message in messages -%}
{%- if message.content is not string or message.tool_calls or message.reasoning_content -%}
{{ raise_exception('this model was trained without a chat template: a message is its text alone') }}
{%- endif -%}
{{ names[message.role] + ': ' + message.content + ('' if loop.last else '\\n\\n') }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '\\n\\nAssistant:\\n' }}{% endif -%}
"""
_THINK = ("<think>", "</think>")
_TAIL = (
    48  # characters before a continuation that can change how it is split: more than any tokenizer looks at
)


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A chat as text, split at the control strings that people wrote: `written[i]` is between piece i and i + 1."""

    pieces: tuple[str, ...]
    written: tuple[str, ...]


@dataclass(slots=True)
class ChatTokens:
    """Encodes chats with a Transformers tokenizer.

    - A control string of the tokenizer (`<|im_end|>`) inside a message is encoded as the characters it consists
      of, never as the control token: else an answer could end its turn and speak as the judge. So is what the
      tokenizer's normalizer makes one (`<|IM_END|>`, full-width letters, zero-width characters within). The marks of
      thoughts (`<think>`) in an answer open no turn: they are what the model itself writes, and stay tokens.
    - Where the template knows no system turn, the system text opens the first user turn.
    - Without messages, the text is bare: it begins with the tokenizer's begin-of-text token, or its end token.
    - Without a chat template, turns are written as "User: …" paragraphs, and "Assistant:" opens the answer; reasoning,
      calls and results stand between tags there. With one, a chat is what that template prints of it (`left_out`).
    - Nothing is ever cut: a chat that does not fit is a `Failure`.
    """

    tokenizer: Any
    max_length: int
    _control: re.Pattern[str] = field(init=False)
    _control_of_answers: re.Pattern[str] = field(init=False)
    _reads_parts: bool = field(init=False, default=False)
    _normalized: frozenset[int] = field(init=False)
    _takes_system: bool = field(init=False)
    _opening: str = field(init=False)
    _turns: TemplateTurns = field(init=False)
    _template: str = field(init=False)
    _continuations: dict[tuple[str, str], list[int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        added = {token.content for token in self.tokenizer.added_tokens_decoder.values()}
        control = sorted(filter(None, added | set(self.tokenizer.all_special_tokens)), key=len, reverse=True)
        marks = [*control, _OPEN, _CLOSE, *_ESCAPED]
        self._control = re.compile("|".join(map(re.escape, marks)))
        self._control_of_answers = re.compile(
            "|".join(re.escape(mark) for mark in marks if mark not in _THINK)
        )
        self._template = self._get_template_text()
        self._reads_parts = self._prints_parts_only()
        words = probe_template(
            self._template,
            lambda turns, tools: self._render_turns(turns, answer=False, tools=tools),
        )
        self._turns = TemplateTurns(words)
        self._normalized = self._list_normalized_tokens()
        self._opening = self._render_turns([{"role": "user", "content": "?"}], answer=True)
        self._takes_system = False
        with contextlib.suppress(Exception):  # a template says no in its own way
            turns = [{"role": "system", "content": "@sys@"}, {"role": "user", "content": "?"}]
            self._takes_system = "@sys@" in self._render_turns(turns, answer=True)

    def encode_chat(
        self,
        messages: Chat,
        prefill: str = "",
        *,
        answer: bool = True,
        room: int = 0,
        tools: str | None = None,
    ) -> list[int] | Failure:
        """Encode a chat.

        Args:
            messages: The chat.
            prefill: Beginning of the answer.
            answer: Encode up to the place where the assistant goes on; else the whole chat, closed.
            room: Number of further tokens that must fit.
            tools: JSON text of the tools that the chat may call.

        Returns:
            Token ids; or a Failure where the chat holds images, the template does not take it, or it is too long.
        """
        return self.encode_all([(messages, prefill)], answer=answer, rooms=[room], tools=[tools])[0]

    def encode_all(
        self,
        chats: Sequence[tuple[Chat, str]],
        *,
        answer: bool = True,
        rooms: Iterable[int] = repeat(0),
        tools: Iterable[str | None] = repeat(None),
    ) -> list[list[int] | Failure]:
        """Encode many (chat, prefill), as `encode` does: a tokenizer splits a batch on all cores."""
        texts = [
            self.prepare_text(messages, prefill, answer=answer, tools=chat_tools)
            for (messages, prefill), chat_tools in zip(chats, tools, strict=False)
        ]
        split = iter(
            self._encode_texts(
                [piece for text in texts if isinstance(text, MarkedText) for piece in text.pieces]
            )
        )
        results: list[list[int] | Failure] = []
        for (messages, _), text, room in zip(chats, texts, rooms, strict=False):
            if isinstance(text, Failure):
                results.append(text)
                continue
            ids = [*([] if messages else self._begin_tokens), *next(split)]
            for control in text.written:
                ids += [*self._encode_literally(control), *next(split)]
            results.append(self.check_length(len(ids) + room) or ids)
        return results

    def encode_targets(self, requests: Sequence[Continuation]) -> list[Target | Failure]:
        """Encode continuations and their contexts, at least one token each."""
        contexts = self.encode_all([(request.messages, request.prefill) for request in requests])
        return [
            context if isinstance(context, Failure) else self._encode_target(request, context)
            for request, context in zip(requests, contexts, strict=True)
        ]

    def _encode_target(self, request: Continuation, context: Sequence[int]) -> Target | Failure:
        continuation = self.encode_continuation(
            request.prefill, request.continuation, bare=not request.messages
        )
        if not continuation:
            return Failure("the continuation is empty", permanent=True)
        if not context:
            return Failure("the tokenizer knows no token to begin a text with", permanent=True)
        target = Target(tuple(context), tuple(continuation))
        return self.check_length(len(target.input_tokens)) or target

    def encode_choices(self, requests: Sequence[Choose]) -> list[list[Target] | Failure]:
        """Encode each choice of each request, and their common context."""
        contexts = self.encode_all([(request.messages, request.prefill) for request in requests])
        return [
            context if isinstance(context, Failure) else self._encode_choices_of(request, tuple(context))
            for request, context in zip(requests, contexts, strict=True)
        ]

    def _encode_choices_of(self, request: Choose, context: tuple[int, ...]) -> list[Target]:
        bare = not request.messages
        return [
            Target(context, tuple(self.encode_continuation(request.prefill, choice, bare=bare)))
            for choice in request.choices
        ]

    def check_length(self, length: int) -> Failure | None:
        """Return a Failure where so many tokens are more than the model takes."""
        if length <= self.max_length:
            return None
        return Failure(f"too long: {length} tokens, and the model takes {self.max_length}", permanent=True)

    def encode_continuation(self, prefill: str, text: str, *, bare: bool = False) -> list[int]:
        """Encode `text` as it is split after `prefill`, whose end can change its first token.

        Args:
            prefill: Text before it.
            text: The continuation.
            bare: There is no opened answer before `prefill`.
        """
        before = (("" if bare else self._opening) + prefill)[-_TAIL:]
        if (before, text) not in self._continuations:
            alone, together, apart = self._encode_texts([before, before + text, text])
            joined = together[: len(alone)] == alone and len(together) > len(alone)
            self._continuations[before, text] = together[len(alone) :] if joined else apart
        return self._continuations[before, text]

    @property
    def _begin_tokens(self) -> list[int]:
        """The token before a bare text, since a model gives no probability for the first token.

        As in lm-evaluation-harness: the begin-of-text token, else the end token.
        """
        tokenizer = self.tokenizer
        begin = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        return [] if begin is None else [begin]

    def _merge_system_turn(self, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._takes_system or len(turns) < 2 or turns[0]["role"] != "system" or turns[1]["role"] != "user":
            return turns
        system, user, *rest = turns
        return [{"role": "user", "content": self._join_contents(system["content"], user["content"])}, *rest]

    def _join_contents(self, first: Any, second: Any) -> Any:
        return f"{first}\n\n{second}"

    @property
    def left_out(self) -> Counter[str]:
        """Count of messages of which the template left something out, by what it was."""
        return self._turns.left_out if self._template else Counter()

    def _prints_parts_only(self) -> bool:
        """Tell whether the template prints the parts of a content, and of a plain text nothing (LLaVA, Idefics)."""
        for parts in (False, True):
            self._reads_parts = parts
            with contextlib.suppress(Exception):  # a template says no in its own way
                if "@text@" in self._render_turns([{"role": "user", "content": "@text@"}], answer=False):
                    return parts
        return False

    def _get_template_text(self) -> str:
        """Return the source of the chat templates; "" where there is none."""
        template = self.tokenizer.chat_template
        source = "\n".join(template.values()) if isinstance(template, dict) else template or ""
        return "" if source == PARAGRAPHS_TEMPLATE else source

    def _render_turns(
        self, turns: Sequence[dict[str, Any]], *, answer: bool, tools: list[Any] | None = None
    ) -> str:
        if self._template:
            given = list(map(_split_content, turns)) if self._reads_parts else list(turns)
            rendered = self.tokenizer.apply_chat_template(
                given, tools=tools, tokenize=False, add_generation_prompt=answer
            )
            return str(rendered)
        begin = self.tokenizer.bos_token or ""
        paragraphs = [f"{_NAMES[turn['role']]}: {turn['content']}" for turn in turns]
        if tools:
            paragraphs.insert(0, f"Tools: {json.dumps(tools, ensure_ascii=False)}")
        return begin + "\n\n".join(paragraphs) + ("\n\nAssistant:\n" if answer else "")

    def prepare_text(
        self, messages: Chat, prefill: str = "", *, answer: bool, tools: str | None = None
    ) -> MarkedText | Failure:
        """Render a chat as text in which the control strings that people wrote stand apart; as `encode_chat`."""
        written: list[str] = []
        turns = self._convert_turns(messages, written)
        if isinstance(turns, Failure):
            return turns
        listed = self._turns.build_tools(tools, lambda text: self._mark_control_strings(text, written))
        try:
            opened = (
                self._render_turns(self._merge_system_turn(turns), answer=answer, tools=listed)
                if turns
                else ""
            )
        except Exception as error:  # templates raise what they like (TemplateError, ValueError, …)
            return Failure(f"the chat template does not take this chat: {error}", permanent=True)
        return _split_marks(opened + self._mark_control_strings(prefill, written), written)

    def prepare_answer(self, text: str) -> MarkedText:
        """Split the text of an answer at the control strings in it, which open no turn."""
        written: list[str] = []
        return _split_marks(self._mark_control_strings(text, written, of_answer=True), written)

    def encode_marked_text(self, text: MarkedText) -> list[int]:
        """Encode a text: its pieces with the control tokens in them, what people wrote as characters."""
        first, *pieces = self._encode_texts(text.pieces)
        ids = list(first)
        for control, piece in zip(text.written, pieces, strict=True):
            ids += [*self._encode_literally(control), *piece]
        return ids

    def _convert_turns(self, messages: Chat, written: list[str]) -> list[dict[str, Any]] | Failure:
        """Return the turns as the template takes them, with marks for control strings."""
        if has_media(messages):
            return Failure("the model reads text only, and the chat holds images or videos", permanent=True)

        def mark(text: str) -> str:
            return self._mark_control_strings(text, written)

        def build_content(message: Message) -> str:
            text = _get_text(message) if self._template else render_message(message)
            return self._mark_control_strings(text, written, of_answer=message.role == "assistant")

        return self._turns.build_turns(messages, mark, build_content)

    def _mark_control_strings(self, content: str, written: list[str], *, of_answer: bool = False) -> str:
        """Replace control strings in `content` by numbered marks, and add the strings to `written`."""

        def replace_match(match: re.Match[str]) -> str:
            written.append(match[0])
            return f"{_OPEN}{len(written) - 1}{_CLOSE}"

        marked = (self._control_of_answers if of_answer else self._control).sub(replace_match, content)
        return self._mark_look_alikes(marked, written) if self._normalized else marked

    def _list_normalized_tokens(self) -> frozenset[int]:
        """List the added tokens that are looked for in normalized text, where other strings can become them."""
        fast = getattr(self.tokenizer, "backend_tokenizer", None)
        if fast is None or fast.normalizer is None:
            return frozenset()
        return frozenset(
            number for number, token in self.tokenizer.added_tokens_decoder.items() if token.normalized
        )

    def _mark_look_alikes(self, marked: str, written: list[str]) -> str:
        """Mark the strings that the tokenizer itself takes for one of `_normalized`: only it knows its normalizer."""
        pieces = _MARK.split(marked)
        for place in range(0, len(pieces), 2):
            text, end, kept = pieces[place], 0, ""
            for start, stop in self._find_look_alikes(text):
                written.append(text[start:stop])
                kept += f"{text[end:start]}{_OPEN}{len(written) - 1}{_CLOSE}"
                end = stop
            pieces[place] = kept + text[end:]
        marks = (f"{_OPEN}{number}{_CLOSE}" for number in pieces[1::2])
        return "".join(text for pair in zip_longest(pieces[::2], marks, fillvalue="") for text in pair)

    def _find_look_alikes(self, text: str) -> list[tuple[int, int]]:
        """Find the places in `text` of tokens of `_normalized`."""
        if not self._normalized or not text:
            return []
        encoding = self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        places = zip(encoding.ids, encoding.offsets, strict=True)
        return [place for token, place in places if token in self._normalized]

    def _encode_literally(self, text: str) -> list[int]:
        """Encode a control string as the characters it consists of."""
        if len(text) > 1 and (self._control.search(text) or self._find_look_alikes(text)):
            return self._encode_literally(text[0]) + self._encode_literally(text[1:])
        return self._encode_texts([text])[0]

    def _encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        fast = getattr(self.tokenizer, "backend_tokenizer", None)
        if fast is None:
            return [
                list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []
                for text in texts
            ]
        # Takes half of the time of a call of the tokenizer, which also finds out where each token came from. Nothing is
        # set that is so already: a setting fails while another thread encodes.
        if fast.truncation is not None:
            fast.no_truncation()
        if fast.padding is not None:
            fast.no_padding()
        if fast.encode_special_tokens:
            fast.encode_special_tokens = False
        return [encoding.ids for encoding in fast.encode_batch_fast(list(texts), add_special_tokens=False)]


def _get_text(message: Message) -> str:
    return plain_text(message.content)


def _split_marks(marked: str, written: Sequence[str]) -> MarkedText:
    split = _MARK.split(marked)
    return MarkedText(tuple(split[::2]), tuple(written[int(number)] for number in split[1::2]))


def _split_content(turn: dict[str, Any]) -> dict[str, Any]:
    """Return a turn whose content is a list of parts."""
    content = turn["content"]
    return {**turn, "content": [{"type": "text", "text": content}]} if isinstance(content, str) else turn
