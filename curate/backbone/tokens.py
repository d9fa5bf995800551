"""Prompts and responses as token ids, in the very form in which the judge `reward-model` reads them.

What is too long is cut, and a label never moves by it: labels belong to a response's slot, not to a place in the text.

- A prompt loses its oldest tokens (its left side; a begin-of-text token stays), the same for all its responses.
- It keeps at least a quarter of `max_length`. A response longer than the rest loses tokens of its end, but not what
  closes the turn, where the score is read.
- Two responses that are equal after that are no pair any more: it is dropped and counted.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any, get_args

from curate.engine.base import Chat, Failure
from curate.engine.chat_tokens import ChatTokens
from curate.preference_pairs import Turns
from curate.records import Message, Role, text

Ids = tuple[int, ...]

_UNLIMITED = 1 << 30


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt and its responses; for a model that reads text pairs, `prompt` is empty and each response is whole.

    `types`: which half of the pair each token is of. `cut`: how many texts lost tokens.
    """

    prompt: Ids
    responses: tuple[Ids, ...]
    types: tuple[Ids, ...] | None = None
    cut: int = 0


class Texts:
    """Encodes with one tokenizer. `whole`: for encoders, which read prompt and response together."""

    def __init__(self, tokenizer: Any, *, max_length: int, whole: bool, padding: int | None) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.whole = whole
        self.padding = padding
        self._chat = ChatTokens(tokenizer, _UNLIMITED)

    def encode(
        self, context: Turns, responses: Sequence[str], *, separator: Ids | None = None
    ) -> Encoded | Failure:
        """`separator`: of a joint sequence, which has to fit into `max_length` as a whole."""
        if not all(role in get_args(Role) for role, _ in context):
            return Failure("a message has an unknown role")
        chats = [_chat([*context, ("assistant", response)]) for response in responses]
        if self.whole and self._reads_pairs:
            return self._pairs(chats)
        encoded = [self._chat.encode(chat, answer=False) for chat in chats]
        sequences: list[Ids] = []
        for each in encoded:
            if isinstance(each, Failure):
                return Failure("the chat template does not take the chat")
            sequences.append(self._without_padding(tuple(each)))
        opened = self._chat.encode(_chat(context), answer=True)
        prompt = [] if isinstance(opened, Failure) else opened
        shared = min(_common(prompt, each) for each in sequences)
        shared = max(1, min(shared, min(map(len, sequences)) - 1))
        answers = [each[shared:] for each in sequences]
        return self._fitted(sequences[0][:shared], answers, separator)

    @cached_property
    def _reads_pairs(self) -> bool:
        """As in `curate.engine.classifier`."""
        return not self.tokenizer.chat_template and self.tokenizer.sep_token is not None

    @cached_property
    def _closing(self) -> int:
        """How many tokens close an answer, whatever it says."""
        ends = [
            self._chat.encode(_chat([("user", "?"), ("assistant", said)]), answer=False)
            for said in ("yes", "11")
        ]
        one, other = (self._without_padding(tuple(each)) for each in ends if not isinstance(each, Failure))
        return max(1, _common(one[::-1], other[::-1]))

    def _fitted(self, prompt: Ids, answers: Sequence[Ids], separator: Ids | None) -> Encoded:
        kept = min(len(prompt), self.max_length // 4)
        room = self.max_length - kept
        if separator is not None:
            room = room // len(answers) - len(separator)
        room = max(room, self._closing + 1)
        fitted = tuple(
            each if len(each) <= room else each[: room - self._closing] + each[-self._closing :]
            for each in answers
        )
        taken = max(map(len, fitted))
        if separator is not None:
            taken = sum(len(each) + len(separator) for each in fitted)
        kept = max(kept, self.max_length - taken)
        shorter = self._newest(prompt, kept)
        before, after = ([len(prompt), *map(len, answers)], [len(shorter), *map(len, fitted)])
        return Encoded(shorter, fitted, cut=sum(map(operator.ne, before, after)))

    def _newest(self, prompt: Ids, kept: int) -> Ids:
        if len(prompt) <= kept:
            return prompt
        begins = prompt[0] == self.tokenizer.bos_token_id
        return (prompt[0], *prompt[len(prompt) - kept + 1 :]) if begins else prompt[len(prompt) - kept :]

    def _without_padding(self, ids: Ids) -> Ids:
        """Transformers reads the score at the last token that is no padding token."""
        end = len(ids)
        while end > 2 and ids[end - 1] == self.padding:
            end -= 1
        return ids[:end]

    def _pairs(self, chats: Sequence[Chat]) -> Encoded:
        """(What was said before, the answer), as text pairs of a BERT-like model."""
        tokenizer, side = self.tokenizer, self.tokenizer.truncation_side
        most = self.max_length - self.max_length // 4
        tokenizer.truncation_side = "left"
        rows, cut = [], 0
        for chat in chats:
            before, answer = (
                "\n\n".join(part.text or "" for turn in turns for part in turn.content)
                for turns in (chat[:-1], chat[-1:])
            )
            ids = tokenizer(answer, add_special_tokens=False, split_special_tokens=True, verbose=False)[
                "input_ids"
            ]
            if len(ids) > most:
                answer, cut = tokenizer.decode(ids[: most - 8]), cut + 1
            options = {"split_special_tokens": True, "verbose": False}
            row = tokenizer(before, answer, truncation="only_first", max_length=self.max_length, **options)
            cut += len(row["input_ids"]) == self.max_length
            rows.append(row)
        tokenizer.truncation_side = side  # the tokenizer is saved with the model
        types = None
        if "token_type_ids" in rows[0]:
            types = tuple(tuple(row["token_type_ids"]) for row in rows)
        return Encoded((), tuple(tuple(row["input_ids"]) for row in rows), types, cut)


def _chat(turns: Turns) -> Chat:
    return tuple(Message.model_validate({"role": role, "content": text(said)}) for role, said in turns)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
