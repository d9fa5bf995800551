"""Sentence embeddings that read the whole text: one that is too long for the model is averaged over windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.engine.threads import limit_to_one_thread

Float32 = NDArray[np.float32]
Window = tuple[str, int]  # a piece of a text, and its number of tokens (at least 1)


@dataclass(slots=True)
class Embedder:
    """`model`: a SentenceTransformer; `batch`: windows per forward pass."""

    model: Any
    batch: int = 32

    def embed(self, texts: Sequence[str]) -> Float32:
        """Unit vectors, float32[len(texts), d]."""
        if not texts:
            return np.zeros((0, self.model.get_embedding_dimension()), np.float32)
        return embed_windows(
            texts,
            lambda text: split_windows(self.model.tokenizer, self.model.max_seq_length, text),
            self._encode,
        )

    def embed_tokens(self, texts: Sequence[str]) -> list[Float32]:
        """Unit vectors of each text's tokens in their context, float32[tokens, d]; special tokens are left out."""
        unique = sorted(set(texts))
        tokenizer, limit = self.model.tokenizer, self.model.max_seq_length
        parted = [split_windows(tokenizer, limit, text) if text else [] for text in unique]
        pieces = [piece for parts in parted for piece, _ in parts]
        with limit_to_one_thread():
            found = self.model.encode(
                pieces, batch_size=self.batch, output_value="token_embeddings", show_progress_bar=False
            )
        vectors = iter(
            normalize_rows(tokens.float().cpu().numpy()[~special])
            for tokens, special in zip(found, self._special(pieces), strict=True)
        )
        nothing = np.zeros((0, self.model.get_embedding_dimension()), np.float32)
        by_text = {
            text: np.concatenate([nothing, *(next(vectors) for _ in parts)])
            for text, parts in zip(unique, parted, strict=True)
        }
        return [by_text[text] for text in texts]

    def _special(self, pieces: Sequence[str]) -> list[NDArray[np.bool_]]:
        """Which tokens the model puts around each piece."""
        tokenizer, limit = self.model.tokenizer, self.model.max_seq_length
        masks = [
            tokenizer(piece, return_special_tokens_mask=True, truncation=True, max_length=limit)
            for piece in pieces
        ]
        return [np.array(each["special_tokens_mask"], bool) for each in masks]

    def _encode(self, pieces: Sequence[str]) -> Float32:
        with limit_to_one_thread():
            vectors: Float32 = self.model.encode(
                pieces,
                batch_size=self.batch,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return vectors


def normalize_rows(vectors: Float32) -> Float32:
    """Each row divided by its length."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / lengths, np.float32)


def embed_windows(
    texts: Sequence[str],
    split: Callable[[str], list[Window]],
    encode: Callable[[Sequence[str]], Float32],
) -> Float32:
    """Unit vectors, float32[len(texts), d]: the mean over windows, weighted by their tokens."""
    unique = sorted(set(texts))  # in a fixed order, so that batches do not depend on that of the requests
    parted = [split(text) for text in unique]
    vectors = encode([piece for parts in parted for piece, _ in parts])
    means, start = {}, 0
    for text, parts in zip(unique, parted, strict=True):
        weights = np.asarray([tokens for _, tokens in parts], np.float32)
        mean = weights @ vectors[start : start + len(parts)]
        means[text] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        start += len(parts)
    return np.stack([means[text] for text in texts]).astype(np.float32)


def split_windows(tokenizer: Any, limit: int | None, text: str) -> list[Window]:
    """Consecutive pieces of the text that a model which reads `limit` tokens can read."""
    encoded = tokenizer(
        text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
    )
    offsets = encoded["offset_mapping"]
    size = max(1, (limit or len(offsets) + 2) - tokenizer.num_special_tokens_to_add())
    if len(offsets) <= size:
        return [(text, max(1, len(offsets)))]
    lots = [offsets[start : start + size] for start in range(0, len(offsets), size)]
    return [(text[lot[0][0] : lot[-1][1]], len(lot)) for lot in lots]
