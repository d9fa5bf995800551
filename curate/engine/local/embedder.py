"""Sentence embeddings that read the whole text: a text that is too long for the model is averaged over windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.core.steps import Steps, run_steps
from curate.engine.threads import limit_to_one_thread

Float32 = NDArray[np.float32]
Window = tuple[str, int]  # a piece of a text, and its number of tokens (at least 1)
_STRETCH = 1 << 15  # characters that are tokenised at a time: a longer text would hold memory and thread
_WINDOWS = 4096  # whose texts are held at a time


@dataclass
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

    def embed_in_steps(self, texts: Sequence[str], *, beginnings: bool = False) -> Steps[Float32]:
        """Do what `embed` or `embed_beginnings` does, one forward pass of the model a step."""
        return embed_windows_in_steps(
            texts,
            _take_whole if beginnings else self._split_text,
            self.embed_beginnings,
            windows=self.batch,
        )

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
        split = [list(self._split_text(text)) if text else [] for text in unique]
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
        return sum(len(list(islice(self._split_text(text), 2))) > 1 for text in texts)

    def count_tokens(self, text: str, most: int) -> int:
        """Count the tokens of a text, in any thread; of one with more than `most`, not all of them."""
        count = 0
        for _, stretch in cut_stretches(text):
            count += len(self._counter.encode(stretch, add_special_tokens=False).ids)
            if count > most:
                break
        return count

    @cached_property
    def _counter(self) -> Any:
        """A tokenizer of its own: that of the model must not be used in two threads at a time."""
        tokenizer = self.model.tokenizer
        counter = deepcopy(getattr(tokenizer, "backend_tokenizer", tokenizer))
        counter.no_truncation()
        counter.no_padding()
        return counter

    def _split_text(self, text: str) -> Iterable[Window]:
        if self.model.max_seq_length in (
            None,
            math.inf,
        ):  # static embeddings, whose tokenizer is of another kind
            return [(text, 1)]
        return iterate_windows(self.model.tokenizer, self.model.max_seq_length, text)

    def _mask_special_tokens(self, pieces: Sequence[str]) -> list[NDArray[np.bool_]]:
        """Return for each piece bool[tokens]: which tokens the model puts around it."""
        tokenizer, limit = self.model.tokenizer, self.model.max_seq_length
        encodings = [
            tokenizer(piece, return_special_tokens_mask=True, truncation=True, max_length=limit)
            for piece in pieces
        ]
        return [np.array(encoding["special_tokens_mask"], bool) for encoding in encodings]


def _take_whole(text: str) -> list[Window]:
    return [(text, 1)]


def normalize_rows(vectors: Float32) -> Float32:
    """Return each row divided by its length."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / lengths, np.float32)


def embed_windows(
    texts: Sequence[str],
    split: Callable[[str], Iterable[Window]],
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
    return run_steps(embed_windows_in_steps(texts, split, encode, windows=_WINDOWS))


def embed_windows_in_steps(
    texts: Sequence[str],
    split: Callable[[str], Iterable[Window]],
    encode: Callable[[Sequence[str]], Float32],
    *,
    windows: int,
) -> Steps[Float32]:
    """Do what `embed_windows` does, so many windows a step."""
    unique = sorted(set(texts))  # in a fixed order, so that batches do not depend on that of the requests
    vectors: list[list[Float32]] = [[] for _ in unique]
    weights: list[list[int]] = [[] for _ in unique]
    waiting: list[tuple[int, str]] = []  # number of the text, window

    def encode_waiting() -> None:
        encoded = encode([window for _, window in waiting])
        for (number, _), vector in zip(waiting, encoded, strict=True):
            vectors[number].append(vector)
        waiting.clear()

    for number, text in enumerate(unique):
        for window, tokens in split(text):
            if len(waiting) == windows:
                encode_waiting()
                yield
            waiting.append((number, window))
            weights[number].append(tokens)
    encode_waiting()
    means = {
        text: _average_windows(parts, tokens)
        for text, parts, tokens in zip(unique, vectors, weights, strict=True)
    }
    return np.stack([means[text] for text in texts]).astype(np.float32)


def _average_windows(vectors: Sequence[Float32], tokens: Sequence[int]) -> Float32:
    """Return the unit vector float32[d] of a text, from those of its windows."""
    if len(vectors) == 1:  # to the last bit that of the model, whoever embeds
        return np.asarray(vectors[0], np.float32)
    mean = np.asarray(tokens, np.float32) @ np.stack(vectors)
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
    return list(iterate_windows(tokenizer, limit, text))


def iterate_windows(tokenizer: Any, limit: int | None, text: str) -> Iterator[Window]:
    """Yield what `split_windows` returns; of a long text no more is tokenised than the next windows need."""
    size = None if limit is None else max(1, limit - tokenizer.num_special_tokens_to_add())
    waiting: list[tuple[int, int]] = []  # characters of the tokens that are in no window yet
    is_split = False
    for start, stretch in cut_stretches(text):
        encoded = tokenizer(
            stretch, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        waiting += [(first + start, last + start) for first, last in encoded["offset_mapping"]]
        while size is not None and len(waiting) > size:
            piece = text[waiting[0][0] : waiting[size - 1][1]]
            if piece == text:  # tokens smaller than a character cannot be told apart
                yield text, len(waiting)
                return
            # A window that begins inside a word may be more tokens by itself than within the text: split it again.
            yield from iterate_windows(tokenizer, limit, piece)
            del waiting[:size]
            is_split = True
    if not is_split:
        yield text, max(1, len(waiting))
    elif waiting:
        yield from iterate_windows(tokenizer, limit, text[waiting[0][0] : waiting[-1][1]])


def cut_stretches(text: str) -> Iterator[tuple[int, str]]:
    """Yield the stretches in which a text is tokenised, and where they start.

    They end before a single space between words: of such stretches tokenizers of words (WordPiece, byte-level BPE,
    SentencePiece) make the same tokens as of the whole text.
    """
    start = 0
    while len(text) - start > _STRETCH:
        end = start + _STRETCH
        space = text.rfind(" ", start + 1, end)
        while space > start and not (text[space - 1].isalnum() and text[space + 1].isalnum()):
            space = text.rfind(" ", start + 1, space)
        end = space if space > start else end
        yield start, text[start:end]
        start = end
    yield start, text[start:]
