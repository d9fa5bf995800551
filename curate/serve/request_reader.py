"""Reading requests for one model: bodies of all paths, tokens of their texts, and why a score is missing."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from math import isfinite, nan
from typing import Any

import numpy as np
from pydantic import ValidationError

from curate.config.images import ImageAccess
from curate.core.errors import CurateError
from curate.core.json_text import parse_json
from curate.engine.base import Failure
from curate.reward.scorer import (
    ComparingScorer,
    EncodingScorer,
    PromptResponses,
    RewardScorer,
    SteppingScorer,
)
from curate.serve.batching import count_tokens
from curate.serve.grouping import GroupedPrompts, group_by_prompt, identify_prompt, keep_order
from curate.serve.limits import RefusedError, ServerLimits
from curate.serve.protocol import OpenRlhfRequest, RequestBody, ScoreRequest, TrlRequest
from curate.serve.protocol_gym import VerifyRequest
from curate.serve.protocol_vllm import (
    ClassifyRequest,
    EmbeddingsRequest,
    PairsRequest,
    PoolingRequest,
    RerankRequest,
)
from curate.serve.request_images import RequestImages
from curate.serve.transcript import ChatReader

PATHS: dict[str, type[RequestBody]] = {
    "/score": ScoreRequest,
    "/rewards": TrlRequest,
    "/get_reward": OpenRlhfRequest,
    "/verify": VerifyRequest,
    "/classify": ClassifyRequest,
    "/pooling": PoolingRequest,
    "/rerank": RerankRequest,
    "/v1/score": PairsRequest,
    "/v1/classify": ClassifyRequest,
    "/v1/embeddings": EmbeddingsRequest,
    "/v1/rerank": RerankRequest,
    "/v2/rerank": RerankRequest,
}
_OWN_FIELDS = ("prompt", "messages", "responses")  # of /score, where vLLM's clients send pairs


class RequestReader:
    """Reads requests in any thread.

    A model that compares responses scores those of one prompt together that come in one request.

    Args:
        scorer: The model.
        limits: Limits of a request.
    """

    def __init__(self, scorer: RewardScorer, limits: ServerLimits) -> None:
        self._scorer = scorer
        self._encoder = scorer if isinstance(scorer, EncodingScorer) else None
        self._comparer = scorer if isinstance(scorer, ComparingScorer) and scorer.compares_responses else None
        self._limits = limits
        access = ImageAccess(http=limits.image_http, hosts=limits.image_hosts)
        self._images = RequestImages(
            scorer.sees_images,
            access,
            most=limits.max_images,
            max_bytes=limits.max_bytes,
            max_pixels=limits.max_pixels,
        )
        # A vision-language model reads messages alone: a rendered chat has marks of images, and no images.
        reads_text = None if scorer.sees_images else self._encoder
        mark = self._encoder.image_mark if self._encoder is not None else None
        self._chats = ChatReader(reads_text, several=limits.multi_turn, image_mark=mark)

    def parse(self, path: str, content: bytes) -> tuple[RequestBody, GroupedPrompts]:
        """Parse the body of a request, and make the tokens of its prompts.

        Raises:
            RefusedError: The body is no valid request of this path, or it holds too many responses.
        """
        try:
            body = _parse_body(path, content)
            prompts = self._images.take(body.list_prompts(self._chats))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            problem = first["msg"].removeprefix("Value error, ")
            raise RefusedError(422, f"{where}: {problem}" if where else problem) from None
        except ValueError as error:
            raise RefusedError(422, str(error)) from None
        count, most = sum(len(prompt.responses) for prompt in prompts), self._limits.max_responses
        if count > most:
            raise RefusedError(
                413, f"{count} responses in one request, of {most} allowed: send fewer at a time."
            )
        if self._comparer is not None:
            return body, group_by_prompt(prompts, self._comparer)
        return body, keep_order([self._encode(prompt) for prompt in prompts])

    def merge(self, prompts: Sequence[PromptResponses]) -> PromptResponses:
        """Return the requests of several clients about one prompt as one."""
        assert self._comparer is not None
        return self._comparer.merge_requests(prompts)

    @property
    def compares_responses(self) -> bool:
        """Tells whether a score depends on the other responses of its request."""
        return self._comparer is not None

    def explain(
        self, prompts: Sequence[PromptResponses], scores: Iterable[float]
    ) -> tuple[list[float], dict[int, str]]:
        """Return the scores of all responses, NaN where there is none, and why there is none by place.

        Args:
            prompts: The prompts of a request.
            scores: Scores of the responses to those that could be encoded.
        """
        remaining, values, errors = iter(scores), list[float](), dict[int, str]()
        for prompt in prompts:
            for answer in prompt.responses:
                value = nan if isinstance(prompt.encoded, Failure) else next(remaining)
                if not isfinite(value):
                    errors[len(values)] = self._explain_missing(prompt, replace(prompt, responses=(answer,)))
                values.append(value if isfinite(value) else nan)
        return values, errors

    def transform(self, prompts: Sequence[PromptResponses], scores: Sequence[float]) -> list[float]:
        """Return the rewards of all responses, each made with the scores of the responses to its prompt.

        Raises:
            RefusedError: The server compares responses to one prompt, and there is only one.
        """
        transform = self._limits.transform
        if not transform.compares_responses and transform.clip is None:
            return list(scores)
        rewards = np.array(scores, np.float64)
        groups: dict[Hashable, list[int]] = {}
        keys = [identify_prompt(prompt) for prompt in prompts for _ in prompt.responses]
        for place, key in enumerate(keys):
            groups.setdefault(key, []).append(place)
        for places in groups.values():
            try:
                rewards[places] = transform.apply(rewards[places])
            except CurateError as error:
                raise RefusedError(422, str(error)) from None
        return [float(reward) for reward in rewards]

    def count_tokens(self, prompts: Sequence[PromptResponses]) -> int:
        """Count the tokens of prompts and responses; 0 where the model does not say."""
        return 0 if self._encoder is None else count_tokens(prompts)

    def _encode(self, prompt: PromptResponses) -> PromptResponses:
        if isinstance(prompt.encoded, Failure):
            return prompt
        if isinstance(self._scorer, SteppingScorer):
            return self._scorer.refuse_long(prompt)
        return prompt if self._encoder is None else self._encoder.encode_request(prompt)

    def _explain_missing(self, prompt: PromptResponses, single: PromptResponses) -> str:
        if isinstance(prompt.encoded, Failure):
            return prompt.encoded.reason
        if prompt.encoded is not None:
            return "its score is no finite number"
        result = self._scorer.score_each([single])[0]
        return result.reason if isinstance(result, Failure) else "its score is no finite number"


def _parse_body(path: str, content: bytes) -> RequestBody:
    fields: Any = parse_json(content.decode())
    kind = PATHS[path]
    if kind is ScoreRequest and isinstance(fields, dict) and not any(name in fields for name in _OWN_FIELDS):
        pairs = ("queries", "documents", "items", "text_1", "text_2", "data_1", "data_2")
        kind = PairsRequest if any(name in fields for name in pairs) else kind
    return kind.model_validate(fields)
