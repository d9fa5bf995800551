"""What a server answers, put into this project's words: the bodies of requests, and the reading of answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import Any

import numpy as np

from curate.engine.base import (
    Capability,
    Chat,
    Choice,
    Choose,
    Completion,
    Continuation,
    Failure,
    Generate,
    Generation,
    LogLikelihood,
    Score,
    Token,
)
from curate.engine.chat_tokens import ChatTokens
from curate.engine.choices import Context, draw_choices, log_prob, looks
from curate.engine.embedder import Float32, Window, embed_windows, windows
from curate.engine.openai import OpenAIOptions
from curate.engine.passes import Target
from curate.engine.weights import Weights
from curate.engine.wire import Call, Patience, Wire
from curate.errors import CurateError
from curate.records import plain

Answer = dict[str, Any] | Failure
_PROBE = [{"role": "user", "content": "Say A or B."}]
_FLOOR = -9999.0  # what servers say in place of minus infinity


@dataclass(slots=True)
class Server:
    """`tokens`: makes token ids of chats, or null; `maker`: the server's software as it says itself, or ""."""

    wire: Wire
    options: OpenAIOptions
    tokens: ChatTokens | None
    gives_logprobs: bool = field(init=False, default=True)
    _maker: str | None = field(init=False, default=None)

    def close(self) -> None:
        self.wire.close()

    # What it is able to do --------------------------------------------------------------------------------

    @property
    def maker(self) -> str:
        if self._maker is None:
            self.models()
        return self._maker or ""

    def models(self) -> bool:
        """Whether the server is there; CurateError where it is, but not for us, or without this model."""
        response = self.wire.get("/models")
        if response is None:
            return False
        if response.status_code in (401, 403):
            variable = self.options.api_key_env
            hint = f"check what {variable} holds" if variable else "name its variable in `api_key_env`"
            raise CurateError(
                f"The server {self.options.url} wants a valid key ({response.status_code}): {hint}."
            )
        try:
            listed = response.json()["data"] if response.status_code == 200 else []
        except (ValueError, KeyError, TypeError):
            listed = []
        names = {str(model.get("id")): model for model in listed}
        if names and self.options.model not in names:
            raise CurateError(
                f"The server {self.options.url} has no model {self.options.model!r}: it has "
                f"{', '.join(sorted(names)[:20])}."
            )
        mine = names.get(self.options.model, {})
        self._maker = str(mine.get("owned_by", "")) if names else ""
        if self.tokens is not None and self.options.max_length is None and mine.get("max_model_len"):
            self.tokens.max_length = int(mine["max_model_len"])
        return True

    def probe(self) -> frozenset[Capability] | None:
        """What the server can do, found out with three requests of one token; None where it is not there."""
        if not self.models():
            return None
        if self.options.task != "causal":
            return frozenset()
        able: set[Capability] = {"generate", "schema"}
        if self.tokens is None:
            (found,) = self.wire.post([self._chat_call(_PROBE, max_tokens=1, logprobs=True, top_logprobs=1)])
            if not isinstance(found, Failure) and _chat_steps(found["choices"][0]):
                able.add("choose")
            self.gives_logprobs = "choose" in able
            return frozenset(able)
        echo = [self._ids_call((1, 1), max_tokens=1, logprobs=1, echo=True)]
        plain_call = [self._ids_call((1, 1), max_tokens=1, logprobs=1)]
        echoed, answered = self.wire.post([*echo, *plain_call])
        if not isinstance(answered, Failure) and answered["choices"][0].get("logprobs"):
            able.add("choose")
        if not isinstance(echoed, Failure):
            logprobs = echoed["choices"][0].get("logprobs") or {}
            if len(logprobs.get("token_logprobs") or []) >= 2:
                able.add("loglikelihood")
        return frozenset(able)

    # Probabilities ----------------------------------------------------------------------------------------

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        if self.tokens is not None and self.maker == "vllm":
            return self._choose_exactly(requests, self.tokens)
        slots = [self._likeliest_call(request) for request in requests]
        answers = self._post_sorted([slot for slot in slots if isinstance(slot, Call)])
        found = iter(answers)
        results: list[Choice | Failure] = []
        for request, slot in zip(requests, slots, strict=True):
            answer = slot if isinstance(slot, Failure) else next(found)
            results.append(answer if isinstance(answer, Failure) else self._looked_up(request, answer))
        return results

    def _choose_exactly(self, requests: Sequence[Choose], tokens: ChatTokens) -> list[Choice | Failure]:
        slots = [tokens.choices(request) for request in requests]
        wanted = looks([target for slot in slots if not isinstance(slot, Failure) for target in slot])
        calls = [
            self._ids_call(
                context,
                max_tokens=1,
                temperature=0.0,
                logprobs=1,
                logprob_token_ids=ids,
                return_tokens_as_token_ids=True,
            )
            for context, ids in wanted.items()
        ]
        found: dict[Context, dict[int, float] | Failure] = {
            context: answer if isinstance(answer, Failure) else _by_token_id(answer)
            for context, answer in zip(wanted, self._post_sorted(calls), strict=True)
        }
        return [slot if isinstance(slot, Failure) else _exact(slot, found) for slot in slots]

    def _likeliest_call(self, request: Choose) -> Call | Failure:
        sampling = {"max_tokens": 1, "temperature": 0.0}
        if self.tokens is None:
            asked = {"logprobs": True, "top_logprobs": self.options.top_logprobs}
            return self._chat(request.messages, request.prefill, **sampling, **asked)
        context = self.tokens.encode(request.messages, request.prefill, room=1)
        if isinstance(context, Failure):
            return context
        return self._ids_call(tuple(context), **sampling, logprobs=self.options.top_logprobs)

    def _looked_up(self, request: Choose, answer: dict[str, Any]) -> Choice | Failure:
        """The choices among the likeliest next tokens; one that is not there has at most a share that is known."""
        choice = answer["choices"][0]
        listed = _likeliest(choice)
        if not listed:
            return Failure("the server gave no log-probabilities")
        bounds = [_bound(listed, each) for each in request.choices]
        values = [listed.get(each, bound) for each, bound in zip(request.choices, bounds, strict=True)]
        seen = sum(exp(listed[each]) for each in request.choices if each in listed)
        for each, bound in zip(request.choices, bounds, strict=True):
            if each not in listed and exp(bound) > self.options.max_unseen * seen:
                raw = json.dumps({token: round(value, 4) for token, value in listed.items()})
                return Failure(
                    f"the probability of a choice is not among those the server gives: {each!r} has at most "
                    f"{exp(bound):.2g}, and all choices that are there have {seen:.2g}",
                    raw,
                    permanent=True,
                )
        usage = answer.get("usage") or {}
        return Choice(
            tuple(values), int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
        )

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        assert self.tokens is not None
        slots = [self.tokens.target(request) for request in requests]
        targets = list(dict.fromkeys(slot for slot in slots if isinstance(slot, Target)))
        calls = [
            self._ids_call(target.context + target.continuation, max_tokens=1, logprobs=1, echo=True)
            for target in targets
        ]
        found = dict(zip(targets, self._post_sorted(calls), strict=True))
        return [slot if isinstance(slot, Failure) else _echoed(slot, found[slot]) for slot in slots]

    # Text -------------------------------------------------------------------------------------------------

    def generate(self, requests: Sequence[Generate]) -> list[Generation | Failure]:
        bound = [number for number, each in enumerate(requests) if each.choices is not None]
        results: dict[int, Generation | Failure] = dict(
            zip(bound, draw_choices(self.choose, [requests[number] for number in bound]), strict=True)
        )
        free = [number for number, each in enumerate(requests) if each.choices is None]
        slots = {number: self._generate_call(requests[number]) for number in free}
        calls = {number: slot for number, slot in slots.items() if isinstance(slot, Call)}
        answers = dict(zip(calls, self._post_sorted(list(calls.values())), strict=True))
        for number, slot in slots.items():
            answer = slot if isinstance(slot, Failure) else answers[number]
            results[number] = answer if isinstance(answer, Failure) else _generation(requests[number], answer)
        return [results[number] for number in range(len(requests))]

    def _generate_call(self, request: Generate) -> Call | Failure:
        sampling = request.sampling
        greedy = sampling.temperature <= 0
        body: dict[str, Any] = {
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": 1.0 if greedy else sampling.top_p,
            "n": 1 if greedy else sampling.n,
            "seed": sampling.seed,
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if request.json_schema is not None:
            try:
                schema = json.loads(request.json_schema)
            except json.JSONDecodeError as error:
                return Failure(f"the JSON schema cannot be used: {error}", permanent=True)
            form = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if self.tokens is None:
            return self._chat(
                request.messages,
                request.prefill,
                **body,
                **({"logprobs": True} if self.gives_logprobs else {}),
            )
        context = self.tokens.encode(request.messages, request.prefill, room=sampling.max_tokens)
        if isinstance(context, Failure):
            return context
        return self._ids_call(tuple(context), **body, logprobs=1)

    # Rewards and embeddings -------------------------------------------------------------------------------

    def score(self, chats: Sequence[Chat]) -> list[Score | Failure]:
        """Raw logits: with an activation, a model of one output would answer with a sigmoid."""
        slots = [self._score_call(chat) for chat in chats]
        answers = iter(self._post_sorted([slot for slot in slots if isinstance(slot, Call)]))
        results: list[Score | Failure] = []
        for slot in slots:
            answer = slot if isinstance(slot, Failure) else next(answers)
            if isinstance(answer, Failure):
                results.append(answer)
                continue
            logits = answer["data"][0]["probs"]
            if self.options.label >= len(logits) or (
                len(logits) > 1 and "label" not in self.options.model_fields_set
            ):
                raise CurateError(
                    f"The model {self.options.model!r} has {len(logits)} outputs: say with `label` (from 0) which of "
                    "them is the reward."
                )
            results.append(Score(float(logits[self.options.label]), int(answer["usage"]["prompt_tokens"])))
        return results

    def _score_call(self, chat: Chat) -> Call | Failure:
        body: dict[str, Any] = {"use_activation": False}
        if self.tokens is None:
            turns = _turns(chat)
            if isinstance(turns, Failure):
                return turns
            body |= {"messages": turns, "add_generation_prompt": False}
        else:
            ids = self.tokens.encode(chat, answer=False)
            if isinstance(ids, Failure):
                return ids
            body |= {"input": ids}
        return self._call("/classify", body)

    def embed(self, texts: Sequence[str]) -> Float32:
        if not texts:
            return np.zeros((0, 0), np.float32)
        return embed_windows(texts, self._windows, self._encode)

    def _windows(self, text: str) -> list[Window]:
        if self.tokens is None:
            return [(text, 1)]
        return windows(self.tokens.tokenizer, self.tokens.max_length, text)

    def _encode(self, pieces: Sequence[str]) -> Float32:
        calls = [self._call("/embeddings", {"input": piece, "encoding_format": "float"}) for piece in pieces]
        vectors = []
        for answer in self.wire.post(calls):
            if isinstance(answer, Failure):
                hint = " Texts that are too long are split where `tokenizer` and `max_length` are given."
                raise CurateError(f"The server {self.options.url} embeds not: {answer.reason}.{hint}")
            vectors.append(answer["data"][0]["embedding"])
        found = np.asarray(vectors, np.float32)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)

    # Bodies -----------------------------------------------------------------------------------------------

    def _post_sorted(self, calls: Sequence[Call]) -> list[Answer]:
        """Requests with a common beginning one after the other, for the server's prefix cache."""
        order = sorted(range(len(calls)), key=lambda at: _beginning(calls[at]))
        answers: list[Answer] = [Failure("not sent")] * len(calls)
        for at, answer in zip(order, self.wire.post([calls[at] for at in order]), strict=True):
            answers[at] = answer
        return answers

    def _chat(self, messages: Chat, prefill: str, **body: Any) -> Call | Failure:
        turns = _turns(messages)
        if isinstance(turns, Failure):
            return turns
        if not prefill:
            return self._chat_call(turns, **body)
        if self.maker not in ("vllm", "sglang"):
            return Failure(
                "this server cannot go on with an answer that is begun for it: name the model's `tokenizer`, or use a "
                "template that begins no answer",
                permanent=True,
            )
        turns.append({"role": "assistant", "content": prefill})
        return self._chat_call(turns, **body, continue_final_message=True, add_generation_prompt=False)

    def _chat_call(self, turns: list[dict[str, str]], **body: Any) -> Call:
        return self._call("/chat/completions", {"messages": turns} | body)

    def _ids_call(self, prompt: Context, **body: Any) -> Call:
        return self._call("/completions", {"prompt": list(prompt)} | body)

    def _call(self, path: str, body: dict[str, Any]) -> Call:
        # vLLM's own paths stand beside /v1, not below it.
        full = self.options.url.rstrip("/").removesuffix("/v1") + path if path == "/classify" else path
        return Call(full, {"model": self.options.model} | body | self.options.extra)


