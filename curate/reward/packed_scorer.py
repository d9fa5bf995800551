"""A decoder reward model that reads a prompt once for all its responses.

The layout is that of training (`curate.reward.packing.pack_shared_prefix`): responses see the prompt and themselves. So
scores are those of separate passes, and texts that are too long are cut as they were in training.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from curate.core.errors import CurateError
from curate.core.progress import Track, no_progress
from curate.data.conversation import Conversation
from curate.engine.base import Failure, Score
from curate.engine.local.loading import get_hub_arguments, resolve_device, resolve_dtype, silence_loading
from curate.engine.weights import locate_model
from curate.reward.model import RewardModel
from curate.reward.packing import pack_shared_prefix
from curate.reward.scorer import EngineScorer, Float64, PromptResponses
from curate.reward.tokens import EncodedResponses, ResponseEncoder

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
    _unread: Counter[str] = field(init=False, default_factory=Counter)
    _lock: threading.Lock = field(
        init=False, default_factory=threading.Lock
    )  # tokenizers take one thread at a time

    def __post_init__(self) -> None:
        self.name, self.revision = self.scorer.name, self.scorer.revision

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

    def _split_batches(
        self, requests: Sequence[PromptResponses]
    ) -> Iterator[list[tuple[EncodedResponses, list[Place]]]]:
        """Yield prompts with their responses and the places of their scores: `budget` tokens, or one prompt."""
        by_prompt: dict[tuple[Conversation, str | None], list[Place]] = {}
        for row, request in enumerate(requests):
            places = by_prompt.setdefault((request.context, request.tools), [])
            places += [(row, slot) for slot in range(len(request.responses))]
        batch: list[tuple[EncodedResponses, list[Place]]] = []
        size = 0
        for (context, tools), places in by_prompt.items():
            for part in self._encode_prompt(context, tools, places, requests):
                tokens = _count_tokens(part[0])
                if batch and size + tokens > self.budget:
                    yield batch
                    batch, size = [], 0
                batch.append(part)
                size += tokens
        if batch:
            yield batch

    def _encode_prompt(
        self,
        context: Conversation,
        tools: str | None,
        places: list[Place],
        requests: Sequence[PromptResponses],
    ) -> Iterator[tuple[EncodedResponses, list[Place]]]:
        """Yield one prompt's responses in parts of about `budget` tokens, each behind a copy of the prompt."""
        step = len(places)
        while places:
            part = places[:step]
            encoded = self.encoder.encode_responses(
                context, [requests[row].responses[slot] for row, slot in part], tools=tools
            )
            if isinstance(encoded, Failure):
                self._unread[encoded.reason] += len(places)
                return
            tokens = _count_tokens(encoded)
            if tokens > self.budget and step > 1:
                step = max(1, min(step // 2, step * self.budget // tokens))
                continue
            self.n_texts_cut += encoded.cut
            yield encoded, part
            places = places[step:]

    def _score_batch(self, batch: list[tuple[EncodedResponses, list[Place]]], scores: list[Float64]) -> None:
        """Write the scores of a batch into `scores`, at their places."""
        row = pack_shared_prefix(
            [encoded.prompt for encoded, _ in batch], [encoded.responses for encoded, _ in batch]
        )
        values = self.model.score(row.to(self.model.backbone.device)).double().cpu().numpy()
        places = [place for _, part in batch for place in part]
        for value, (request, slot) in zip(values, places, strict=True):
            scores[request][slot] = value


def _count_tokens(encoded: EncodedResponses) -> int:
    return len(encoded.prompt) + sum(map(len, encoded.responses))
