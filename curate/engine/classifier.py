"""A sequence-classification model as a reward model: one scalar for the last turn of a chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from curate.engine.base import Chat, Failure, Score
from curate.engine.chat_tokens import ChatTokens
from curate.engine.passes import lots
from curate.records import plain


@dataclass(slots=True)
class RewardModel:
    """`label`: which of the model's outputs is the reward (null: it has but one).

    Decoders read the chat in their template. Encoders without a chat template read a text pair: what was said
    before, and the answer. Scores are raw logits. Nothing is cut: what is too long is a `Failure`.
    """

    model: Any
    tokens: ChatTokens
    budget: int
    label: int

    def score(self, chats: Sequence[Chat]) -> list[Score | Failure]:
        encoded = [self._encode(chat) for chat in chats]
        unique = list({ids: None for ids in encoded if not isinstance(ids, Failure)})
        found: dict[tuple[int, ...], float] = {}
        padding = self.model.config.get_text_config().pad_token_id
        for lot in lots(unique, budget=self.budget if padding is not None else 1):
            found.update(zip(lot, self._forward(lot, padding or 0), strict=True))
        return [ids if isinstance(ids, Failure) else Score(found[ids], len(ids)) for ids in encoded]

    def _encode(self, chat: Chat) -> tuple[int, ...] | Failure:
        tokenizer = self.tokens.tokenizer
        if tokenizer.chat_template or tokenizer.sep_token is None:
            ids = self.tokens.encode(chat, answer=False)
            return ids if isinstance(ids, Failure) else tuple(ids)
        if any(part.type != "text" for turn in chat for part in turn.content):
            return Failure("the model reads text only, and the chat holds images or videos", permanent=True)
        before, answer = "\n\n".join(plain(turn.content) for turn in chat[:-1]), plain(chat[-1].content)
        # Control strings that people wrote stay ordinary text.
        pair = tokenizer(before, answer, split_special_tokens=True, verbose=False)["input_ids"]
        return self.tokens.too_long(len(pair)) or tuple(pair)

    def _forward(self, lot: Sequence[tuple[int, ...]], padding: int) -> list[float]:
        # Padding on the right: a decoder's tokens do not see it, and its head looks for the last real token.
        length = max(map(len, lot))
        ids, mask = np.full((len(lot), length), padding, np.int64), np.zeros((len(lot), length), np.int64)
        for row, sequence in enumerate(lot):
            ids[row, : len(sequence)], mask[row, : len(sequence)] = sequence, 1
        with torch.inference_mode():
            logits = self.model(
                input_ids=torch.from_numpy(ids).to(self.model.device),
                attention_mask=torch.from_numpy(mask).to(self.model.device),
            ).logits
        return [float(value) for value in logits[:, self.label].double().cpu()]
