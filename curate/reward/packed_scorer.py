"""A decoder reward model that reads a prompt once for all its responses.

The layout is that of training (`curate.reward.packing.pack_shared_prefix`): responses see the prompt and themselves. So
scores are those of separate passes, and texts that are too long are cut as they were in training.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from curate.core.errors import CurateError
from curate.core.progress import Track, no_progress
from curate.engine.base import Failure, Score
from curate.engine.local.loading import get_hub_arguments, resolve_device, resolve_dtype, silence_loading
from curate.engine.weights import locate_model
from curate.reward.model import RewardModel
from curate.reward.packing import pack_shared_prefix
from curate.reward.rendered import RenderedChats
from curate.reward.scorer import EngineScorer, Float64, PromptResponses
from curate.reward.tokens import EncodedResponses, Ids, ResponseEncoder

Place = tuple[int, int]
"""Request, and response within it, that a score belongs to."""

_UNBOUNDED = 1 << 30


def open_packed_scorer(
    scorer: EngineScorer, model: str, *, folder: Path, dtype: str, budget: int, max_length: int | None
) -> PackedScorer | None:
    """Load a reward model to read prompts once; None where it is no decoder, so that this cannot be done.

    Args:
        scorer: The same model, opened as an engine.
        model: As in `open_reward_model`.
        folder: That of curate.yaml, at which relative names start.
        dtype: As in `open_reward_model`.
        budget: Tokens of a forward pass.
        max_length: Longest prompt and response in tokens; default: the model's own.

    Raises:
        CurateError: The model reads images.
    """
    if scorer.sees_images:
        raise CurateError(
            f"The reward model {model} reads images, which requests to this server cannot hold: let it judge instead, "
            "as {kind: reward-model, model: …} on the panel."
        )
    weights = locate_model(model, revision="main", folder=folder)
    device = resolve_device("auto")
    try:
        with silence_loading():
            from transformers import AutoTokenizer

            hub = get_hub_arguments(weights)
            tokenizer = AutoTokenizer.from_pretrained(weights.source, **hub)
            loaded = RewardModel.load(Path(weights.source), dtype=resolve_dtype(dtype, device), **hub)
    except (CurateError, OSError, ValueError):
        return None
    config = loaded.backbone.config.get_text_config()
    longest = max_length or min(
        getattr(config, "max_position_embeddings", _UNBOUNDED), tokenizer.model_max_length
    )
    encoder = ResponseEncoder(tokenizer, max_length=longest, whole=False, padding=config.pad_token_id)
    return PackedScorer(scorer, loaded.to(device).eval(), encoder, budget)


@dataclass(eq=False)
class PackedScorer:
    """Scores the responses to a prompt in one row of tokens (see `RewardScorer`).

    Args:
        scorer: The same model, opened as an engine. It scores chats one by one.
        model: The model in eval mode.
        encoder: Makes tokens of prompts and responses.
        budget: Tokens of a forward pass.
    """

    scorer: EngineScorer
    model: RewardModel
    encoder: ResponseEncoder
    budget: int
    name: str = field(init=False)
    revision: str = field(init=False)
    n_texts_cut: int = field(init=False, default=0)
    sees_images: bool = field(init=False, default=False)
    rendered: RenderedChats = field(init=False)
    _unread: Counter[str] = field(init=False, default_factory=Counter)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)  # one forward pass at a time

    def __post_init__(self) -> None:
        self.name, self.revision = self.scorer.name, self.scorer.revision
        self.rendered = RenderedChats(self.encoder.chat)

    @property
    def left_out(self) -> Counter[str]:
        return self.encoder.left_out + self.scorer.left_out

    @property
    def unread(self) -> Mapping[str, int]:
        return self._unread + self.scorer.unread

    def score(self, requests: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        """Score as `RewardScorer.score`; a prompt that several requests hold is computed once."""
        with self._lock, torch.inference_mode():
            scores: list[Float64] = [np.full(len(request.responses), np.nan) for request in requests]
            for batch in self._split_batches(requests):
                self._score_batch(batch, scores)
        return scores

    def score_each(self, requests: Sequence[PromptResponses]) -> list[Score | Failure]:
        return self.scorer.score_each(requests)

    def encode_request(self, request: PromptResponses) -> PromptResponses:
        if request.encoded is not None:
            return request
        encoded = self.encoder.encode_responses(request.context, request.responses, tools=request.tools)
        return replace(request, encoded=encoded)

    def encode_own(
        self, text: str, *, prompt: str | None = None, several: bool = False
    ) -> EncodedResponses | None:
        encoded = self.rendered.encode_own(text, prompt=prompt, several=several)
        return None if encoded is None else self.encoder.fit_tokens(*encoded)

    def encode_literal(self, text: str) -> EncodedResponses:
        return self.encode_ids(self.rendered.encode_literal(text))

    def encode_ids(self, ids: Sequence[int]) -> EncodedResponses:
        n_tokens = self.model.backbone.get_input_embeddings().num_embeddings
        if not ids or not 0 <= min(ids) <= max(ids) < n_tokens:
            raise ValueError(f"give at least one token id, each from 0 to {n_tokens - 1}")
        return self.encoder.fit_tokens(ids, len(ids) - 1)

    def _split_batches(
        self, requests: Sequence[PromptResponses]
    ) -> Iterator[list[tuple[EncodedResponses, list[Place]]]]:
        """Yield prompts with their responses and the places of their scores: `budget` tokens, or one prompt."""
        batch: list[tuple[EncodedResponses, list[Place]]] = []
        size = 0
        for prompt, rows in self._group_prompts(requests).items():
            for part in self._split_prompt(prompt, rows):
                tokens = _count_tokens(part[0])
                if batch and size + tokens > self.budget:
                    yield batch
                    batch, size = [], 0
                batch.append(part)
                size += tokens
        if batch:
            yield batch

    def _group_prompts(self, requests: Sequence[PromptResponses]) -> dict[Ids, list[tuple[Ids, Place]]]:
        """Return the responses to each prompt, with the places of their scores."""
        by_prompt: dict[Ids, list[tuple[Ids, Place]]] = {}
        for row, request in enumerate(requests):
            encoded = self.encode_request(request).encoded
            if isinstance(encoded, Failure):
                self._unread[encoded.reason] += len(request.responses)
            elif encoded is not None:
                self.n_texts_cut += encoded.cut
                rows = by_prompt.setdefault(encoded.prompt, [])
                rows += [(ids, (row, slot)) for slot, ids in enumerate(encoded.responses)]
        return by_prompt

    def _split_prompt(
        self, prompt: Ids, rows: list[tuple[Ids, Place]]
    ) -> Iterator[tuple[EncodedResponses, list[Place]]]:
        """Yield one prompt's responses in parts of about `budget` tokens, each behind a copy of the prompt."""
        part: list[tuple[Ids, Place]] = []
        size = len(prompt)
        for row in rows:
            if part and size + len(row[0]) > self.budget:
                yield _join_rows(prompt, part)
                part, size = [], len(prompt)
            part.append(row)
            size += len(row[0])
        if part:
            yield _join_rows(prompt, part)

    def _score_batch(self, batch: list[tuple[EncodedResponses, list[Place]]], scores: list[Float64]) -> None:
        """Write the scores of a batch into `scores`, at their places."""
        row = pack_shared_prefix(
            [encoded.prompt for encoded, _ in batch], [encoded.responses for encoded, _ in batch]
        )
        values = self.model.score(row.to(self.model.backbone.device)).double().cpu().numpy()
        places = [place for _, part in batch for place in part]
        for value, (request, slot) in zip(values, places, strict=True):
            scores[request][slot] = value


def _join_rows(prompt: Ids, rows: list[tuple[Ids, Place]]) -> tuple[EncodedResponses, list[Place]]:
    return EncodedResponses(prompt, tuple(ids for ids, _ in rows)), [place for _, place in rows]


def _count_tokens(encoded: EncodedResponses) -> int:
    return len(encoded.prompt) + sum(map(len, encoded.responses))
