"""What a server answers, read into this project's words: plain functions of decoded JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Any

from curate.engine.base import Choice, Choose, Completion, Failure, Generate, Generation, LogLikelihood, Token
from curate.engine.batching import Target
from curate.engine.choices import Context, sum_log_probs

ServerAnswer = dict[str, Any] | Failure
_FLOOR = -9999.0  # what servers say in place of minus infinity


def parse_token_log_probs(answer: dict[str, Any]) -> dict[int, float]:
    """`{"token_id:17": -1.5}` of the first step, by id."""
    listed = answer["choices"][0]["logprobs"]["top_logprobs"][0]
    return {int(token.removeprefix("token_id:")): float(value) for token, value in listed.items()}


def build_exact_choice(
    slot: Sequence[Target], found: Mapping[Context, dict[int, float] | Failure]
) -> Choice | Failure:
    known: dict[Context, dict[int, float]] = {}
    for target in slot:
        for at in range(len(target.continuation)):
            context = target.context + target.continuation[:at]
            answer = found[context]
            if isinstance(answer, Failure):
                return answer
            known[context] = answer
    return Choice(tuple(sum_log_probs(target, known) for target in slot), len(slot[0].context), len(known))


def list_chat_steps(choice: dict[str, Any]) -> list[dict[str, Any]]:
    logprobs = choice.get("logprobs") or {}
    return list(logprobs.get("content") or [])


def estimate_choice(request: Choose, answer: dict[str, Any], max_unseen: float) -> Choice | Failure:
    """The choices among the likeliest next tokens; one that is not there has at most a share that is known.

    A Failure where that share may be above `max_unseen` of what the choices hold that are there.
    """
    listed = _parse_top_tokens(answer["choices"][0])
    if not listed:
        return Failure("the server gave no log-probabilities")
    bounds = [_bound_log_prob(listed, each) for each in request.choices]
    values = [listed.get(each, most) for each, most in zip(request.choices, bounds, strict=True)]
    seen = sum(exp(listed[each]) for each in request.choices if each in listed)
    for each, most in zip(request.choices, bounds, strict=True):
        if each not in listed and exp(most) > max_unseen * seen:
            raw = json.dumps({token: round(value, 4) for token, value in listed.items()})
            return Failure(
                f"the probability of a choice is not among those the server gives: {each!r} has at most "
                f"{exp(most):.2g}, and all choices that are there have {seen:.2g}",
                raw,
                permanent=True,
            )
    usage = answer.get("usage") or {}
    return Choice(tuple(values), int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0)))


def _parse_top_tokens(choice: dict[str, Any]) -> dict[str, float]:
    """Likeliest first tokens with their log-probabilities, of a chat's answer or a completion's."""
    steps = list_chat_steps(choice)
    if steps:
        listed = [(each["token"], each["logprob"]) for each in [*steps[0].get("top_logprobs", []), steps[0]]]
    else:
        first = ((choice.get("logprobs") or {}).get("top_logprobs") or [None])[0]
        listed = list((first or {}).items())
    return {str(token): float(value) for token, value in listed}


def _bound_log_prob(listed: Mapping[str, float], choice: str) -> float:
    """The most that the log-probability of a choice that is not listed can be: it may begin with a token that is
    listed, or with one that is not, which is no likelier than the least of those.
    """
    begins = [
        value for token, value in listed.items() if token and choice.startswith(token) and token != choice
    ]
    rest = log(max(1.0 - sum(map(exp, listed.values())), 1e-12))
    return max([min(*listed.values(), rest), *begins]) if listed else 0.0


def parse_echo(target: Target, answer: ServerAnswer) -> LogLikelihood | Failure:
    if isinstance(answer, Failure):
        return answer
    values = answer["choices"][0]["logprobs"]["token_logprobs"]
    start, end = len(target.context), len(target.context) + len(target.continuation)
    wanted = values[start:end]
    if len(wanted) != end - start or None in wanted:
        return Failure("the server did not give the log-probability of every token")
    return LogLikelihood(float(sum(wanted)), len(wanted), len(target.fed))


def parse_generation(request: Generate, answer: dict[str, Any]) -> Generation | Failure:
    completions: list[Completion] = []
    for choice in sorted(answer["choices"], key=lambda each: each.get("index", 0)):
        text = choice["message"].get("content") if "message" in choice else choice["text"]
        finish = choice.get("finish_reason")
        if text is None or finish not in ("stop", "length"):
            return Failure(f"the model gave no answer ({finish or 'no reason given'})", text, permanent=True)
        completions.append(Completion(text, _parse_tokens(choice, text), finish))
    if request.sampling.temperature <= 0:
        completions *= request.sampling.n
    usage = answer.get("usage") or {}
    return Generation(
        tuple(completions), int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
    )


def _parse_tokens(choice: dict[str, Any], text: str) -> tuple[Token, ...]:
    """The tokens of an answer, where the server names them; without the end token, which is no part of it."""
    if "message" in choice:
        pairs = [(each["token"], each["logprob"]) for each in list_chat_steps(choice)]
    else:
        found = choice.get("logprobs") or {}
        pairs = list(zip(found.get("tokens") or [], found.get("token_logprobs") or [], strict=False))
    if (
        pairs
        and choice.get("finish_reason") == "stop"
        and pairs[-1][0] not in ("", text[-len(pairs[-1][0]) :])
    ):
        pairs.pop()
    return tuple(Token(str(token), max(float(value), _FLOOR)) for token, value in pairs)
