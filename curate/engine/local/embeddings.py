"""Frozen sentence embeddings, computed once per text and kept on disk."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curate.core.atomic import atomic_file
from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.core.steps import Steps, run_steps
from curate.engine.local.embedder import Embedder
from curate.engine.weights import Weights, locate_model

Float32 = NDArray[np.float32]
LongTexts = Literal["windows", "cut"]
"""The part of a text too long for the model that is read: all of it in windows, or its beginning alone."""

DTYPE = "float32"  # on a GPU too: heads are stored, and read vectors of one precision wherever they go
_SEGMENT = 256  # texts per file of the cache: what a killed process loses at most


class CachedEmbedder:
    """Unit-length sentence embeddings by a sentence-transformers model that is loaded when first needed.

    On a CPU each window goes through the model alone and on one thread. That costs little there (no padding), and
    it makes the vector of a text independent of its neighbours and of the machine's load to the last bit, so that
    interrupted and repeated runs agree. On a GPU windows go in batches, which agree to about 1e-6.

    Args:
        name: Folder, `pypi:package` or hub id of the model.
        cache: Folder to keep the vectors in; default: they stay in memory for one call.
        long_texts: "cut" is for heads that were trained on such vectors. It warns, and counts in `cut`.
    """

    def __init__(self, name: str, *, cache: Path | None = None, long_texts: LongTexts = "windows") -> None:
        self.name = name
        self.cut = 0  # texts that lost their end when they were embedded
        self._cache = cache
        self.long_texts = long_texts

    @cached_property
    def digest(self) -> str:
        """Identifies the model's weights."""
        return self._model_weights.digest

    @cached_property
    def _model_weights(self) -> Weights:
        return locate_model(self.name, revision="main", folder=Path())

    def embed(self, texts: Sequence[str], *, track: Track = no_progress) -> Float32:
        """Return float32[n, d], one unit vector per text."""

        def encode(part: list[str]) -> Steps[Float32]:
            yield from ()
            return self._encode(part)

        return run_steps(self._embed(texts, encode, track))

    def embed_in_steps(self, texts: Sequence[str]) -> Steps[Float32]:
        """Do what `embed` does, one forward pass of the model a step."""
        return self._embed(texts, self._encode_in_steps, no_progress)

    def count_tokens(self, text: str, most: int) -> int:
        """Count the tokens of a text, in any thread; of one with more than `most`, not all of them."""
        return self._window_embedder.count_tokens(text, most)

    def _embed(
        self, texts: Sequence[str], encode: Callable[[list[str]], Steps[Float32]], track: Track
    ) -> Steps[Float32]:
        require_extra(
            "models", "sentence_transformers", "safetensors", purpose=f"The embedding model {self.name}"
        )
        key_of = {text: _hash_text(text) for text in texts}
        keys = [key_of[text] for text in texts]
        distinct = dict(zip(keys, texts, strict=True))  # in order of first appearance
        store = VectorStore(self._cache_folder)
        missing = [key for key in distinct if key not in store]
        with track("embed", len(missing)) as advance:
            for start in range(0, len(missing), _SEGMENT):
                part = missing[start : start + _SEGMENT]
                store.add_vectors(part, (yield from encode([distinct[key] for key in part])))
                advance(len(part))
        return store.take_vectors(keys)

    @property
    def _cache_folder(self) -> Path | None:
        """The folder of cached vectors. Vectors of beginnings have their own, as before there were windows."""
        if self._cache is None:
            return None
        return self._cache / (self.digest if self.long_texts == "cut" else f"{self.digest}-windows")

    def _encode(self, texts: list[str]) -> Float32:
        return run_steps(self._encode_in_steps(texts, at_once=True))

    def _encode_in_steps(self, texts: list[str], *, at_once: bool = False) -> Steps[Float32]:
        embedder, is_cut = self._window_embedder, self.long_texts == "cut"
        if is_cut and (cut := embedder.count_too_long(texts)):
            self.cut += cut
            warnings.warn(
                f"{cut} texts are longer than the {embedder.model.max_seq_length} tokens that the "
                f"embedding model {self.name} reads at once. The reward model on it was trained on the beginnings of "
                "texts, so it reads only those: train it again with `curate train` to have whole texts read.",
                stacklevel=2,
            )
        if not at_once:
            vectors = yield from embedder.embed_in_steps(texts, beginnings=is_cut)
        else:
            vectors = embedder.embed_beginnings(texts) if is_cut else embedder.embed(texts)
        return np.ascontiguousarray(vectors, np.float32)

    @cached_property
    def _window_embedder(self) -> Embedder:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            model = SentenceTransformer(
                self._model_weights.source,
                revision=self._model_weights.hub_revision,
                model_kwargs={"dtype": getattr(torch, DTYPE)},
            )
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise CurateError(f"Cannot load the embedding model {self.name}: {reason}") from error
        finally:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        return Embedder(model, batch=1 if model.device.type == "cpu" else 64)


class VectorStore:
    """Vectors by text digest, in a folder of files that are written once, whole or not at all.

    Each `add` is a new file under a temporary name that is then renamed, so several processes may add at
    once and a killed one leaves nothing half. Without a folder the vectors stay in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._vectors: list[Float32] = []
        self._where: dict[bytes, tuple[int, int]] = {}  # text digest → segment, row
        if folder is not None and folder.is_dir():
            for file in sorted(folder.glob("*.safetensors")):
                self._add_segment(*_read_vectors(file))

    def __contains__(self, key: bytes) -> bool:
        return key in self._where

    def add_vectors(self, keys: Sequence[bytes], vectors: Float32) -> None:
        self._add_segment(keys, vectors)
        if self._folder is None:
            return
        from safetensors.numpy import save

        name = content_id([key.hex() for key in keys])
        packed = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)
        with atomic_file(self._folder / f"{name}.safetensors") as file:
            file.write_bytes(save({"keys": packed, "vectors": vectors}))

    def take_vectors(self, keys: Sequence[bytes]) -> Float32:
        if not keys:
            return np.empty((0, 0), np.float32)
        dimension = self._vectors[0].shape[1]
        taken = np.empty((len(keys), dimension), np.float32)
        for position, key in enumerate(keys):
            segment, row = self._where[key]
            taken[position] = self._vectors[segment][row]
        return taken

    def _add_segment(self, keys: Sequence[bytes], vectors: Float32) -> None:
        segment = len(self._vectors)
        self._vectors.append(vectors)
        for row, key in enumerate(keys):
            self._where.setdefault(key, (segment, row))


def _read_vectors(file: Path) -> tuple[list[bytes], Float32]:
    from safetensors.numpy import load_file

    arrays = load_file(file)
    return [row.tobytes() for row in arrays["keys"]], arrays["vectors"]


def _hash_text(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
