"""Parsers of a server's answers: functions of decoded JSON that return the results of curate/engine/base.py.

`parse_answer` calls them: an answer of any other form than the protocol's is a `Failure` that holds it as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from math import exp, isfinite, isnan, log
from typing import Any, TypeVar

from curate.core.errors import CurateError
from curate.engine.base import (
    Choice,
    Choose,
    Completion,
    Failure,
    Generate,
    Generation,
    LogLikelihood,
    Score,
    Token,
)
from curate.engine.batching import Target
from curate.engine.choices import Context, sum_log_probs

T = TypeVar("T")
ServerAnswer = dict[str, Any] | Failure
_MOST_TOKENS = 1 << 40  # more is no number of tokens
_ABOVE_ZERO = 0.01  # how far rounding may lift a log-probability above 0
_LONGEST_SHOWN = 10_000  # characters of an odd answer
_FLOOR = -9999.0  # what servers say in place of minus infinity


def parse_answer(answer: ServerAnswer, reader: Callable[[dict[str, Any]], T | Failure]) -> T | Failure:
    """Parse an answer with `reader`; a Failure where it has not the form that the reader expects."""
    if isinstance(answer, Failure):
        return answer
    try:
        return reader(answer)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error)
        return Failure(f"the server's answer is not of the expected form: {what[:200]}", show_answer(answer))


def show_answer(answer: dict[str, Any]) -> str:
    """Return an odd answer as text, cut where it is very long."""
    try:
        return json.dumps(answer, ensure_ascii=False)[:_LONGEST_SHOWN]
    except (ValueError, RecursionError):
        return "JSON that is nested too deeply to be shown"


def parse_log_prob(value: object) -> float:
    """Return a log-probability of a server's answer; ValueError where the value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or isnan(value) or value > _ABOVE_ZERO:
        raise ValueError(f"{value!r:.80} is no log-probability")
    return max(float(value), _FLOOR)


def count_tokens(answer: Mapping[str, Any]) -> tuple[int, int]:
    """Return the numbers of tokens read and written; 0 where the server names none, ValueError where it is odd."""
    usage = answer.get("usage") or {}
    counts = tuple(usage.get(name, 0) for name in ("prompt_tokens", "completion_tokens"))
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MOST_TOKENS:
            raise ValueError(f"`usage` holds {count!r:.80}, which is no number of tokens")
    return counts[0], counts[1]


def parse_token_log_probs(answer: dict[str, Any]) -> dict[int, float]:
    """Return the log-probabilities of the first step by token id, from `{"token_id:17": -1.5}`."""
    listed = answer["choices"][0]["logprobs"]["top_logprobs"][0]
    return {int(token.removeprefix("token_id:")): parse_log_prob(value) for token, value in listed.items()}


def build_exact_choice(
    targets: Sequence[Target], answers: Mapping[Context, dict[int, float] | Failure]
) -> Choice | Failure:
    """Build the result of a choice, from the log-probabilities of next tokens after each context.

    Args:
        targets: The choices of one request.
        answers: Context → token → log-probability, as `collect_token_queries` asks for them.
    """
    known: dict[Context, dict[int, float]] = {}
    for target in targets:
        for index, token in enumerate(target.continuation):
            context = target.context + target.continuation[:index]
            answer = answers[context]
            if isinstance(answer, Failure):
                return answer
            if token not in answer:
                return Failure(
                    "the server did not give the log-probability of every token that was asked for"
                )
            known[context] = answer
    return Choice(
        tuple(sum_log_probs(target, known) for target in targets), len(targets[0].context), len(known)
    )


