"""A sequence-classification model as a reward model: one scalar for the last turn of a chat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from curate.data.conversation import has_media
from curate.engine.base import Chat, Failure, Score
from curate.engine.batching import split_batches
from curate.engine.chat_tokens import ChatTokens
from curate.engine.pair_texts import split_pair_texts
from curate.engine.threads import map_on_cores


@dataclass(slots=True)
class SequenceClassifier:
    """A sequence classifier whose scores are raw logits. Nothing is cut: a chat that is too long is a `Failure`.

    Decoders read the chat in their template. Encoders without a chat template read a text pair: the turns before the
    answer, and the answer.

    Args:
        model: A Transformers model in eval mode.
        tokens: Encodes chats.
        budget: Tokens of a forward pass.
        label: Index of the output that is the reward.
    """

    model: Any
    tokens: ChatTokens
    budget: int
    label: int
    _types: dict[tuple[int, ...], list[int]] = field(init=False, default_factory=dict)  # which half of a pair

    @property
    def left_out(self) -> Counter[str]:
        return self.tokens.left_out

    def score(self, chats: Sequence[Chat], tools: Sequence[str | None] = ()) -> list[Score | Failure]:
        self._types.clear()
        listed = tools or [None] * len(chats)
        encoded = [
            self._encode_chat(chat, chat_tools) for chat, chat_tools in zip(chats, listed, strict=True)
        ]
        unique = list({ids: None for ids in encoded if not isinstance(ids, Failure)})
        values: dict[tuple[int, ...], float] = {}
        padding = self.model.config.get_text_config().pad_token_id
        batches = list(split_batches(unique, budget=self.budget if padding is not None else 1))
        forward = partial(self._score_batch, padding=padding or 0)
        scores = map_on_cores(forward, batches, device=self.model.device)
        for batch, batch_scores in zip(batches, scores, strict=True):
            values.update(zip(batch, batch_scores, strict=True))
        return [ids if isinstance(ids, Failure) else Score(values[ids], len(ids)) for ids in encoded]

    def _encode_chat(self, chat: Chat, tools: str | None) -> tuple[int, ...] | Failure:
        tokenizer = self.tokens.tokenizer
        if tokenizer.chat_template or tokenizer.sep_token is None:
            encoded = self.tokens.encode_chat(chat, answer=False, tools=tools)
            return encoded if isinstance(encoded, Failure) else tuple(encoded)
        if has_media(chat):
            return Failure("the model reads text only, and the chat holds images or videos", permanent=True)
        before, answer = split_pair_texts(chat, tools)
        # Control strings that people wrote stay ordinary text.
        pair = tokenizer(before, answer, split_special_tokens=True, verbose=False)
        ids = tuple(pair["input_ids"])
        if "token_type_ids" in pair:
            self._types[ids] = pair["token_type_ids"]
        return self.tokens.check_length(len(ids)) or ids

    def _score_batch(self, batch: Sequence[tuple[int, ...]], padding: int) -> list[float]:
        # Padding on the right: a decoder's tokens do not see it, and its head looks for the last real token.
        length = max(map(len, batch))
        inputs = {
            "input_ids": np.full((len(batch), length), padding, np.int64),
            "attention_mask": np.zeros((len(batch), length), np.int64),
        }
        if self._types:
            inputs["token_type_ids"] = np.zeros((len(batch), length), np.int64)
        for row, sequence in enumerate(batch):
            inputs["input_ids"][row, : len(sequence)] = sequence
            inputs["attention_mask"][row, : len(sequence)] = 1
            if self._types:
                inputs["token_type_ids"][row, : len(sequence)] = self._types[sequence]
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(array).to(self.model.device) for name, array in inputs.items()}
            logits = self.model(**tensors).logits
        return [float(value) for value in logits[:, self.label].double().cpu()]
