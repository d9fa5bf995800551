"""Choices for backends that do not offer them: drawn by their probabilities, or read token by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TypeVar

import numpy as np

from curate.core.identity import content_id
from curate.engine.base import Chat, Choice, Choose, Completion, Failure, Generate, Generation, Token
from curate.engine.batching import Target

T = TypeVar("T")
R = TypeVar("R")
Context = tuple[int, ...]


def sort_by_beginning(chats: Sequence[Chat]) -> list[int]:
    """Return the indices of chats in the order of their texts.

    Chats that begin alike follow each other, so a backend with a prefix cache still has their common beginning.
    """
    texts = [tuple(part.text or "" for turn in chat for part in turn.content) for chat in chats]
    return sorted(range(len(chats)), key=texts.__getitem__)


def apply_apart(
    requests: Sequence[R],
    is_special: Callable[[R], bool],
    answer_special: Callable[[Sequence[R]], list[T]],
    answer_others: Callable[[Sequence[R]], list[T]],
) -> list[T]:
    """Answer some requests in one way and the others in another one; the answers are in the order of the requests.

    Args:
        requests: All requests.
        is_special: Tells which are answered by `answer_special`.
        answer_special: Answers those.
        answer_others: Answers the rest.
    """
    special = [number for number, request in enumerate(requests) if is_special(request)]
    others = [number for number in range(len(requests)) if number not in set(special)]
    results: dict[int, T] = {}
    for numbers, answer in ((special, answer_special), (others, answer_others)):
        if numbers:
            results.update(zip(numbers, answer([requests[number] for number in numbers]), strict=True))
    return [results[number] for number in range(len(requests))]


def restore_order(order: Sequence[int], values: Sequence[T]) -> list[T]:
    """Return `values`, of which value i belongs at place `order[i]`, at their places."""
    return [value for _, value in sorted(zip(order, values, strict=True), key=itemgetter(0))]


def draw_choices(
    choose: Callable[[Sequence[Choose]], list[Choice | Failure]], requests: Sequence[Generate]
) -> list[Generation | Failure]:
    """Answer requests whose answer must be one of their `choices`.

    Args:
        choose: Returns the probabilities of choices.
        requests: Requests with `choices`.
    """
    questions = [
        Choose(messages=request.messages, choices=request.choices or (), prefill=request.prefill)
        for request in requests
    ]
    return [
        choice if isinstance(choice, Failure) else draw_choice(request, choice)
        for request, choice in zip(requests, choose(questions), strict=True)
    ]


def draw_choice(request: Generate, choice: Choice) -> Generation:
    """Draw `n` of the choices by their probabilities (at the temperature asked for)."""
    sampling, choices = request.sampling, request.choices or ()
    logits = np.asarray(choice.log_probs)
    if sampling.temperature > 0:
        weights = np.exp((logits - logits.max()) / sampling.temperature)
        seed = int(content_id(sampling.seed, [turn.model_dump() for turn in request.messages])[:15], 16)
        drawn = np.random.default_rng(seed).choice(len(choices), sampling.n, p=weights / weights.sum())
    else:
        drawn = np.full(sampling.n, logits.argmax())
    completions = tuple(
        Completion(choices[index], (Token(choices[index], choice.log_probs[index]),), "stop")
        for index in drawn
    )
    return Generation(completions, choice.tokens_in, len(completions))


def collect_token_queries(targets: Sequence[Target]) -> dict[Context, list[int]]:
    """Collect the queries for a backend that gives the log-probabilities of given next tokens.

    Returns:
        Context → the tokens wanted after it. Choices of one token each share a context, so a verdict is one query.
    """
    queries: dict[Context, dict[int, None]] = {}
    for target in targets:
        for index, token in enumerate(target.continuation):
            queries.setdefault(target.context + target.continuation[:index], {})[token] = None
    return {context: list(tokens) for context, tokens in queries.items()}


def sum_log_probs(target: Target, answers: Mapping[Context, Mapping[int, float]]) -> float:
    """Return the log-probability of the target's continuation, from the answers to `collect_token_queries`."""
    return sum(
        answers[target.context + target.continuation[:index]][token]
        for index, token in enumerate(target.continuation)
    )
