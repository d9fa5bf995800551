"""Likeness to the reference answer (or to the request), by n-grams or by embeddings.

    - {name: bleu, kind: reference, metric: bleu}
    - {name: near, kind: reference, metric: embedding, engine: embedder}
    - {name: relevant, kind: reference, metric: embedding, engine: embedder, against: request}

The response that is more like the reference is preferred; the judgment's `score` is the difference. Metrics: sentence
BLEU and chrF (sacrebleu, 0–100; Papineni et al. 2002, Popović 2015) and the cosine of sentence embeddings (−1…1).
A prompt without a reference makes the judge abstain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from curate.engine.base import Engine
from curate.engine.registry import Engines
from curate.judge.base import Answer, Candidate, Contest, Judge, JudgeOptions, Question, abstain, prefer
from curate.judge.registry import judge_kind
from curate.records import plain

_TIES = {"bleu": 1.0, "chrf": 1.0, "embedding": 0.01}
Pair = tuple[str, str]  # of a contest and a response


class ReferenceOptions(JudgeOptions):
    """Likeness to a reference answer."""

    metric: Literal["bleu", "chrf", "embedding"] = "chrf"
    against: Literal["reference", "request"] = Field(
        "reference", description="What to be like; request: the last user turn (relevance, for embeddings)."
    )
    engine: str | None = Field(None, description="Name of an engine that embeds, for metric: embedding.")
    tie: float | None = Field(
        None,
        ge=0.0,
        description="Difference up to which a pair is a tie; default: 1 for bleu and chrf, 0.01 for embedding.",
    )

    @model_validator(mode="after")
    def _engine_where_needed(self) -> Self:
        if (self.metric == "embedding") != (self.engine is not None):
            raise ValueError("`engine` is needed for metric: embedding, and for no other metric")
        return self


@judge_kind("reference")
class Reference(Judge):
    kind = "reference"
    Options = ReferenceOptions
    options: ReferenceOptions

    def __init__(self, options: ReferenceOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        self._engine: Engine | None = None
        if options.engine is not None:
            where = f"judge.{options.name}.engine"
            self._engine = engines.get(options.engine, where=where, needs="embed")

    @property
    def identity(self) -> Sequence[object]:
        if self._engine is not None:
            return (self._engine.revision,)
        import sacrebleu

        return (sacrebleu.__version__,)

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        scores = self._scores(questions)
        tie = _TIES[self.options.metric] if self.options.tie is None else self.options.tie
        answers = []
        for question in questions:
            a, b = (scores.get(_key(question.contest, candidate)) for candidate in question.asked)
            if a is None or b is None:
                answers.append(abstain(f"the prompt has no {self.options.against}"))
            else:
                answers.append(prefer(round(a - b, 6), tie=tie))
        return answers

    def _scores(self, questions: Sequence[Question]) -> dict[Pair, float]:
        """Of each response once, however many pairs it is in; none where there is nothing to compare with."""
        texts = {
            _key(question.contest, candidate): (candidate.text, target)
            for question in questions
            if (target := self._target(question.contest))
            for candidate in question.asked
        }
        measure = self._cosines if self._engine is not None else self._overlaps
        return dict(zip(texts, measure(list(texts.values())), strict=True))

    def _target(self, contest: Contest) -> str | None:
        if self.options.against == "reference":
            return contest.reference
        user = [plain(turn.content) for turn in contest.messages if turn.role == "user"]
        return user[-1] if user else None

    def _overlaps(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        import sacrebleu

        measure = sacrebleu.sentence_bleu if self.options.metric == "bleu" else sacrebleu.sentence_chrf
        return [float(measure(text, [target]).score) for text, target in texts]

    def _cosines(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        assert self._engine is not None
        vectors = self._engine.embed([side for pair in texts for side in pair])
        return [float(left @ right) for left, right in zip(vectors[::2], vectors[1::2], strict=True)]


def _key(contest: Contest, candidate: Candidate) -> Pair:
    return contest.prompt_id, candidate.response_id
