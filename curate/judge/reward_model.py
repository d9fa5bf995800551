"""A scalar reward model as a judge: each response is scored once, each pair is judged by the difference.

    - {name: skywork, kind: reward-model, model: Skywork/Skywork-Reward-V2-Qwen3-0.6B}
    - {name: ours, kind: reward-model, model: models/reward}        # trained by `curate train`
    - {name: shared, kind: reward-model, engine: reward}            # an engine of curate.yaml

P(a is better) = σ((score_a − score_b) / temperature), the Bradley-Terry model that reward models are trained as. Raw
scores are taken as they come (logits); the judgment's `score` is that of a minus that of b.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from curate.engine.base import Engine, Failure, Score
from curate.engine.registry import Engines
from curate.judge.base import (
    Answer,
    Candidate,
    Contest,
    Judge,
    JudgeOptions,
    Question,
    believe,
    fail,
    sigmoid,
)
from curate.judge.registry import judge_kind
from curate.records import Message, text_parts

if TYPE_CHECKING:
    from curate.reward.embedding_reward import EmbeddingReward

_TRAINED = "head.safetensors"  # what a folder holds that `curate train` wrote


class RewardModelOptions(JudgeOptions):
    """A scalar reward model."""

    model: str | None = Field(
        None,
        description="What `curate train` saved, or a sequence-classification model (folder, pypi:…, hub id).",
    )
    engine: str | None = Field(None, description="Name of an engine that scores, in place of `model`.")
    temperature: float = Field(1.0, gt=0.0, description="Divides the difference of scores.")
    tie_band: float = Field(0.0, ge=0.0, lt=0.5, description="|P(a) − ½| up to which the outcome is a tie.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.model is None) == (self.engine is None):
            raise ValueError("name either a `model` or an `engine`")
        return self


@judge_kind("reward-model")
class RewardModelJudge(Judge):
    kind = "reward-model"
    Options = RewardModelOptions
    options: RewardModelOptions

    def __init__(self, options: RewardModelOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        self._engine: Engine | None = None
        self._trained: EmbeddingReward | None = None
        self._folder: Path | None = None
        where = f"judge.{options.name}"
        if options.engine is not None:
            self._engine = engines.get(options.engine, where=f"{where}.engine", needs="score")
        elif options.model is not None and (engines.folder / options.model / _TRAINED).is_file():
            self._folder = engines.folder / options.model
        else:
            settings = {"kind": "transformers", "model": options.model, "task": "reward"}
            self._engine = engines.make(options.name, settings, where=where, needs="score")

    @property
    def identity(self) -> Sequence[object]:
        if self._engine is not None:
            return (self._engine.revision,)
        return (self._head().digest,)

    @property
    def sees_images(self) -> bool:
        return self._engine is not None and "images" in self._engine.capabilities

    def unessential(self) -> frozenset[str]:
        return frozenset({"model"})  # its weights count, not where they lie

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        entries = {
            (question.contest.prompt_id, candidate.response_id): (question.contest, candidate)
            for question in questions
            for candidate in question.asked
        }
        measure = self._by_engine if self._engine is not None else self._by_head
        scores = dict(zip(entries, measure(list(entries.values())), strict=True))
        asked_once = dict.fromkeys(entries, True)  # tokens are paid for once per response, not once per pair
        answers = []
        for question in questions:
            keys = [(question.contest.prompt_id, candidate.response_id) for candidate in question.asked]
            tokens = sum(
                scored.tokens_in
                for key in keys
                if asked_once.pop(key, False) and isinstance(scored := scores[key], Score)
            )
            answers.append(self._compare(scores[keys[0]], scores[keys[1]], tokens))
        return answers

    def _compare(self, a: Score | Failure, b: Score | Failure, tokens: int) -> Answer:
        if isinstance(a, Failure) or isinstance(b, Failure):
            return fail(a if isinstance(a, Failure) else b)  # type: ignore[arg-type]  # one of them is
        margin = a.value - b.value
        p_a = sigmoid(margin / self.options.temperature)
        return believe(p_a, tie=self.options.tie_band, score=round(margin, 6), tokens_in=tokens)

    def _by_engine(self, entries: Sequence[tuple[Contest, Candidate]]) -> Sequence[Score | Failure]:
        assert self._engine is not None
        return self._engine.score(
            [
                (
                    *contest.messages,
                    Message(role="assistant", content=candidate.content or text_parts(candidate.text)),
                )
                for contest, candidate in entries
            ]
        )

    def _by_head(self, entries: Sequence[tuple[Contest, Candidate]]) -> Sequence[Score | Failure]:
        values = self._head().score(
            [contest.prompt_id for contest, _ in entries],
            [[turn.model_dump() for turn in contest.messages] for contest, _ in entries],
            [candidate.text for _, candidate in entries],
        )
        return [Score(float(value), 0) for value in values]

    def _head(self) -> EmbeddingReward:
        """The trained model; the embedding model under it is opened when it first scores."""
        from curate.reward.embedding_reward import EmbeddingReward

        assert self._folder is not None
        if self._trained is None:
            self._trained = EmbeddingReward.load(self._folder)
        return self._trained
