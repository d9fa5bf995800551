"""A vision-language reward model that computes a prompt's images once for all its responses."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from curate.core.progress import Track, no_progress
from curate.engine.base import Failure, Score
from curate.engine.batching import cut_batches
from curate.reward.packed_scorer import PackedScorer, Place
from curate.reward.scorer import Float64, PromptResponses, score_with_reasons
from curate.reward.tokens import EncodedResponses


@dataclass(eq=False)
class VisionScorer(PackedScorer):
    """Scores the responses to a prompt in one row, images included (see `RewardScorer`).

    A model that cannot read such rows is asked as an engine, which reads each response with a copy of the prompt.
    """

    def score(self, requests: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        if not self._reads_rows:
            return self.scorer.score(requests, track=track)
        scores: list[Float64] = [np.full(len(request.responses), np.nan) for request in requests]
        with self._lock, torch.inference_mode(), track(f"score {self.name}", len(requests)) as advance:
            done = 0
            for batch in self._split_batches(requests):
                self._score_batch(batch, scores)
                last = batch[-1][1][-1][0]
                advance(last - done)
                done = last
            advance(len(requests) - done)
        return scores

    def score_each(self, requests: Sequence[PromptResponses]) -> list[Score | Failure]:
        if not self._reads_rows:
            return self.scorer.score_each(requests)
        groups: dict[Hashable, list[int]] = {}
        for row, request in enumerate(requests):
            groups.setdefault((request.context, request.tools), []).append(row)
        merged = [
            replace(requests[rows[0]], responses=tuple(requests[row].responses[0] for row in rows))
            for rows in groups.values()
        ]
        results: list[Score | Failure] = [Failure("it was not scored")] * len(requests)
        for rows, together in zip(groups.values(), score_with_reasons(self, merged), strict=True):
            alone = len(rows) > 1 and any(isinstance(result, Failure) for result in together)
            # One response that cannot be read takes no other one with it.
            singles = score_with_reasons(self, [requests[row] for row in rows]) if alone else None
            for place, row in enumerate(rows):
                results[row] = together[place] if singles is None else singles[place][0]
        return results

    @property
    def _reads_rows(self) -> bool:
        encoder = self.files.decoder.encoder
        return getattr(encoder, "packer", None) is not None

    def _split_batches(
        self, requests: Sequence[PromptResponses]
    ) -> Iterator[list[tuple[EncodedResponses, list[Place]]]]:
        """Yield prompts with responses and the places of their scores: `budget` tokens, or one prompt and response."""
        parts = (
            (part.count_tokens(), (part, places))
            for row, request in enumerate(requests)
            if (encoded := self._read_tokens(request)) is not None
            for part, places in self._split_responses(encoded, row)
        )
        return cut_batches(parts, budget=self.budget)

    def _split_responses(
        self, encoded: EncodedResponses, row: int
    ) -> Iterator[tuple[EncodedResponses, list[Place]]]:
        """Yield the responses to one prompt in parts of about `budget` tokens, each with a copy of the prompt."""
        sized = ((len(response) - encoded.n_prompt, slot) for slot, response in enumerate(encoded.responses))
        for slots in cut_batches(sized, budget=self.budget, overhead=encoded.n_prompt):
            yield _take_responses(encoded, row, slots[0], slots[-1] + 1)


def _take_responses(
    encoded: EncodedResponses, row: int, start: int, stop: int
) -> tuple[EncodedResponses, list[Place]]:
    part = replace(encoded, responses=encoded.responses[start:stop], images=encoded.images[start:stop])
    return part, [(row, slot) for slot in range(start, stop)]
