"""A joint reward model: it scores the responses to a prompt together, in one pass, in view of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.engine.base import Failure, Score
from curate.engine.batching import cut_batches
from curate.reward.packed_scorer import PackedScorer
from curate.reward.response_order import Order, OrderEffect, OrderProtocol
from curate.reward.scorer import Float64, PromptResponses
from curate.reward.tokens import EncodedResponses


@dataclass(frozen=True, slots=True)
class _Group:
    """A request, its tokens, and the orders in which it is read."""

    row: int
    encoded: EncodedResponses
    orders: list[Order]


@dataclass(eq=False)
class JointScorer(PackedScorer):
    """Scores the responses of a request together (see `RewardScorer` and `curate.reward.response_order`).

    A score says how good a response is among the others of its request, so requests are never merged or split.
    """

    order: OrderProtocol = field(default_factory=OrderProtocol)
    effect: OrderEffect = field(init=False, default_factory=OrderEffect)

    @property
    def revision(self) -> str:
        return content_id("joint", 1, self.scorer.revision, str(self.order))

    @property
    def compares_responses(self) -> bool:
        return True

    @property
    def order_effect(self) -> str:
        """Say what the order of the responses changed since the model was opened; "" where only one was asked for."""
        return self.effect.describe()

    def score(self, requests: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        """Score as `RewardScorer.score`, all responses of a request together."""
        scores: list[Float64] = [np.full(len(request.responses), np.nan) for request in requests]
        with self._lock, torch.inference_mode(), track(f"score {self.name}", len(requests)) as advance:
            done = 0
            for batch in self._split_groups(requests):
                self._score_groups(batch, scores)
                advance(batch[-1].row + 1 - done)
                done = batch[-1].row + 1
            advance(len(requests) - done)
        return scores

    def score_each(self, requests: Sequence[PromptResponses]) -> list[Score | Failure]:
        results: list[Score | Failure] = []
        encoded = [self.encode_request(request) for request in requests]
        for request, (value,) in zip(encoded, self.score(encoded), strict=True):
            tokens = request.encoded
            if isinstance(tokens, EncodedResponses):
                results.append(Score(float(value), tokens.count_tokens()))
            else:
                results.append(tokens or Failure("it has no tokens"))
        return results

    def encode_own(
        self, text: str, *, prompt: str | None = None, several: bool = False
    ) -> EncodedResponses | None:
        """Encode as `EncodingScorer.encode_own`; what is too long is cut when the request is whole."""
        encoded = self.rendered.encode_own(text, prompt=prompt, several=several)
        return None if encoded is None else self.encoder.split_tokens(*encoded)

    def _split_groups(self, requests: Sequence[PromptResponses]) -> Iterator[list[_Group]]:
        """Yield requests to score in one row: `budget` tokens, or one request."""
        groups = (
            _Group(row, encoded, self.order.list_orders(*encoded.list_contents()))
            for row, request in enumerate(requests)
            if (encoded := self._read_tokens(request)) is not None
        )
        sized = ((group.encoded.count_tokens(len(set(group.orders))), group) for group in groups)
        return cut_batches(sized, budget=self.budget)

    def _score_groups(self, batch: Sequence[_Group], scores: list[Float64]) -> None:
        """Write the scores of some requests into `scores`: the mean over orders, and over equal responses."""
        row = self.files.decoder.pack([group.encoded for group in batch], [group.orders for group in batch])
        values = iter(self.files.decoder.model.score(row).double().cpu().numpy())
        for group in batch:
            by_order = np.empty((len(group.orders), len(group.encoded.responses)))
            for number, order in enumerate(group.orders):
                by_order[number, list(order)] = [next(values) for _ in order]
            self.effect.add(by_order)
            _, contents = group.encoded.list_contents()
            scores[group.row][:] = _average_equals(by_order.mean(axis=0), contents)


def _average_equals(scores: Float64, responses: Sequence[bytes]) -> Float64:
    """Give equal responses their mean score."""
    places: dict[bytes, list[int]] = {}
    for place, response in enumerate(responses):
        places.setdefault(response, []).append(place)
    averaged = scores.copy()
    for equal in places.values():
        averaged[equal] = scores[equal].mean()
    return averaged
