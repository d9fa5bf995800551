"""A Bradley–Terry reward model on frozen sentence embeddings: what `curate train` makes and the panel uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from curate.core.atomic import atomic_directory
from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.data.media import part_text
from curate.engine.local.embeddings import DTYPE, CachedEmbedder, LongTexts
from curate.reward.model_folder import NOUN, list_model_files

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Dialogue = str | Sequence[Mapping[str, Any]]
"""A prompt: its text, or its messages {role, content: text or parts}."""

FORMAT = "curate-embedding-reward/1"
_DECIMALS = 6  # of a score: far below what matters, far above the rounding of a matrix product


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRewardConfig:
    """`config.json` of a saved model."""

    embedder: str
    embedder_digest: str
    dimension: int
    hidden: int
    folds: int
    seed: int
    epochs: list[int]  # that each head was trained for
    fingerprint: str  # of the data and settings it was trained from
    metrics: dict[str, Any]
    members: int = 1
    combine: Combine = "mean"
    dtype: str = DTYPE  # of the embeddings and the heads
    long_texts: LongTexts = "cut"  # models that do not say so were trained on the beginnings of long texts
    format: str = FORMAT


Combine = Literal["mean", "min", "lower"]
_COMBINED: dict[Combine, Callable[[Float64], Float64]] = {
    "mean": lambda scores: scores.mean(axis=1),
    "min": lambda scores: scores.min(axis=1),
    "lower": lambda scores: scores.mean(axis=1) - scores.std(axis=1),
}


@dataclass(frozen=True, slots=True)
class Heads:
    """K fold heads and, last, the final one: score = w2 · silu(x W1 + b1).

    `w1` float32[K+1, 3d, h], `b1` float32[K+1, h], `w2` float32[K+1, h]. With M `members` the h units are M equal
    parts, each a model of its own; `combine` makes one score of theirs: the mean, the least, or the mean less one
    standard deviation (a response that the members disagree about is not trusted; Coste et al. 2023).
    """

    w1: Float32
    b1: Float32
    w2: Float32
    members: int = 1
    combine: Combine = "mean"

    def score(self, features: Float32, head: int) -> Float64:
        """float64[n] for float32[n, 3d], by one of the heads.

        In double precision and rounded, so that a score does not depend on which others it is computed with.
        """
        return self._round_scores(_COMBINED[self.combine](self._score_members(features, head)))

    def measure_disagreement(self, features: Float32, head: int) -> Float64:
        """float64[n]: standard deviation over the members, each centred on these rows (a level says nothing)."""
        scores = self._score_members(features, head)
        return self._round_scores((scores - scores.mean(axis=0)).std(axis=1))

    def _score_members(self, features: Float32, head: int) -> Float64:
        """float64[n, M]."""
        hidden = features.astype(np.float64) @ self.w1[head].astype(np.float64) + self.b1[head]
        with np.errstate(over="ignore"):  # exp(-x) of a very negative x is inf, and x / inf is the right 0
            activated = hidden / (1.0 + np.exp(-hidden))
        weighed = activated * self.w2[head].astype(np.float64)
        return np.asarray(weighed.reshape(len(weighed), self.members, -1).sum(axis=2))

    @staticmethod
    def _round_scores(scores: Float64) -> Float64:
        return np.asarray(np.round(scores, _DECIMALS) + 0.0)  # no negative zeros


class EmbeddingReward:
    """Scores responses; prompts it was trained on are scored by the head that did not see them."""

    def __init__(
        self, description: EmbeddingRewardConfig, heads: Heads, prompts: frozenset[bytes], digest: str
    ) -> None:
        self.description = description
        self.heads = heads
        self.digest = digest
        self._prompts = prompts
        self._cache: Path | None = None

    @classmethod
    def load(cls, folder: Path | str, *, cache: Path | None = None) -> Self:
        """Read a model from its folder. `cache`: a folder that keeps embeddings from one run to the next."""
        folder = Path(folder)
        description = read_description(folder)
        if description is None:
            raise CurateError(f"There is no reward model in {folder}: make one with `curate train`.")
        require_extra("models", "safetensors", purpose=f"The reward model in {folder}")
        from safetensors.numpy import load_file

        try:
            tensors = load_file(folder / "head.safetensors")
            known = load_file(folder / "prompts.safetensors")["digests"]
            digest = _hash_model(folder, description)
        except Exception as error:  # safetensors raises its own kinds and OSError alike
            raise CurateError(f"The reward model in {folder} cannot be read: {error}.") from error
        heads = Heads(
            tensors["w1"],
            tensors["b1"],
            tensors["w2"],
            members=description.members,
            combine=description.combine,
        )
        model = cls(description, heads, frozenset(row.tobytes() for row in known), digest)
        model._cache = cache
        return model

    @property
    def cut(self) -> int:
        """Number of texts that lost their end, since the model was opened."""
        return self.embedder.cut if "embedder" in self.__dict__ else 0

    @cached_property
    def embedder(self) -> CachedEmbedder:
        embedder = CachedEmbedder(
            self.description.embedder, cache=self._cache, long_texts=self.description.long_texts
        )
        if embedder.digest != self.description.embedder_digest:
            raise CurateError(
                f"The embedding model {embedder.name} is not the one this reward model was trained with: "
                "train it again, or put the old one back."
            )
        return embedder

    def score(
        self,
        prompt_ids: Sequence[str],
        prompts: Sequence[Dialogue],
        responses: Sequence[str],
        *,
        track: Track = no_progress,
    ) -> Float64:
        """float64[n]: the reward of `responses[i]` to `prompts[i]`; only differences within a prompt mean something.

        Pass a prompt of several turns as messages, as they were in training, and not as one text.
        """
        if not len(prompt_ids) == len(prompts) == len(responses):
            raise ValueError(f"{len(prompt_ids)} ids, {len(prompts)} prompts, {len(responses)} responses")
        if not responses:
            return np.empty(0)
        vectors = self.embedder.embed([*map(extract_question, prompts), *responses], track=track)
        inputs = build_features(vectors[: len(prompts)], vectors[len(prompts) :])
        return self.score_features(self.find_heads(prompt_ids), inputs)

    def score_features(self, head: Int64, inputs: Float32) -> Float64:
        scores = np.empty(len(inputs))
        for each in np.unique(head):
            rows = head == each
            scores[rows] = self.heads.score(inputs[rows], int(each))
        return scores

    def find_heads(self, prompt_ids: Sequence[str]) -> Int64:
        """int64[n]: the fold of a prompt of the training set, `folds` (the final head) for any other."""
        folds = self.description.folds
        heads = [
            assign_fold(each, folds) if hash_prompt_id(each) in self._prompts else folds
            for each in prompt_ids
        ]
        return np.array(heads, np.int64)


def read_description(folder: Path) -> EmbeddingRewardConfig | None:
    """What `config.json` says of a saved model; `None` where there is none."""
    try:
        held = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return EmbeddingRewardConfig(**held) if held["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_embedding_reward(
    folder: Path, description: EmbeddingRewardConfig, heads: Heads, prompt_ids: Sequence[str]
) -> EmbeddingReward:
    """Write a model: into a folder beside its own, which then takes its place."""
    from safetensors.numpy import save as packed_bytes

    digests = sorted({hash_prompt_id(each) for each in prompt_ids})
    packed = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)
    text = json.dumps(asdict(description), indent=2, ensure_ascii=False, sort_keys=True)
    with atomic_directory(folder, owned=list_model_files, noun=NOUN) as made:
        (made / "head.safetensors").write_bytes(
            packed_bytes({"w1": heads.w1, "b1": heads.b1, "w2": heads.w2})
        )
        (made / "prompts.safetensors").write_bytes(packed_bytes({"digests": packed}))
        (made / "config.json").write_text(text + "\n", encoding="utf-8")
    return EmbeddingReward.load(folder)


def extract_question(prompt: Dialogue) -> str:
    """What is embedded of a prompt: its last user turn, since embedding models cut long texts at their end."""
    if isinstance(prompt, str):
        return prompt
    turns = [read_message_text(each) for each in prompt if each["role"] == "user"]
    turns = turns or [read_message_text(each) for each in prompt]
    return turns[-1] if turns else ""


def read_message_text(message: Mapping[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(map(part_text, content or ()))


def build_features(prompts: Float32, responses: Float32) -> Float32:
    """float32[n, 3d] of float32[n, d] each: response, prompt, and their product (what of the answer is asked for).

    Unit vectors are scaled by √d / 2, so that the first two parts have entries of about one half.
    """
    scale = np.float32(0.5 * np.sqrt(prompts.shape[1]))
    joined = [responses, prompts, np.float32(8.0) * prompts * responses]
    joint: Float32 = np.concatenate(joined, axis=1) * scale
    return joint


def hash_prompt_id(prompt_id: str) -> bytes:
    """16 bytes: of our own ids (32 hex digits) what they say, of any other its hash."""
    try:
        own = bytes.fromhex(prompt_id)
    except ValueError:
        own = b""
    return own if len(own) == 16 else bytes.fromhex(content_id(prompt_id))


def assign_fold(prompt_id: str, folds: int) -> int:
    """The cross-fitting fold of a prompt: a function of its id alone."""
    return int.from_bytes(hash_prompt_id(prompt_id), "big") % folds


def _hash_model(folder: Path, description: EmbeddingRewardConfig) -> str:
    files = [folder / "head.safetensors", folder / "prompts.safetensors"]
    parts = [blake2b(file.read_bytes(), digest_size=16).hexdigest() for file in files]
    ensemble = (description.members, description.combine) if description.members > 1 else ()
    windows = ("windows",) if description.long_texts == "windows" else ()
    return content_id(description.embedder_digest, description.folds, *ensemble, *windows, *parts)
