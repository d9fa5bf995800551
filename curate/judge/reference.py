"""Likeness to the reference answer (or to the request), by n-grams or by embeddings.

    - {name: bleu, kind: reference, metric: bleu}
    - {name: near, kind: reference, metric: embedding, engine: embedder}
    - {name: covers, kind: reference, metric: sentences, engine: embedder}
    - {name: relevant, kind: reference, metric: embedding, engine: embedder, against: request, regularized: true}

The response that is more like the reference is preferred; the judgment's `score` is the difference. Metrics:
    bleu, chrf   of the text, 0–100 (sacrebleu; Papineni et al. 2002, Popović 2015)
    rouge-l      F1 of the longest common subsequence of words, 0–1 (Lin 2004)
    embedding    cosine of the sentence embeddings of both texts, −1…1
    tokens       F1 of greedily matched tokens by the cosine of their embeddings in context: BERTScore (Zhang et al.
                 2020) without idf weights or baseline, of an embedding model's last layer (engine: transformers)
    sentences    the same matching of sentences by the cosine of their embeddings, for any engine that embeds
`regularized: true` multiplies a likeness that is not negative by length and variety, so that neither a word that fits
nor the same words again and again can win: by min(1, words / `enough`), and by the share of distinct trigrams (after
the white-box reward of Kim and Seo 2024, arXiv 2402.03469). A prompt without a reference makes the judge abstain.
Of a trajectory, the assistant's last message is compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from curate.engine.base import Capability, Engine
from curate.engine.registry import Engines
from curate.judge.base import (
    Answer,
    CandidateResponse,
    Judge,
    JudgeOptions,
    PromptItem,
    Question,
    abstain,
    from_margin,
)
from curate.judge.registry import judge_kind
from curate.records import plain_text

_TIES = {"bleu": 1.0, "chrf": 1.0, "rouge-l": 0.01, "embedding": 0.01, "tokens": 0.005, "sentences": 0.01}
_NEEDS: dict[str, Capability] = {"embedding": "embed", "tokens": "embed-tokens", "sentences": "embed"}
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")
Pair = tuple[str, str]  # of a item and a response


class ReferenceOptions(JudgeOptions):
    """Options of a judge by likeness to a reference answer."""

    metric: Literal["bleu", "chrf", "rouge-l", "embedding", "tokens", "sentences"] = "chrf"
    against: Literal["reference", "request"] = Field(
        "reference",
        description="Text to compare with; request: the last user turn (relevance, for embeddings).",
    )
    engine: str | None = Field(
        None, description="Name of an engine that embeds, for metric: embedding, tokens and sentences."
    )
    regularized: bool = Field(False, description="Multiply likeness by length and variety.")
    enough: int = Field(50, ge=1, description="Words from which on length counts no more, if regularized.")
    tie: float | None = Field(
        None,
        ge=0.0,
        description="Difference up to which a pair is a tie; default: 1 for bleu and chrf, "
        "0.005 for tokens, else 0.01.",
    )

    @model_validator(mode="after")
    def _engine_where_needed(self) -> Self:
        if (self.metric in _NEEDS) != (self.engine is not None):
            raise ValueError(f"`engine` is needed for metric: {', '.join(_NEEDS)}, and for no other metric")
        return self


@judge_kind("reference")
class Reference(Judge):
    """A judge that prefers the response that is more like the reference."""

    kind = "reference"
    Options = ReferenceOptions
    options: ReferenceOptions

    def __init__(self, options: ReferenceOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        self._engine: Engine | None = None
        if options.engine is not None:
            where = f"judge.{options.name}.engine"
            self._engine = engines.get(options.engine, where=where, needs=_NEEDS[options.metric])

    @property
    def identity(self) -> Sequence[object]:
        if self._engine is not None:
            return (self._engine.revision,)
        if self.options.metric == "rouge-l":
            return ()
        return (version("sacrebleu"),)  # to import it would take longer than a small project's questions

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        scores = self._score_responses(questions)
        tie = _TIES[self.options.metric] if self.options.tie is None else self.options.tie
        answers = []
        for question in questions:
            a, b = (scores.get(_make_key(question.item, candidate)) for candidate in question.asked)
            if a is None or b is None:
                answers.append(abstain(f"the prompt has no {self.options.against}"))
            else:
                answers.append(from_margin(round(a - b, 6), tie=tie))
        return answers

    def _score_responses(self, questions: Sequence[Question]) -> dict[Pair, float]:
        """Score each response once, however many pairs it is in; no score without a text to compare with."""
        texts = {
            _make_key(question.item, candidate): (candidate.final_text, target)
            for question in questions
            if (target := self._get_target(question.item))
            for candidate in question.asked
        }
        pairs = list(texts.values())
        likeness = {
            "rouge-l": self._score_rouge,
            "embedding": self._score_cosines,
            "tokens": self._match_tokens,
            "sentences": self._match_sentences,
        }
        scores = likeness.get(self.options.metric, self._score_overlaps)(pairs)
        if self.options.regularized:
            factors = [measure_regularity(text, enough=self.options.enough) for text, _ in pairs]
            scores = [max(score, 0.0) * factor for score, factor in zip(scores, factors, strict=True)]
        return dict(zip(texts, scores, strict=True))

    def _get_target(self, item: PromptItem) -> str | None:
        if self.options.against == "reference":
            return item.reference
        user = [plain_text(turn.content) for turn in item.messages if turn.role == "user"]
        return user[-1] if user else None

    def _score_overlaps(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        import sacrebleu

        measure = sacrebleu.sentence_bleu if self.options.metric == "bleu" else sacrebleu.sentence_chrf
        return [float(measure(text, [target]).score) for text, target in texts]

    def _score_cosines(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        assert self._engine is not None
        vectors = self._engine.embed([side for pair in texts for side in pair])
        return [float(left @ right) for left, right in zip(vectors[::2], vectors[1::2], strict=True)]

    def _match_tokens(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        assert self._engine is not None
        vectors = self._engine.embed_tokens([side for pair in texts for side in pair])
        return [
            compute_greedy_f1(left, right) for left, right in zip(vectors[::2], vectors[1::2], strict=True)
        ]

    def _match_sentences(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        assert self._engine is not None
        split = [[split_sentences(side) for side in pair] for pair in texts]
        vectors = iter(self._engine.embed([sentence for pair in split for side in pair for sentence in side]))
        sides = [[[next(vectors) for _ in side] for side in pair] for pair in split]
        return [compute_greedy_f1(np.array(left), np.array(right)) for left, right in sides]

    def _score_rouge(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        return [compute_rouge_l(text, target) for text, target in texts]


def split_sentences(text: str) -> list[str]:
    """Split a text into sentences, at least one: an empty text is a sentence without words."""
    return [sentence.strip() for sentence in _SENTENCE_END.split(text.strip()) if sentence.strip()] or [""]


def compute_greedy_f1(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """Return the F1 of greedy matching: each row (a unit vector) with the most similar one of the other side.

    Args:
        left: float32[n, dimensions].
        right: float32[m, dimensions].

    Returns:
        0…1; 0 if a side is empty.
    """
    if not (len(left) and len(right)):
        return 0.0
    cosines = left @ right.T
    precision, recall = float(cosines.max(1).mean()), float(cosines.max(0).mean())
    return 2 * precision * recall / (precision + recall) if min(precision, recall) > 0 else 0.0


def compute_rouge_l(text: str, target: str) -> float:
    """Return the F1 of the longest common subsequence of lower-case words (Lin 2004, β = 1)."""
    words, target_words = _WORD.findall(text.lower()), _WORD.findall(target.lower())
    row = [0] * (len(target_words) + 1)
    for word in words:
        diagonal = 0
        for i, other in enumerate(target_words, 1):
            diagonal, row[i] = row[i], diagonal + 1 if word == other else max(row[i], row[i - 1])
    return 2 * row[-1] / (len(words) + len(target_words)) if row[-1] else 0.0


def measure_regularity(text: str, *, enough: int) -> float:
    """Return min(1, words / enough) × share of distinct trigrams: 0 for an empty text, 1 for a long varied one."""
    words = _WORD.findall(text.lower())
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    variety = len(set(trigrams)) / len(trigrams) if trigrams else 1.0
    return min(1.0, len(words) / enough) * variety


def _make_key(item: PromptItem, candidate: CandidateResponse) -> Pair:
    return item.prompt_id, candidate.response_id
