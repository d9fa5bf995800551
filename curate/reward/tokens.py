"""Prompts and responses as token ids, in the form in which the judge `reward-model` reads them.

Texts that are too long are cut. This never moves a label: labels belong to a response's slot, not to a place in the
text.

- A prompt loses its oldest tokens (its left side; a begin-of-text token stays), the same for all its responses.
- It keeps at least a quarter of `max_length`. A response longer than the rest loses tokens of its end, but not what
  closes the turn, where the score is read.
- Two responses that are equal after that are no pair any more: it is dropped and counted.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.config.images import ImageAccess
from curate.data.conversation import Conversation, text_message
from curate.data.media import images_of
from curate.engine.base import Chat, Failure
from curate.engine.chat_tokens import ChatTokens
from curate.engine.pair_texts import split_pair_texts
from curate.records import Part
from curate.reward.prefix_tree import count_common

if TYPE_CHECKING:
    from torch import Tensor

    from curate.reward.vision_packing import VisionPacker

Ids = tuple[int, ...]
Images = Callable[["Tensor", Sequence[Part]], "dict[str, Tensor]"]
"""Makes the further inputs of a vision-language model, of padded tokens and the images that they hold."""

_UNLIMITED = 1 << 30


@dataclass(frozen=True, slots=True)
class EncodedResponses:
    """A prompt and its responses as tokens.

    Attributes:
        prompt: Tokens of the prompt. It is empty for a model whose responses do not share a prompt.
        responses: Tokens of each response; without a shared prompt they begin with those of the prompt.
        types: Half of a text pair that each token belongs to.
        cut: Number of texts that lost tokens.
        images: Images of each response and its prompt, in the order of their tokens; empty: there are none.
        n_prompt: For a vision-language model that reads packed rows: how many tokens of each response are the prompt's.
    """

    prompt: Ids
    responses: tuple[Ids, ...]
    types: tuple[Ids, ...] | None = None
    cut: int = 0
    images: tuple[tuple[Part, ...], ...] = ()
    n_prompt: int = 0

    def count_tokens(self, n_orders: int = 1) -> int:
        """Count the tokens of the prompt, once, and of the responses, `n_orders` times."""
        answers = sum(len(response) - self.n_prompt for response in self.responses)
        return len(self.prompt) + self.n_prompt + n_orders * answers

    def list_contents(self) -> tuple[bytes, list[bytes]]:
        """Return what identifies the prompt, and each of its responses: tokens, and addresses of images."""
        return list_contents(self.prompt, self.responses, self.images, self.n_prompt)


class ResponseEncoder:
    """Encodes prompts and responses with one tokenizer.

    Args:
        tokenizer: A Transformers tokenizer.
        max_length: Longest prompt and response together, in tokens.
        whole: Encode for an encoder, which reads prompt and response together (as a text pair, if the tokenizer makes
            such pairs).
        padding: The padding token, or None.
    """

    images: Images | None = None  # for vision-language models alone

    def __init__(self, tokenizer: Any, *, max_length: int, whole: bool, padding: int | None) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.whole = whole
        self.padding = padding
        self._chat = ChatTokens(tokenizer, _UNLIMITED)

    def encode_responses(
        self,
        context: Conversation,
        responses: Sequence[Conversation],
        *,
        tools: str | None = None,
        separator: Ids | None = None,
    ) -> EncodedResponses | Failure:
        """Encode a prompt and its responses.

        Args:
            context: Messages of the prompt.
            responses: Messages of each response.
            tools: JSON text of the tools that the prompt offers.
            separator: Separator of a joint sequence, which must fit into `max_length` as a whole.

        Returns:
            The tokens; a Failure where the chat cannot be encoded.
        """
        if self.whole and self._reads_pairs:
            return self._encode_pairs(context, responses, tools)
        split = self._split_prompt(context, responses, tools)
        if isinstance(split, Failure):
            return split
        images = [images_of((*context, *response)) for response in responses]
        return self._fit_length(images_of(context), images, *split, separator)

    @property
    def chat(self) -> ChatTokens:
        """Encodes chats."""
        return self._chat

    def fit_tokens(self, ids: Sequence[int], n_prompt: int) -> EncodedResponses:
        """Cut the tokens of one chat to `max_length`, as those of messages are.

        Args:
            ids: The tokens.
            n_prompt: How many of them are the prompt's.
        """
        split = self.split_tokens(ids, n_prompt)
        return self._cut_to_length(split.prompt, split.responses, None)

    def split_tokens(self, ids: Sequence[int], n_prompt: int) -> EncodedResponses:
        """Take the tokens of one chat, of which `n_prompt` are the prompt's, as they are."""
        whole = self._strip_padding(tuple(ids))
        shared = max(0, min(n_prompt, len(whole) - 1))
        return EncodedResponses(whole[:shared], (whole[shared:],))

    def fit_responses(self, prompt: Ids, answers: Sequence[Ids], separator: Ids | None) -> EncodedResponses:
        """Cut a prompt and its responses to `max_length`, as `encode_responses` does."""
        return self._cut_to_length(prompt, answers, separator)

    def _fit_length(
        self,
        pictures: Sequence[Part],
        images: Sequence[tuple[Part, ...]],
        prompt: Ids,
        answers: Sequence[Ids],
        separator: Ids | None,
    ) -> EncodedResponses | Failure:
        """Cut to `max_length`.

        Args:
            pictures: Images of the prompt.
            images: Images of each answer behind the prompt.
            prompt: Tokens of the prompt.
            answers: Tokens of each answer.
            separator: As in `encode`.
        """
        return self._cut_to_length(prompt, answers, separator)

    def _split_prompt(
        self, context: Chat, responses: Sequence[Chat], tools: str | None
    ) -> tuple[Ids, list[Ids]] | Failure:
        """Return the tokens of the prompt, and those that follow it in each chat."""
        sequences: list[Ids] = []
        for response in responses:
            ids = self._chat.encode_chat((*context, *response), answer=False, tools=tools)
            if isinstance(ids, Failure):
                return self._explain_unreadable(ids)
            sequences.append(self._strip_padding(tuple(ids)))
        opened = self._chat.encode_chat(context, answer=True, tools=tools)
        prompt = [] if isinstance(opened, Failure) else opened
        shared = min(count_common(prompt, sequence) for sequence in sequences)
        shared = max(1, min(shared, min(map(len, sequences)) - 1))
        return sequences[0][:shared], [sequence[shared:] for sequence in sequences]

    def _explain_unreadable(self, failure: Failure) -> Failure:
        return Failure("the chat template does not take the chat")

    @property
    def left_out(self) -> Counter[str]:
        """Count of messages of which the chat template left something out, by what it was."""
        return self._chat.left_out

    @cached_property
    def _reads_pairs(self) -> bool:
        """Tells whether prompt and response are a text pair, as in `curate.engine.local.classifier`."""
        return not self.tokenizer.chat_template and self.tokenizer.sep_token is not None

    @cached_property
    def _n_closing_tokens(self) -> int:
        """The number of tokens that close any answer."""
        ends = [
            self._chat.encode_chat((text_message("user", "?"), text_message("assistant", text)), answer=False)
            for text in ("yes", "11")
        ]
        one, other = (self._strip_padding(tuple(ids)) for ids in ends if not isinstance(ids, Failure))
        return max(1, count_common(one[::-1], other[::-1]))

    def _cut_to_length(self, prompt: Ids, answers: Sequence[Ids], separator: Ids | None) -> EncodedResponses:
        prompt_length = min(len(prompt), self.max_length // 4)
        room = self.max_length - prompt_length
        if separator is not None:
            room = room // len(answers) - len(separator)
        room = max(room, self._n_closing_tokens + 1)
        fitted = tuple(self._cut_answer(answer, room) for answer in answers)
        answer_length = max(map(len, fitted))
        if separator is not None:
            answer_length = sum(len(answer) + len(separator) for answer in fitted)
        prompt_length = max(prompt_length, self.max_length - answer_length)
        shorter = self._keep_newest(prompt, prompt_length)
        before, after = ([len(prompt), *map(len, answers)], [len(shorter), *map(len, fitted)])
        return EncodedResponses(shorter, fitted, cut=sum(map(operator.ne, before, after)))

    def _cut_answer(self, answer: Ids, room: int) -> Ids:
        """Return the answer without the tokens before its closing ones that are too many."""
        return (
            answer
            if len(answer) <= room
            else answer[: room - self._n_closing_tokens] + answer[-self._n_closing_tokens :]
        )

    def _keep_newest(self, prompt: Ids, length: int) -> Ids:
        if len(prompt) <= length:
            return prompt
        begins = prompt[0] == self.tokenizer.bos_token_id
        return (prompt[0], *prompt[len(prompt) - length + 1 :]) if begins else prompt[len(prompt) - length :]

    def _strip_padding(self, ids: Ids) -> Ids:
        """Drop padding at the end: Transformers reads the score at the last token that is no padding token."""
        end = len(ids)
        while end > 2 and ids[end - 1] == self.padding:
            end -= 1
        return ids[:end]

    def _encode_pairs(
        self, context: Conversation, responses: Sequence[Conversation], tools: str | None
    ) -> EncodedResponses:
        """Encode (the turns before the answer, the answer) as text pairs of a BERT-like model."""
        tokenizer, side = self.tokenizer, self.tokenizer.truncation_side
        most = self.max_length - self.max_length // 4
        tokenizer.truncation_side = "left"
        rows, cut = [], 0
        for response in responses:
            before, answer = split_pair_texts((*context, *response), tools, len(response))
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
        return EncodedResponses((), tuple(tuple(row["input_ids"]) for row in rows), types, cut)


class VisionResponseEncoder(ResponseEncoder):
    """Encodes with the processor of a vision-language model, each response behind a prompt of its own.

    Tokens of images are never cut. A text that goes with images is cut as any other where they are not in it: a prompt
    with images stays whole, and where it leaves less than a quarter of `max_length` to responses that need more, there
    is a Failure. So there is where a response with images does not fit.
    """

    def __init__(self, processor: Any, *, max_length: int, access: ImageAccess) -> None:
        self.processor = processor
        tokenizer = processor.tokenizer
        super().__init__(tokenizer, max_length=max_length, whole=False, padding=tokenizer.pad_token_id)
        from curate.engine.local.vision import VisionTokens  # imports torch

        self._chat = self.vision_tokens = VisionTokens(processor, _UNLIMITED, access)
        self.images = self.vision_tokens.build_inputs
        self.packer: VisionPacker | None = None  # of a model that reads packed rows

    def _fit_length(
        self,
        pictures: Sequence[Part],
        images: Sequence[tuple[Part, ...]],
        prompt: Ids,
        answers: Sequence[Ids],
        separator: Ids | None,
    ) -> EncodedResponses | Failure:
        room = self.max_length - len(prompt)
        needed = max(self.max_length // 4, self._n_closing_tokens + 1)
        if separator is not None:
            room = room // len(answers) - len(separator)
            needed = max(needed // len(answers), self._n_closing_tokens + 1)
        if pictures and room < min(needed, max(map(len, answers))):
            return Failure("the prompt with its images is too long")
        if any(
            len(parts) > len(pictures) and len(answer) > room
            for parts, answer in zip(images, answers, strict=True)
        ):
            return Failure("a response with its images is too long")
        fitted = (
            self._cut_answers(prompt, answers, room)
            if pictures
            else self._cut_to_length(prompt, answers, separator)
        )
        rows = tuple(fitted.prompt + answer for answer in fitted.responses)
        shown = tuple(images) if any(images) else ()
        n_prompt = len(fitted.prompt) if self.packer is not None else 0
        return EncodedResponses((), rows, cut=fitted.cut, images=shown, n_prompt=n_prompt)

    def _cut_answers(self, prompt: Ids, answers: Sequence[Ids], room: int) -> EncodedResponses:
        """Return the whole prompt, and the answers cut to the room that it leaves."""
        fitted = tuple(self._cut_answer(answer, room) for answer in answers)
        return EncodedResponses(
            prompt, fitted, cut=sum(map(operator.ne, map(len, answers), map(len, fitted)))
        )

    def _explain_unreadable(self, failure: Failure) -> Failure:
        return Failure(failure.reason.partition(": ")[0])


def list_contents(
    prompt: Ids, responses: Sequence[Ids], images: Sequence[Sequence[Part]] = (), n_prompt: int = 0
) -> tuple[bytes, list[bytes]]:
    """Return what identifies a prompt, and each of its responses.

    Args:
        prompt: Tokens of the prompt.
        responses: Tokens of the responses.
        images: Images of each response and its prompt.
        n_prompt: Tokens of the prompt at the beginning of each response.
    """
    whole = (*prompt, *responses[0][:n_prompt])
    contents = [_to_bytes(response[n_prompt:]) for response in responses]
    if images:
        addresses = [[part.sha256 or part.uri for part in parts] for parts in images]
        contents = [one + repr(other).encode() for one, other in zip(contents, addresses, strict=True)]
    return _to_bytes(whole), contents


def _to_bytes(ids: Sequence[int]) -> bytes:
    return np.asarray(ids, np.int64).tobytes()
