"""A decoder reward model that reads a prompt once for all its responses.

The layout is that of training (`curate.reward.packing.pack_shared_prefix`): responses see the prompt and themselves. So
scores are those of separate passes, and texts that are too long are cut as they were in training.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch

from curate.config.images import ImageAccess
from curate.core.errors import CurateError
from curate.core.progress import Track, no_progress
from curate.engine.base import Failure, Score
from curate.engine.batching import cut_batches
from curate.engine.local.loading import (
    get_hub_arguments,
    load_processor,
    resolve_device,
    resolve_dtype,
    silence_loading,
)
from curate.engine.weights import locate_model
from curate.reward.joint_folder import find_separator
from curate.reward.model import RewardModel, VisionModel
from curate.reward.packing import PackedBatch, pack_jointly, pack_shared_prefix
from curate.reward.packing_check import check_packing
from curate.reward.prefix_tree import count_tree_tokens
from curate.reward.rendered import RenderedChats
from curate.reward.response_order import Order
from curate.reward.scorer import EngineScorer, Float64, PromptResponses, hide_request_media
from curate.reward.tokens import EncodedResponses, Ids, ResponseEncoder, VisionResponseEncoder
from curate.reward.vision_check import try_packing

Place = tuple[int, int]
"""Request, and response within it, that a score belongs to."""

_UNBOUNDED = 1 << 30


@dataclass(frozen=True, slots=True)
class Decoder:
    """A decoder with its value head, in eval mode, and the encoder of its texts.

    `separator`: token between the responses of a joint sequence; None where responses stand alone.
    """

    model: RewardModel | VisionModel
    encoder: ResponseEncoder
    separator: Ids | None = None

    def pack(
        self, prompts: Sequence[EncodedResponses], orders: Sequence[Sequence[Order]] = ()
    ) -> PackedBatch:
        """Pack prompts with their responses; `orders`: those of the responses to each, for a joint model."""
        if isinstance(self.encoder, VisionResponseEncoder):
            assert self.encoder.packer is not None  # else nothing is packed
            return self.encoder.packer.pack(prompts, separator=self.separator, orders=orders)
        texts = [encoded.prompt for encoded in prompts], [encoded.responses for encoded in prompts]
        if self.separator is None:
            return pack_shared_prefix(*texts)
        return pack_jointly(*texts, self.separator, orders=orders)


@dataclass(frozen=True)
class DecoderFiles:
    """Where a decoder is read from, and how (see `open_reward_model`). Its weights are read when they are needed."""

    model: str
    folder: Path
    dtype: str
    max_length: int | None = None
    joint: bool = False
    images: ImageAccess | None = None

    @cached_property
    def decoder(self) -> Decoder:
        """The decoder.

        Raises:
            CurateError: It is none, or cannot read packed rows.
            OSError, ValueError: It cannot be read.
        """
        from transformers import AutoTokenizer

        weights = locate_model(self.model, revision="main", folder=self.folder)
        device = resolve_device("auto")
        if weights.sees_images:
            return self._load_vision(Path(weights.source), device)
        with silence_loading():
            hub = get_hub_arguments(weights)
            tokenizer = AutoTokenizer.from_pretrained(weights.source, **hub)
            loaded = RewardModel.load(Path(weights.source), dtype=resolve_dtype(self.dtype, device), **hub)
        loaded = loaded.to(device).eval()
        check_packing(loaded, name=self.model)
        config = loaded.backbone.config.get_text_config()
        longest = self.max_length or min(
            getattr(config, "max_position_embeddings", _UNBOUNDED), tokenizer.model_max_length
        )
        encoder = ResponseEncoder(tokenizer, max_length=longest, whole=False, padding=config.pad_token_id)
        separator = find_separator(tokenizer, Path(weights.source)) if self.joint else None
        return Decoder(loaded, encoder, separator)

    def _load_vision(self, folder: Path, device: torch.device) -> Decoder:
        with silence_loading():
            processor = load_processor(str(folder))
            loaded = VisionModel.load(folder, dtype=resolve_dtype(self.dtype, device)).to(device).eval()
        config = loaded.backbone.config.get_text_config()
        longest = self.max_length or min(
            getattr(config, "max_position_embeddings", _UNBOUNDED), processor.tokenizer.model_max_length
        )
        access = self.images or ImageAccess(self.folder)
        encoder = VisionResponseEncoder(processor, max_length=longest, access=access)
        reason = try_packing(loaded, encoder, name=self.model)
        if self.joint and reason is not None:
            raise CurateError(reason)
        return Decoder(loaded, encoder, find_separator(processor.tokenizer, folder) if self.joint else None)


def open_packed_scorer(scorer: EngineScorer, files: DecoderFiles, *, budget: int) -> PackedScorer | None:
    """Load a reward model to read prompts once; None where it is no decoder, so that this cannot be done.

    Args:
        scorer: The same model, opened as an engine.
        files: Where it is read from.
        budget: Tokens of a forward pass.
    """
    try:
        _ = files.decoder
    except (CurateError, OSError, ValueError):
        return None
    return PackedScorer(scorer, files, budget)


@dataclass(eq=False)
class PackedScorer:
    """Scores the responses to a prompt in one row of tokens (see `RewardScorer`).

    Args:
        scorer: The same model, opened as an engine. It scores chats one by one.
        files: Where the decoder is read from.
        budget: Tokens of a forward pass.
    """

    scorer: EngineScorer
    files: DecoderFiles
    budget: int
    name: str = field(init=False)
    n_texts_cut: int = field(init=False, default=0)
    sees_images: bool = field(init=False)
    _unread: Counter[str] = field(init=False, default_factory=Counter)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)  # one forward pass at a time

    def __post_init__(self) -> None:
        self.name, self.sees_images = self.scorer.name, self.scorer.sees_images

    @property
    def revision(self) -> str:
        return self.scorer.revision

    @property
    def encoder(self) -> ResponseEncoder:
        """Makes tokens of prompts and responses."""
        return self.files.decoder.encoder

    @cached_property
    def rendered(self) -> RenderedChats:
        """Reads rendered chats."""
        return RenderedChats(self.encoder.chat)

    @property
    def compares_responses(self) -> bool:
        """Tells whether a score depends on the other responses to the prompt."""
        return False

    @property
    def image_mark(self) -> str | None:
        """Text that stands for an image in a rendered chat; None: the model reads no images."""
        encoder = self.encoder
        return str(encoder.processor.image_token) if isinstance(encoder, VisionResponseEncoder) else None

    def load(self) -> Self:
        """Read the weights now, and return this scorer."""
        try:
            _ = self.files.decoder
        except (OSError, ValueError) as error:
            raise CurateError(
                f"The reward model {self.files.model} cannot be read: {' '.join(str(error).split())[:300]}"
            ) from error
        return self

    @property
    def left_out(self) -> Counter[str]:
        own = self.encoder.left_out if "decoder" in vars(self.files) else Counter[str]()
        return own + self.scorer.left_out

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
        text = request if self.sees_images else hide_request_media(request)
        encoded = self.encoder.encode_responses(
            text.context, text.responses, tools=text.tools, separator=self.files.decoder.separator
        )
        return replace(request, encoded=encoded)

    def merge_requests(self, requests: Sequence[PromptResponses]) -> PromptResponses:
        """Return requests with one prompt as one request, with its tokens.

        Args:
            requests: Requests that hold messages, or else tokens.
        """
        first = requests[0]
        responses = tuple(response for request in requests for response in request.responses)
        if first.context or not isinstance(first.encoded, EncodedResponses):
            return self.encode_request(replace(first, responses=responses, encoded=None))
        answers = [
            answer
            for request in requests
            if isinstance(request.encoded, EncodedResponses)
            for answer in request.encoded.responses
        ]
        fitted = self.encoder.fit_responses(first.encoded.prompt, answers, self.files.decoder.separator)
        return replace(first, responses=responses, encoded=fitted)

    def encode_own(
        self, text: str, *, prompt: str | None = None, several: bool = False
    ) -> EncodedResponses | None:
        encoded = self.rendered.encode_own(text, prompt=prompt, several=several)
        return None if encoded is None else self.encoder.fit_tokens(*encoded)

    def encode_literal(self, text: str) -> EncodedResponses:
        return self.encode_ids(self.rendered.encode_literal(text))

    def encode_ids(self, ids: Sequence[int]) -> EncodedResponses:
        n_tokens = self.files.decoder.model.backbone.get_input_embeddings().num_embeddings
        if not ids or not 0 <= min(ids) <= max(ids) < n_tokens:
            raise ValueError(f"give at least one token id, each from 0 to {n_tokens - 1}")
        return self.encoder.fit_tokens(ids, len(ids) - 1)

    def _split_batches(
        self, requests: Sequence[PromptResponses]
    ) -> Iterator[list[tuple[EncodedResponses, list[Place]]]]:
        """Yield prompts with their responses and the places of their scores: `budget` tokens, or one prompt."""
        parts = (
            (len(prompt) + count_tree_tokens(part[0].responses), part)
            for prompt, rows in self._group_prompts(requests).items()
            for part in self._split_prompt(prompt, rows)
        )
        return cut_batches(parts, budget=self.budget)

    def _read_tokens(self, request: PromptResponses) -> EncodedResponses | None:
        """Return the tokens of a request, and count what was lost; None where it cannot be read."""
        encoded = self.encode_request(request).encoded
        if isinstance(encoded, Failure):
            self._unread[encoded.reason] += len(request.responses)
            return None
        assert encoded is not None  # `encode_request` has made tokens
        self.n_texts_cut += encoded.cut
        return encoded

    def _group_prompts(self, requests: Sequence[PromptResponses]) -> dict[Ids, list[tuple[Ids, Place]]]:
        """Return the responses to each prompt, with the places of their scores."""
        by_prompt: dict[Ids, list[tuple[Ids, Place]]] = {}
        for row, request in enumerate(requests):
            encoded = self._read_tokens(request)
            if encoded is not None:
                rows = by_prompt.setdefault(encoded.prompt, [])
                rows += [(ids, (row, slot)) for slot, ids in enumerate(encoded.responses)]
        return by_prompt

    def _split_prompt(
        self, prompt: Ids, rows: list[tuple[Ids, Place]]
    ) -> Iterator[tuple[EncodedResponses, list[Place]]]:
        """Yield one prompt's responses in parts of about `budget` tokens, each behind a copy of the prompt."""
        sized = ((len(row[0]), row) for row in rows)
        for part in cut_batches(sized, budget=self.budget, overhead=len(prompt)):
            yield _join_rows(prompt, part)

    def _score_batch(self, batch: list[tuple[EncodedResponses, list[Place]]], scores: list[Float64]) -> None:
        """Write the scores of a batch into `scores`, at their places."""
        row = self.files.decoder.pack([encoded for encoded, _ in batch])
        values = self.files.decoder.model.score(row).double().cpu().numpy()
        places = [place for _, part in batch for place in part]
        for value, (request, slot) in zip(values, places, strict=True):
            scores[request][slot] = value


def _join_rows(prompt: Ids, rows: list[tuple[Ids, Place]]) -> tuple[EncodedResponses, list[Place]]:
    return EncodedResponses(prompt, tuple(ids for ids, _ in rows)), [place for _, place in rows]
