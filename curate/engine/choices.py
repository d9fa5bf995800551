"""Choices where a backend does not offer them as such: drawn by their probabilities, or read token by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TypeVar

import numpy as np

from curate.core.identity import content_id
from curate.engine.base import Chat, Choice, Choose, Completion, Failure, Generate, Generation, Token
from curate.engine.batching import Target

T = TypeVar("T")
Context = tuple[int, ...]


def sort_by_beginning(chats: Sequence[Chat]) -> list[int]:
    """The places of chats in the order of their texts: those that begin alike follow each other, so that a backend
    which remembers the beginnings that it has computed still has them.
    """
    texts = [tuple(part.text or "" for turn in chat for part in turn.content) for chat in chats]
    return sorted(range(len(chats)), key=texts.__getitem__)


def restore_order(order: Sequence[int], values: Sequence[T]) -> list[T]:
    """Values that stand in `order`, at the places that it names."""
    return [value for _, value in sorted(zip(order, values, strict=True), key=itemgetter(0))]


def draw_choices(
    choose: Callable[[Sequence[Choose]], list[Choice | Failure]], requests: Sequence[Generate]
) -> list[Generation | Failure]:
    """Answer requests whose answer must be one of their `choices`."""
    asked = [
        Choose(messages=each.messages, choices=each.choices or (), prefill=each.prefill) for each in requests
    ]
    return [
        found if isinstance(found, Failure) else draw_choice(request, found)
        for request, found in zip(requests, choose(asked), strict=True)
    ]


def draw_choice(request: Generate, choice: Choice) -> Generation:
    """Draw `n` of the choices by their probabilities (at the temperature asked for)."""
    sampling, choices = request.sampling, request.choices or ()
    logits = np.asarray(choice.log_probs)
    if sampling.temperature > 0:
        weights = np.exp((logits - logits.max()) / sampling.temperature)
        seed = int(content_id(sampling.seed, [turn.model_dump() for turn in request.messages])[:15], 16)
        taken = np.random.default_rng(seed).choice(len(choices), sampling.n, p=weights / weights.sum())
    else:
        taken = np.full(sampling.n, logits.argmax())
    completions = tuple(
        Completion(choices[at], (Token(choices[at], choice.log_probs[at]),), "stop") for at in taken
    )
    return Generation(completions, choice.tokens_in, len(completions))


def collect_token_queries(targets: Sequence[Target]) -> dict[Context, list[int]]:
    """What to ask a backend that gives the log-probabilities of given next tokens: context → tokens.

    Choices of one token each share their context, so a verdict is one request.
    """
    wanted: dict[Context, dict[int, None]] = {}
    for target in targets:
        for at, token in enumerate(target.continuation):
            wanted.setdefault(target.context + target.continuation[:at], {})[token] = None
    return {context: list(tokens) for context, tokens in wanted.items()}


def sum_log_probs(target: Target, found: Mapping[Context, Mapping[int, float]]) -> float:
    """Of the target's continuation, from the answers to `looks`."""
    return sum(
        found[target.context + target.continuation[:at]][token]
        for at, token in enumerate(target.continuation)
    )