def open_model(options: OpenAIOptions, key: str | None, tokenizer: Weights | None) -> Server:
    patience = Patience(
        concurrency=options.concurrency,
        timeout=options.timeout,
        retries=options.retries,
        outage=options.outage,
    )
    return Server(Wire(options.url.rstrip("/"), key, patience), options, _tokens(options, tokenizer))


def _tokens(options: OpenAIOptions, tokenizer: Weights | None) -> ChatTokens | None:
    if tokenizer is None:
        return None
    from transformers import AutoTokenizer

    at: dict[str, Any] = {"gguf_file": tokenizer.gguf_file} if tokenizer.gguf_file else {}
    if tokenizer.hub_revision:
        at["revision"] = tokenizer.hub_revision
    try:
        loaded = AutoTokenizer.from_pretrained(tokenizer.source, **at)
    except (OSError, ValueError, ImportError) as error:
        raise CurateError(
            f"The tokenizer {options.tokenizer!r} cannot be opened: {' '.join(str(error).split())[:300]}"
        ) from error
    return ChatTokens(loaded, options.max_length or min(loaded.model_max_length, 1 << 30))


# Answers --------------------------------------------------------------------------------------------------


def _turns(chat: Chat) -> list[dict[str, str]] | Failure:
    if not chat:
        return Failure("bare text needs the model's `tokenizer`", permanent=True)
    if any(part.type != "text" for turn in chat for part in turn.content):
        return Failure("only text is sent, and the chat holds images or videos", permanent=True)
    return [{"role": turn.role, "content": plain(turn.content)} for turn in chat]


