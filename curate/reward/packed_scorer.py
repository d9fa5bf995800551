"""A decoder reward model that reads a prompt once for all its responses.

The layout is that of training (`curate.reward.packing.pack_shared_prefix`): responses see the prompt and themselves, so
scores are those of separate passes, and what is too long is cut as it was in training.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from curate.core.errors import CurateError
from curate.core.progress import Track, no_progress
from curate.engine.base import Failure
from curate.engine.local.loading import get_hub_arguments, resolve_device, resolve_dtype, silence_loading
from curate.engine.weights import locate_model
from curate.reward.embedding_reward import read_description
from curate.reward.model import RewardModel
from curate.reward.packing import pack_shared_prefix
from curate.reward.scorer import Float64, PromptResponses, RewardScorer, open_reward_model
from curate.reward.tokens import EncodedResponses, ResponseEncoder

_UNBOUNDED = 1 << 30


def open_packed(
    model: str, *, folder: Path, dtype: str = "auto", budget: int = 4096, max_length: int | None = None
) -> RewardScorer:
    """The packed scorer of a decoder; for any other kind of reward model what `open_scorer` opens."""
    plain = open_reward_model(model, folder=folder, dtype=dtype)
    if read_description(folder / model) is not None:  # a head on sentence embeddings
        return plain
    weights = locate_model(model, revision="main", folder=folder)
    if weights.sees_images:
        raise CurateError(
            f"The reward model {model} reads images, which requests to this server cannot hold: let it judge instead, "
            "as {kind: reward-model, model: …} on the panel."
        )
    device = resolve_device("auto")
    try:
        with silence_loading():
            from transformers import AutoTokenizer

            at = get_hub_arguments(weights)
            tokenizer = AutoTokenizer.from_pretrained(weights.source, **at)
            found = RewardModel.load(Path(weights.source), dtype=resolve_dtype(dtype, device), **at)
    except (CurateError, OSError, ValueError):
        return plain
    config = found.backbone.config.get_text_config()
    longest = max_length or min(
        getattr(config, "max_position_embeddings", _UNBOUNDED), tokenizer.model_max_length
    )
    texts = ResponseEncoder(tokenizer, max_length=longest, whole=False, padding=config.pad_token_id)
    return PackedScorer(model, plain.revision, found.to(device).eval(), texts, budget)


class PackedScorer:
    """`budget`: tokens per forward pass. `cut` counts texts that were too long, since the model was opened."""

    def __init__(
        self, name: str, revision: str, model: RewardModel, texts: ResponseEncoder, budget: int
    ) -> None:
        self.name, self.revision, self.cut = name, revision, 0
        self._model, self._texts, self._budget = model, texts, budget
        self._lock = threading.Lock()  # tokenizers and modules are not for two threads at once

    def score(self, asked: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        """As `RewardScorer.score`; equal prompts are computed once, whoever asks."""
        with self._lock, torch.inference_mode():
            scores: list[Float64] = [np.full(len(each.responses), np.nan) for each in asked]
            for lot in self._lots(asked):
                self._score(lot, scores)
        return scores

    def _lots(
        self, asked: Sequence[PromptResponses]
    ) -> Iterator[list[tuple[EncodedResponses, list[tuple[int, int]]]]]:
        """Prompts with their responses, and where each score belongs; `budget` tokens each, or one prompt."""
        by_prompt: dict[tuple[tuple[str, str], ...], list[tuple[int, int]]] = {}
        for row, each in enumerate(asked):
            places = by_prompt.setdefault(tuple(each.context), [])
            places += [(row, at) for at in range(len(each.responses))]
        lot: list[tuple[EncodedResponses, list[tuple[int, int]]]] = []
        size = 0
        for context, places in by_prompt.items():
            for part in self._parts(list(context), places, asked):
                tokens = len(part[0].prompt) + sum(map(len, part[0].responses))
                if lot and size + tokens > self._budget:
                    yield lot
                    lot, size = [], 0
                lot.append(part)
                size += tokens
        if lot:
            yield lot

    def _parts(
        self, context: list[tuple[str, str]], places: list[tuple[int, int]], asked: Sequence[PromptResponses]
    ) -> Iterator[tuple[EncodedResponses, list[tuple[int, int]]]]:
        """One prompt's responses in parts of about `budget` tokens: a part repeats the prompt."""
        step = len(places)
        while places:
            part = places[:step]
            encoded = self._texts.encode(context, [asked[row].responses[at] for row, at in part])
            if isinstance(encoded, Failure):
                return
            tokens = len(encoded.prompt) + sum(map(len, encoded.responses))
            if tokens > self._budget and step > 1:
                step = max(1, min(step // 2, step * self._budget // tokens))
                continue
            self.cut += encoded.cut
            yield encoded, part
            places = places[step:]

    def _score(
        self, lot: list[tuple[EncodedResponses, list[tuple[int, int]]]], scores: list[Float64]
    ) -> None:
        packed = pack_shared_prefix([each.prompt for each, _ in lot], [each.responses for each, _ in lot])
        found = self._model.score(packed.to(self._model.backbone.device)).double().cpu().numpy()
        flat = [place for _, places in lot for place in places]
        for value, (row, at) in zip(found, flat, strict=True):
            scores[row][at] = value