def list_chat_steps(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """List the tokens of a chat's answer with their log-probabilities, if the server gives them."""
    logprobs = choice.get("logprobs") or {}
    return list(logprobs.get("content") or [])


def estimate_choice(request: Choose, answer: dict[str, Any], max_unseen: float) -> Choice | Failure:
    """Look the choices up among the likeliest next tokens.

    A choice that is not among them gets the largest probability that it can have.

    Args:
        request: The request.
        answer: The server's answer.
        max_unseen: The most that such a probability may be, as a share of that of the choices that are listed.

    Returns:
        The choice; a Failure where the probability of a choice that is not listed may be larger than that.
    """
    listed = _parse_top_tokens(answer["choices"][0])
    if not listed:
        return Failure("the server gave no log-probabilities")
    bounds = [_bound_log_prob(listed, choice) for choice in request.choices]
    values = [listed.get(choice, most) for choice, most in zip(request.choices, bounds, strict=True)]
    listed_mass = sum(exp(listed[choice]) for choice in request.choices if choice in listed)
    for choice, most in zip(request.choices, bounds, strict=True):
        if choice not in listed and exp(most) > max_unseen * listed_mass:
            raw = json.dumps({token: round(value, 4) for token, value in listed.items()})
            return Failure(
                f"the probability of a choice is not among those the server gives: {choice!r} has at most "
                f"{exp(most):.2g}, and all choices that are there have {listed_mass:.2g}",
                raw,
                permanent=True,
            )
    return Choice(tuple(values), *count_tokens(answer))


def _parse_top_tokens(choice: dict[str, Any]) -> dict[str, float]:
    """Return the likeliest first tokens with their log-probabilities, of a chat's answer or a completion's."""
    steps = list_chat_steps(choice)
    if steps:
        listed = [(step["token"], step["logprob"]) for step in [*steps[0].get("top_logprobs", []), steps[0]]]
    else:
        first = ((choice.get("logprobs") or {}).get("top_logprobs") or [None])[0]
        listed = list((first or {}).items())
    return {str(token): parse_log_prob(value) for token, value in listed}


def _bound_log_prob(listed: Mapping[str, float], choice: str) -> float:
    """Return the largest log-probability that a choice can have that is not listed.

    It may begin with a token that is listed, or with one that is not: such a token is no likelier than the least likely
    that is listed.
    """
    prefixes = [
        value for token, value in listed.items() if token and choice.startswith(token) and token != choice
    ]
    rest = log(max(1.0 - sum(map(exp, listed.values())), 1e-12))
    return max([min(*listed.values(), rest), *prefixes]) if listed else 0.0


def parse_echo(target: Target, answer: dict[str, Any]) -> LogLikelihood | Failure:
    """Return the log-likelihood of a continuation, from an answer that repeats its input."""
    values = answer["choices"][0]["logprobs"]["token_logprobs"]
    start, end = len(target.context), len(target.context) + len(target.continuation)
    wanted = values[start:end]
    if len(wanted) != end - start or None in wanted:
        return Failure("the server did not give the log-probability of every token")
    return LogLikelihood(sum(map(parse_log_prob, wanted)), len(wanted), len(target.input_tokens))


def parse_generation(request: Generate, answer: dict[str, Any]) -> Generation | Failure:
    """Return the text that the server wrote, with its tokens where it names them."""
    completions: list[Completion] = []
    for choice in sorted(answer["choices"], key=lambda choice: choice.get("index", 0)):
        text = choice["message"].get("content") if "message" in choice else choice["text"]
        finish = choice.get("finish_reason")
        if text is None or finish not in ("stop", "length"):
            shown = text if isinstance(text, str) else show_answer(answer)
            return Failure(f"the model gave no answer ({finish or 'no reason given'})", shown, permanent=True)
        if not isinstance(text, str):
            raise TypeError(f"the answer is a {type(text).__name__} in place of a text")
        text = text.encode("utf-8", "replace").decode(
            "utf-8"
        )  # halves of surrogate pairs cannot be stored or sent on
        completions.append(Completion(text, _parse_tokens(choice, text), finish))
    wanted = 1 if request.sampling.temperature <= 0 else request.sampling.n
    if len(completions) < wanted:
        return Failure(f"the server gave {len(completions)} of {wanted} answers", show_answer(answer))
    if request.sampling.temperature <= 0:
        completions = completions[:1] * request.sampling.n
    return Generation(tuple(completions), *count_tokens(answer))


def parse_reward(answer: dict[str, Any], label: int | None, model: str) -> Score:
    """Return the reward of a classifier's answer.

    Args:
        answer: The server's answer.
        label: Index of the output that is the reward; None: the only one.
        model: Name of the model, for messages.
    """
    logits = answer["data"][0]["probs"]
    if not isinstance(logits, list) or not logits:
        raise ValueError("`probs` holds no outputs")
    if (label or 0) >= len(logits) or (len(logits) > 1 and label is None):
        raise CurateError(
            f"The model {model!r} has {len(logits)} outputs: say with `label` (from 0) which of them is the reward."
        )
    value = logits[label or 0]
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"the reward is {value!r:.80}, and not a finite number")
    return Score(float(value), count_tokens(answer)[0])


def parse_embedding(answer: dict[str, Any]) -> list[float]:
    """Return the embedding of an answer, float[d]."""
    vector = answer["data"][0]["embedding"]
    if not isinstance(vector, list) or not vector:
        raise ValueError("there is no embedding")
    if not all(isinstance(value, int | float) and isfinite(value) for value in vector):
        raise ValueError("an embedding holds values that are no finite numbers")
    return vector


def _parse_tokens(choice: dict[str, Any], text: str) -> tuple[Token, ...]:
    """Return the tokens of an answer, where the server names them; without the end token, which is no part of it."""
    if "message" in choice:
        pairs = [(step["token"], step["logprob"]) for step in list_chat_steps(choice)]
    else:
        logprobs = choice.get("logprobs") or {}
        pairs = list(zip(logprobs.get("tokens") or [], logprobs.get("token_logprobs") or [], strict=False))
    if (
        pairs
        and choice.get("finish_reason") == "stop"
        and pairs[-1][0] not in ("", text[-len(pairs[-1][0]) :])
    ):
        pairs.pop()
    return tuple(Token(str(token), parse_log_prob(value)) for token, value in pairs)
