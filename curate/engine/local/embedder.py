"""Sentence embeddings that read the whole text: a text that is too long for the model is averaged over windows."""

from __future__ import annotations

import math
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
    """A sentence-transformers model.

    Args:
        model: A SentenceTransformer.
        batch: Windows per forward pass.
    """

    model: Any
    batch: int = 32

    def embed(self, texts: Sequence[str]) -> Float32:
        """Return unit vectors, float32[len(texts), d]. No text is cut: long ones are averaged over windows."""
        if not texts:
            return np.zeros((0, self.model.get_embedding_dimension()), np.float32)
        return embed_windows(texts, self._split_text, self.embed_beginnings)

    def embed_beginnings(self, texts: Sequence[str]) -> Float32:
        """Return unit vectors, float32[len(texts), d], of as much of each text as the model reads at once."""
        with limit_to_one_thread():
            vectors: Float32 = self.model.encode(
                list(texts),
                batch_size=self.batch,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return vectors

    def embed_tokens(self, texts: Sequence[str]) -> list[Float32]:
        """Return unit vectors of each text's tokens in their context.

        Returns:
            For each text float32[tokens, d], without special tokens; no rows for an empty text.
        """
        unique = sorted(set(texts))
        split = [self._split_text(text) if text else [] for text in unique]
        pieces = [piece for windows in split for piece, _ in windows]
        with limit_to_one_thread():
            states = self.model.encode(
                pieces, batch_size=self.batch, output_value="token_embeddings", show_progress_bar=False
            )
        vectors = iter(
            normalize_rows(tokens.float().cpu().numpy()[~special])
            for tokens, special in zip(states, self._mask_special_tokens(pieces), strict=True)
        )
        no_tokens = np.zeros((0, self.model.get_embedding_dimension()), np.float32)
        by_text = {
            text: np.concatenate([no_tokens, *(next(vectors) for _ in windows)])
            for text, windows in zip(unique, split, strict=True)
        }
        return [by_text[text] for text in texts]

    def count_too_long(self, texts: Sequence[str]) -> int:
        """Count the texts that the model cannot read at once."""
        return sum(len(self._split_text(text)) > 1 for text in texts)

    def _split_text(self, text: str) -> list[Window]:
        if self.model.max_seq_length in (
            None,
            math.inf,
        ):  # static embeddings, whose tokenizer is of another kind
            return [(text, 1)]
        return split_windows(self.model.tokenizer, self.model.max_seq_length, text)

    def _mask_special_tokens(self, pieces: Sequence[str]) -> list[NDArray[np.bool_]]:
        """Return for each piece bool[tokens]: which tokens the model puts around it."""
        tokenizer, limit = self.model.tokenizer, self.model.max_seq_length
        encodings = [
            tokenizer(piece, return_special_tokens_mask=True, truncation=True, max_length=limit)
            for piece in pieces
        ]
        return [np.array(encoding["special_tokens_mask"], bool) for encoding in encodings]


def normalize_rows(vectors: Float32) -> Float32:
    """Return each row divided by its length."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / lengths, np.float32)


def embed_windows(
    texts: Sequence[str],
    split: Callable[[str], list[Window]],
    encode: Callable[[Sequence[str]], Float32],
) -> Float32:
    """Embed texts window by window.

    Args:
        texts: n texts, at least one.
        split: Splits a text into windows.
        encode: Returns a unit vector float32[d] for each window.

    Returns:
        Unit vectors, float32[n, d]: of each text the mean over its windows, weighted by their numbers of tokens.
    """
    unique = sorted(set(texts))  # in a fixed order, so that batches do not depend on that of the requests
    split_texts = [split(text) for text in unique]
    vectors = encode([piece for windows in split_texts for piece, _ in windows])
    means, start = {}, 0
    for text, windows in zip(unique, split_texts, strict=True):
        means[text] = _average_windows(vectors[start : start + len(windows)], windows)
        start += len(windows)
    return np.stack([means[text] for text in texts]).astype(np.float32)


def _average_windows(vectors: Float32, windows: Sequence[Window]) -> Float32:
    """Return the unit vector float32[d] of a text, from those of its windows."""
    if len(windows) == 1:  # to the last bit that of the model, whoever embeds
        return np.asarray(vectors[0], np.float32)
    weights = np.asarray([tokens for _, tokens in windows], np.float32)
    mean = weights @ vectors
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def split_windows(tokenizer: Any, limit: int | None, text: str) -> list[Window]:
    """Split a text into consecutive windows that a model can read at once.

    Args:
        tokenizer: A fast Transformers tokenizer.
        limit: Tokens that the model reads, with special tokens; None where any number is read.
        text: The text.

    Returns:
        The pieces with their numbers of tokens; the whole text where it fits.
    """
    encoded = tokenizer(
        text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
    )
    offsets = encoded["offset_mapping"]
    size = max(1, (limit or len(offsets) + 2) - tokenizer.num_special_tokens_to_add())
    if len(offsets) <= size:
        return [(text, max(1, len(offsets)))]
    pieces = []
    for start in range(0, len(offsets), size):
        window = offsets[start : start + size]
        pieces.append(text[window[0][0] : window[-1][1]])
    if len(pieces) == 1 or text in pieces:  # tokens smaller than a character cannot be told apart
        return [(text, len(offsets))]
    # A window that begins inside a word may be more tokens by itself than it was within the text: split it again.
    return [window for piece in pieces for window in split_windows(tokenizer, limit, piece)]
