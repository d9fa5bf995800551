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
from curate.core.steps import Steps
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
    """`config.json` of a saved model.

    Attributes:
        embedder: Name of the embedding model.
        embedder_digest: Identifies its weights.
        dimension: Length of an embedding.
        hidden: Hidden units of a head.
        folds: Number of cross-fitting folds.
        seed: Seed of the training.
        epochs: Epochs that each head was trained for.
        fingerprint: Hash of the data and settings of the training.
        metrics: Figures of the training, for people.
        members: Models of an ensemble.
        combine: Way to make one score of those of the members.
        dtype: Precision of the embeddings and the heads.
        long_texts: Way to embed long texts. Models without this field were trained on the beginnings of texts.
        format: Name and version of the format.
    """

    embedder: str
    embedder_digest: str
    dimension: int
    hidden: int
    folds: int
    seed: int
    epochs: list[int]
    fingerprint: str
    metrics: dict[str, Any]
    members: int = 1
    combine: Combine = "mean"
    dtype: str = DTYPE
    long_texts: LongTexts = "cut"
    format: str = FORMAT


Combine = Literal["mean", "min", "lower"]
_COMBINERS: dict[Combine, Callable[[Float64], Float64]] = {
    "mean": lambda scores: scores.mean(axis=1),
    "min": lambda scores: scores.min(axis=1),
    "lower": lambda scores: scores.mean(axis=1) - scores.std(axis=1),
}


@dataclass(frozen=True, slots=True)
class Heads:
    """K fold heads and, last, the final one: score = w2 · silu(x W1 + b1).

    With M members the h units are M equal parts, each a model of its own. `combine` makes one score of theirs: the
    mean, the least, or the mean less one standard deviation (a response that the members disagree about is not
    trusted; Coste et al. 2023).

    | field     | type                | meaning |
    | ---       | ---                 | --- |
    | `w1`      | float32[K+1, 3d, h] | weights of the first layer |
    | `b1`      | float32[K+1, h]     | biases of the first layer |
    | `w2`      | float32[K+1, h]     | weights of the second layer |
    | `members` | int                 | M |
    | `combine` | str                 | mean, min or lower |
    """

    w1: Float32
    b1: Float32
    w2: Float32
    members: int = 1
    combine: Combine = "mean"

    def score(self, features: Float32, head: int) -> Float64:
        """Return the scores, float64[n], of features float32[n, 3d] by one of the heads.

        They are computed in double precision and rounded, so that a score does not depend on its batch.
        """
        return self._round_scores(_COMBINERS[self.combine](self._score_members(features, head)))

    def _score_members(self, features: Float32, head: int) -> Float64:
        """Return the scores of the members, float64[n, M]."""
        hidden = features.astype(np.float64) @ self.w1[head].astype(np.float64) + self.b1[head]
        with np.errstate(over="ignore"):  # exp(-x) of a very negative x is inf, and x / inf is the right 0
            activated = hidden / (1.0 + np.exp(-hidden))
        weighed = activated * self.w2[head].astype(np.float64)
        return np.asarray(weighed.reshape(len(weighed), self.members, -1).sum(axis=2))

    @staticmethod
    def _round_scores(scores: Float64) -> Float64:
        return np.asarray(np.round(scores, _DECIMALS) + 0.0)  # no negative zeros


class EmbeddingReward:
    """A trained model. Prompts of its training set are scored by the head that did not see them.

    Args:
        description: Its `config.json`.
        heads: Its heads.
        prompts: Digests of the prompts of its training set.
        digest: Identifies everything that can change a score.
    """

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
        """Read a model from its folder.

        Args:
            folder: The folder.
            cache: Folder that keeps embeddings from one run to the next.

        Raises:
            CurateError: There is no such model, or it cannot be read.
        """
        folder = Path(folder)
        description = read_description(folder)
        if description is None:
            raise CurateError(f"There is no reward model in {folder}: make one with `curate train`.")
        require_extra("models", "safetensors", purpose=f"The reward model in {folder}")
        from safetensors.numpy import load_file

        try:
            tensors = load_file(folder / "head.safetensors")
            digests = load_file(folder / "prompts.safetensors")["digests"]
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
        model = cls(description, heads, frozenset(row.tobytes() for row in digests), digest)
        model._cache = cache
        return model

    @property
    def n_texts_cut(self) -> int:
        """Number of texts that lost their end, since the model was opened."""
        return self.sentence_embedder.cut if "sentence_embedder" in self.__dict__ else 0

    @cached_property
    def sentence_embedder(self) -> CachedEmbedder:
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
        """Score responses. Only differences between responses to one prompt mean something.

        Args:
            prompt_ids: Id of the prompt of each of the n responses.
            prompts: Its text, or its messages. Pass a prompt of several turns as messages, as in training.
            responses: Text of each response.
            track: Shows progress.

        Returns:
            float64[n], the rewards.
        """
        texts = _list_texts(prompt_ids, prompts, responses)
        return self._score_vectors(prompt_ids, self.sentence_embedder.embed(texts, track=track))

    def score_in_steps(
        self, prompt_ids: Sequence[str], prompts: Sequence[Dialogue], responses: Sequence[str]
    ) -> Steps[Float64]:
        """Do what `score` does, one forward pass of the embedding model a step."""
        texts = _list_texts(prompt_ids, prompts, responses)
        return self._score_vectors(prompt_ids, (yield from self.sentence_embedder.embed_in_steps(texts)))

    def _score_vectors(self, prompt_ids: Sequence[str], vectors: Float32) -> Float64:
        """Return float64[n] of the vectors of n prompts and of their n responses, float32[2n, d]."""
        if not prompt_ids:
            return np.empty(0)
        inputs = build_features(vectors[: len(prompt_ids)], vectors[len(prompt_ids) :])
        return self.score_features(self.find_heads(prompt_ids), inputs)

    def score_features(self, head: Int64, inputs: Float32) -> Float64:
        """Score features float32[n, 3d] by the heads int64[n]."""
        scores = np.empty(len(inputs))
        for number in np.unique(head):
            rows = head == number
            scores[rows] = self.heads.score(inputs[rows], int(number))
        return scores

    def find_heads(self, prompt_ids: Sequence[str]) -> Int64:
        """Return int64[n]: the fold of a prompt of the training set, `folds` (the final head) for any other."""
        folds = self.description.folds
        heads = [
            assign_fold(prompt_id, folds) if hash_prompt_id(prompt_id) in self._prompts else folds
            for prompt_id in prompt_ids
        ]
        return np.array(heads, np.int64)


