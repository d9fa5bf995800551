"""Several reward models of one training as one: their mean score, less a penalty for what they disagree about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.engine.base import Failure, Score
from curate.reward.packed_scorer import PackedScorer
from curate.reward.scorer import Float64, PromptResponses, open_reward_model
from curate.reward.tokens import EncodedResponses
from curate.reward.transforms import penalise_uncertainty


def open_ensemble(
    models: Sequence[str],
    *,
    folder: Path,
    penalty: float,
    dtype: str,
    budget: int,
    max_length: int | None,
    order: str | None = None,
) -> EnsembleScorer:
    """Open several decoders with one tokenizer and one chat template.

    Args:
        models: At least two, as in `open_reward_model`, like the other arguments.
        folder: Where relative paths start.
        penalty: Weight of the variance (see `penalise_uncertainty`).
        dtype: Precision.
        budget: Tokens of a forward pass.
        max_length: Longest prompt and response in tokens.
        order: Orders of the responses in which joint models are asked.

    Raises:
        CurateError: A model cannot be opened, is no decoder, or reads texts in another way than the first.
    """
    members: list[PackedScorer] = []
    for model in models:
        member = open_reward_model(
            model,
            folder=folder,
            dtype=dtype,
            share_prompts=True,
            budget=budget,
            max_length=max_length,
            order=order,
        )
        if not isinstance(member, PackedScorer):
            raise CurateError(f"{model} is no fine-tuned decoder, and only such models are served together.")
        members.append(member)
    if len({member.compares_responses for member in members}) > 1:
        raise CurateError(
            f"Of {', '.join(models)} some were trained with `forward: joint` and others not: only models of one "
            "training are served together."
        )
    first, *others = (member.encoder for member in members)
    for model, other in zip(models[1:], others, strict=True):
        same = other.max_length == first.max_length
        same = same and other.tokenizer.chat_template == first.tokenizer.chat_template
        if not same or other.tokenizer.get_vocab() != first.tokenizer.get_vocab():
            raise CurateError(
                f"{model} reads texts in another way than {models[0]} (tokenizer, chat template or length): only "
                "models of one training are served together."
            )
    return EnsembleScorer(members, penalty)


class EnsembleScorer:
    """Scores with all members (see `RewardScorer` and `EncodingScorer`); texts are encoded once.

    Args:
        members: The models.
        penalty: Weight of their variance.
    """

    def __init__(self, members: Sequence[PackedScorer], penalty: float) -> None:
        self.members = members
        self.penalty = penalty
        self.name = ", ".join(member.name for member in members)

    @property
    def revision(self) -> str:
        return content_id("ensemble", [member.revision for member in self.members], str(self.penalty))

    @property
    def sees_images(self) -> bool:
        return self.members[0].sees_images

    @property
    def image_mark(self) -> str | None:
        return self.members[0].image_mark

    @property
    def compares_responses(self) -> bool:
        return self.members[0].compares_responses

    def merge_requests(self, requests: Sequence[PromptResponses]) -> PromptResponses:
        return self.members[0].merge_requests(requests)

    @property
    def n_texts_cut(self) -> int:
        return self.members[0].n_texts_cut

    @property
    def left_out(self) -> Counter[str]:
        return self.members[0].left_out

    @property
    def unread(self) -> Mapping[str, int]:
        return self.members[0].unread

    def score(self, requests: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        encoded = [self.encode_request(request) for request in requests]
        by_member = [member.score(encoded, track=track) for member in self.members]
        return [
            penalise_uncertainty(np.stack(scores), self.penalty) for scores in zip(*by_member, strict=True)
        ]

    def score_each(self, requests: Sequence[PromptResponses]) -> list[Score | Failure]:
        results: list[Score | Failure] = []
        for request, (value,) in zip(requests, self.score(requests), strict=True):
            reason = self.encode_request(request).encoded
            results.append(reason if isinstance(reason, Failure) else Score(float(value), 0))
        return results

    def encode_request(self, request: PromptResponses) -> PromptResponses:
        return self.members[0].encode_request(request)

    def encode_own(
        self, text: str, *, prompt: str | None = None, several: bool = False
    ) -> EncodedResponses | None:
        return self.members[0].encode_own(text, prompt=prompt, several=several)

    def encode_literal(self, text: str) -> EncodedResponses:
        return self.members[0].encode_literal(text)

    def encode_ids(self, ids: Sequence[int]) -> EncodedResponses:
        return self.members[0].encode_ids(ids)