def _beginning(call: Call) -> tuple[Any, ...]:
    if "prompt" in call.body:
        return tuple(call.body["prompt"])
    turns = call.body.get("messages")
    return tuple(turn["content"] for turn in turns) if turns else tuple(call.body["input"])


def _by_token_id(answer: dict[str, Any]) -> dict[int, float]:
    """`{"token_id:17": -1.5}` of the first step, by id."""
    listed = answer["choices"][0]["logprobs"]["top_logprobs"][0]
    return {int(token.removeprefix("token_id:")): float(value) for token, value in listed.items()}


def _exact(slot: Sequence[Target], found: Mapping[Context, dict[int, float] | Failure]) -> Choice | Failure:
    known: dict[Context, dict[int, float]] = {}
    for target in slot:
        for at in range(len(target.continuation)):
            context = target.context + target.continuation[:at]
            answer = found[context]
            if isinstance(answer, Failure):
                return answer
            known[context] = answer
    return Choice(tuple(log_prob(target, known) for target in slot), len(slot[0].context), len(known))


def _chat_steps(choice: dict[str, Any]) -> list[dict[str, Any]]:
    logprobs = choice.get("logprobs") or {}
    return list(logprobs.get("content") or [])


def _likeliest(choice: dict[str, Any]) -> dict[str, float]:
    """Likeliest first tokens with their log-probabilities, of a chat's answer or a completion's."""
    steps = _chat_steps(choice)
    if steps:
        listed = [(each["token"], each["logprob"]) for each in [*steps[0].get("top_logprobs", []), steps[0]]]
    else:
        first = ((choice.get("logprobs") or {}).get("top_logprobs") or [None])[0]
        listed = list((first or {}).items())
    return {str(token): float(value) for token, value in listed}