def _list_texts(
    prompt_ids: Sequence[str], prompts: Sequence[Dialogue], responses: Sequence[str]
) -> list[str]:
    if not len(prompt_ids) == len(prompts) == len(responses):
        raise ValueError(f"{len(prompt_ids)} ids, {len(prompts)} prompts, {len(responses)} responses")
    return [*map(extract_question, prompts), *responses]


def read_description(folder: Path) -> EmbeddingRewardConfig | None:
    """Return the `config.json` of a saved model; None where there is none that can be read."""
    try:
        fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return EmbeddingRewardConfig(**fields) if fields["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_embedding_reward(
    folder: Path, description: EmbeddingRewardConfig, heads: Heads, prompt_ids: Sequence[str]
) -> EmbeddingReward:
    """Write a model to a folder, all of it or nothing.

    Args:
        folder: Where to write. A model that is there is replaced; files of anybody else are not.
        description: Its `config.json`.
        heads: Its heads.
        prompt_ids: Ids of the prompts of its training set.
    """
    from safetensors.numpy import save as packed_bytes

    digests = sorted({hash_prompt_id(prompt_id) for prompt_id in prompt_ids})
    packed = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)
    text = json.dumps(asdict(description), indent=2, ensure_ascii=False, sort_keys=True)
    with atomic_directory(folder, owned=list_model_files, noun=NOUN) as new:
        (new / "head.safetensors").write_bytes(packed_bytes({"w1": heads.w1, "b1": heads.b1, "w2": heads.w2}))
        (new / "prompts.safetensors").write_bytes(packed_bytes({"digests": packed}))
        (new / "config.json").write_text(text + "\n", encoding="utf-8")
    return EmbeddingReward.load(folder)


def extract_question(prompt: Dialogue) -> str:
    """Return the text of a prompt that is embedded: its last user turn, or its last turn."""
    if isinstance(prompt, str):
        return prompt
    turns = [read_message_text(turn) for turn in prompt if turn["role"] == "user"]
    turns = turns or [read_message_text(turn) for turn in prompt]
    return turns[-1] if turns else ""


def read_message_text(message: Mapping[str, Any]) -> str:
    """Return the text of a message {role, content: text or parts}."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(map(part_text, content or ()))


def build_features(prompts: Float32, responses: Float32) -> Float32:
    """Return the features of responses, float32[n, 3d]: response, prompt, and their product.

    Args:
        prompts: float32[n, d], unit vectors.
        responses: float32[n, d], unit vectors.

    Unit vectors are scaled by √d / 2, so that the first two parts have entries of about one half.
    """
    scale = np.float32(0.5 * np.sqrt(prompts.shape[1]))
    joined = [responses, prompts, np.float32(8.0) * prompts * responses]
    joint: Float32 = np.concatenate(joined, axis=1) * scale
    return joint


def hash_prompt_id(prompt_id: str) -> bytes:
    """Return 16 bytes: the value of an id of our own (32 hex digits), the hash of any other."""
    try:
        own = bytes.fromhex(prompt_id)
    except ValueError:
        own = b""
    return own if len(own) == 16 else bytes.fromhex(content_id(prompt_id))


def assign_fold(prompt_id: str, folds: int) -> int:
    """Return the cross-fitting fold of a prompt, which depends on its id alone."""
    return int.from_bytes(hash_prompt_id(prompt_id), "big") % folds


def _hash_model(folder: Path, description: EmbeddingRewardConfig) -> str:
    files = [folder / "head.safetensors", folder / "prompts.safetensors"]
    parts = [blake2b(file.read_bytes(), digest_size=16).hexdigest() for file in files]
    ensemble = (description.members, description.combine) if description.members > 1 else ()
    windows = ("windows",) if description.long_texts == "windows" else ()
    return content_id(description.embedder_digest, description.folds, *ensemble, *windows, *parts)
