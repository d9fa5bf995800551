"""TextNorm: a response's score for its prompt, normalised by its scores for prompts that ask for something else.

A reward model that scores a response as high under a prompt of another meaning has not read the prompt. With
contrastive prompts x' the normalised reward is

    exp(r(x, y) / τ) / (exp(r(x, y) / τ) + Σ_x' exp(r(x', y) / τ))

(Kim et al., "Confidence-aware Reward Optimization for Fine-tuning Text-to-Image Models", ICLR 2024, arXiv 2404.01863).
The contrastive prompts are data: a list of texts in a field of the prompt's `meta`, made by rule or by a model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from curate.engine.base import Chat, Failure, Score
from curate.judge.base import CandidateResponse, PromptItem, Question
from curate.judge.checks import read_meta_entry
from curate.judge.timed_checks import CheckError
from curate.records import Message, text_parts
from curate.reward.scorer import PromptResponses, RewardScorer

Key = tuple[str, str]
"""Ids of a prompt and a response."""


def read_contrasts(item: PromptItem, field: str) -> list[str] | str:
    """Return the contrastive prompts of an item, or a sentence that says why there are none."""
    try:
        texts = read_meta_entry(item.meta, field)
    except CheckError as error:
        return str(error)
    if not texts:
        return f"`meta.{field}` of the prompt has no contrastive prompts"
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
        return f"`meta.{field}` of the prompt is not a list of texts"
    return texts


def replace_request(messages: Chat, text: str) -> tuple[Message, ...]:
    """Replace the text of the last message; images and earlier turns stay."""
    last = messages[-1]
    media = tuple(part for part in last.content if part.text is None)
    return (*messages[:-1], last.model_copy(update={"content": (*media, *text_parts(text))}))


def normalise_score(
    score: Score | Failure, others: Sequence[Score | Failure], temperature: float
) -> Score | Failure:
    """Compute the logarithm of the normalised reward: it orders responses alike, and is a logit as rewards are.

    Args:
        score: Reward for the prompt itself.
        others: Rewards for the contrastive prompts.
        temperature: τ, the unit of the rewards.

    Returns:
        The score with the tokens of all; the first failure where there is one.
    """
    read: list[Score] = []
    for one in (score, *others):
        if isinstance(one, Failure):
            return one
        read.append(one)
    logits = [one.value / temperature for one in read]
    if not all(map(math.isfinite, logits)):
        return Failure(f"a reward is not a finite number: {[one.value for one in read]}")
    top = max(logits)
    value = logits[0] - top - math.log(sum(math.exp(logit - top) for logit in logits))
    return Score(value=value, tokens_in=sum(one.tokens_in for one in read))


def score_in_contrast(
    scorer: RewardScorer, questions: Sequence[Question], field: str, *, temperature: float
) -> dict[Key, Score | Failure]:
    """Score each response once for its prompt and once for each contrastive one.

    Args:
        scorer: A model that scores each response alone.
        questions: Questions about responses.
        field: Field of the prompts' `meta` with the contrastive prompts.
        temperature: τ, the unit of the rewards.

    Returns:
        The normalised scores; none for responses to prompts without contrastive ones.
    """
    entries: dict[Key, tuple[PromptItem, CandidateResponse, list[str]]] = {}
    for question in questions:
        contrasts = read_contrasts(question.item, field)
        if not isinstance(contrasts, str):
            for candidate in question.asked:
                entries[question.item.prompt_id, candidate.response_id] = (
                    question.item,
                    candidate,
                    contrasts,
                )
    requests = [
        PromptResponses(messages, (candidate.messages,), item.prompt_id, item.tools)
        for item, candidate, contrasts in entries.values()
        for messages in (item.messages, *(replace_request(item.messages, text) for text in contrasts))
    ]
    results = iter(scorer.score_each(requests))
    return {
        key: normalise_score(next(results), [next(results) for _ in contrasts], temperature)
        for key, (_, _, contrasts) in entries.items()
    }