def _bound(listed: Mapping[str, float], choice: str) -> float:
    """The most that the log-probability of a choice that is not listed can be: it may begin with a token that is
    listed, or with one that is not, which is no likelier than the least of those.
    """
    begins = [
        value for token, value in listed.items() if token and choice.startswith(token) and token != choice
    ]
    rest = log(max(1.0 - sum(map(exp, listed.values())), 1e-12))
    return max([min(*listed.values(), rest), *begins]) if listed else 0.0


def _echoed(target: Target, answer: Answer) -> LogLikelihood | Failure:
    if isinstance(answer, Failure):
        return answer
    values = answer["choices"][0]["logprobs"]["token_logprobs"]
    start, end = len(target.context), len(target.context) + len(target.continuation)
    wanted = values[start:end]
    if len(wanted) != end - start or None in wanted:
        return Failure("the server did not give the log-probability of every token")
    return LogLikelihood(float(sum(wanted)), len(wanted), len(target.fed))


def _generation(request: Generate, answer: dict[str, Any]) -> Generation | Failure:
    completions: list[Completion] = []
    for choice in sorted(answer["choices"], key=lambda each: each.get("index", 0)):
        text = choice["message"].get("content") if "message" in choice else choice["text"]
        finish = choice.get("finish_reason")
        if text is None or finish not in ("stop", "length"):
            return Failure(f"the model gave no answer ({finish or 'no reason given'})", text, permanent=True)
        completions.append(Completion(text, _steps(choice, text), finish))
    if request.sampling.temperature <= 0:
        completions *= request.sampling.n
    usage = answer.get("usage") or {}
    return Generation(
        tuple(completions), int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
    )


def _steps(choice: dict[str, Any], text: str) -> tuple[Token, ...]:
    """The tokens of an answer, where the server names them; without the end token, which is no part of it."""
    if "message" in choice:
        pairs = [(each["token"], each["logprob"]) for each in _chat_steps(choice)]
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
