"""An OpenAI-compatible server as a model: its capabilities, and its answers to the requests of engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from curate.config.images import ImageAccess
from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.data.conversation import has_media
from curate.engine.base import (
    Capability,
    Chat,
    Choice,
    Choose,
    Continuation,
    Failure,
    Generate,
    Generation,
    LogLikelihood,
    Score,
)
from curate.engine.batching import Target
from curate.engine.chat_tokens import ChatTokens
from curate.engine.choices import (
    Context,
    apply_apart,
    collect_token_queries,
    draw_choices,
    restore_order,
    sort_by_beginning,
)
from curate.engine.local.embedder import Float32, Window, embed_windows, normalize_rows, split_windows
from curate.engine.openai.answers import (
    ServerAnswer,
    build_exact_choice,
    estimate_choice,
    list_chat_steps,
    parse_answer,
    parse_echo,
    parse_embedding,
    parse_generation,
    parse_reward,
    parse_token_log_probs,
)
from curate.engine.openai.batch_client import BatchClient, BatchPolicy
from curate.engine.openai.batch_store import BatchStore
from curate.engine.openai.calls import CallBuilder
from curate.engine.openai.http_client import Call, HttpClient, RetryPolicy
from curate.engine.openai.options import OpenAIOptions
from curate.engine.weights import Weights


@dataclass(slots=True)
class ServerModel:
    """A model behind a server.

    Args:
        http_client: Connections to the server.
        calls: Builds requests. `check_server` and `probe_capabilities` tell it what the server takes.
        batch_client: Asks questions in batches; None: at once.
    """

    http_client: HttpClient
    calls: CallBuilder
    batch_client: BatchClient | None = None
    _checked: bool = field(init=False, default=False)

    @property
    def options(self) -> OpenAIOptions:
        return self.calls.options

    @property
    def chat_tokens(self) -> ChatTokens | None:
        return self.calls.tokens

    def close(self) -> None:
        self.http_client.close()

    # Capabilities -----------------------------------------------------------------------------------------

    def check_server(self) -> bool:
        """Tell whether the server can be reached.

        Raises:
            CurateError: It refuses the key, or has no such model.
        """
        response = self.http_client.get_path("/models")
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
            names = {str(model.get("id")): model for model in listed}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            names = {}  # a server that does not list its models may still answer
        if names and self.options.model not in names:
            raise CurateError(
                f"The server {self.options.url} has no model {self.options.model!r}: it has "
                f"{', '.join(sorted(names)[:20])}."
            )
        description = names.get(self.options.model, {})
        self._checked, self.calls.server_software = True, str(description.get("owned_by", ""))
        longest = description.get("max_model_len")
        if (
            self.chat_tokens is not None
            and self.options.max_length is None
            and type(longest) is int
            and longest > 0
        ):
            self.chat_tokens.max_length = longest
        return True

    def _check_server_once(self) -> None:
        if not self._checked:
            self.check_server()

    def probe_capabilities(self) -> frozenset[Capability] | None:
        """Return the capabilities of the server, found out with three requests of one token.

        None where it cannot be reached.
        """
        if not self.check_server():
            return None
        if self.options.task != "causal":
            return frozenset()
        capabilities: set[Capability] = {"generate", "schema"}
        answer, *echoes = self.http_client.post_calls(self.calls.build_probes())
        # An answer of an odd form does not show what the server can do: it may be out of order for a moment.
        if not isinstance(answer, Failure) and parse_answer(answer, _has_log_probs) is not False:
            capabilities.add("choose")
        if self.chat_tokens is None:
            self.calls.gives_logprobs = "choose" in capabilities
        for answer in echoes:
            if parse_answer(answer, _has_input_log_probs) is True:
                capabilities.add("loglikelihood")
        return frozenset(capabilities)

    # Probabilities ----------------------------------------------------------------------------------------

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        self._check_server_once()
        tokens = self.chat_tokens
        if tokens is not None and self.calls.server_software == "vllm":
            return apply_apart(
                requests,
                _shows_media,
                self._look_choices_up,
                lambda others: self._choose_exactly(others, tokens),
            )
        return self._look_choices_up(requests)

    def _look_choices_up(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        answers = self._post_in_order(
            self.calls.build_top_token_queries(requests), [request.messages for request in requests]
        )
        return [
            parse_answer(answer, partial(estimate_choice, request, max_unseen=self.options.max_unseen))
            for request, answer in zip(requests, answers, strict=True)
        ]

    def _choose_exactly(self, requests: Sequence[Choose], tokens: ChatTokens) -> list[Choice | Failure]:
        order = sort_by_beginning([request.messages for request in requests])
        slots = tokens.encode_choices([requests[place] for place in order])
        queries = collect_token_queries(
            [target for slot in slots if not isinstance(slot, Failure) for target in slot]
        )
        answers = self._post_questions(
            [self.calls.build_token_query(context, ids) for context, ids in queries.items()]
        )
        log_probs: dict[Context, dict[int, float] | Failure] = {
            context: parse_answer(answer, parse_token_log_probs)
            for context, answer in zip(queries, answers, strict=True)
        }
        return restore_order(
            order,
            [slot if isinstance(slot, Failure) else build_exact_choice(slot, log_probs) for slot in slots],
        )

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        assert self.chat_tokens is not None
        order = sort_by_beginning([request.messages for request in requests])
        slots = self.chat_tokens.encode_targets([requests[place] for place in order])
        targets = list(dict.fromkeys(slot for slot in slots if isinstance(slot, Target)))
        answers = self._post_questions(
            [self.calls.build_echo(target.context + target.continuation) for target in targets]
        )
        by_target = dict(zip(targets, answers, strict=True))
        return restore_order(
            order,
            [
                slot
                if isinstance(slot, Failure)
                else parse_answer(by_target[slot], partial(parse_echo, slot))
                for slot in slots
            ],
        )

    # Text -------------------------------------------------------------------------------------------------

    def generate(self, requests: Sequence[Generate]) -> list[Generation | Failure]:
        bound = [number for number, request in enumerate(requests) if request.choices is not None]
        results: dict[int, Generation | Failure] = dict(
            zip(bound, draw_choices(self.choose, [requests[number] for number in bound]), strict=True)
        )
        self._check_server_once()
        free = [number for number, request in enumerate(requests) if request.choices is None]
        free_requests = [requests[number] for number in free]
        answers = self._post_in_order(
            self.calls.build_generate_calls(free_requests), [request.messages for request in free_requests]
        )
        for number, answer in zip(free, answers, strict=True):
            results[number] = parse_answer(answer, partial(parse_generation, requests[number]))
        return [results[number] for number in range(len(requests))]

    # Rewards and embeddings -------------------------------------------------------------------------------

    def score(self, chats: Sequence[Chat], tools: Sequence[str | None] = ()) -> list[Score | Failure]:
        label = self.options.label if "label" in self.options.model_fields_set else None
        answers = self._post_in_order(self.calls.build_classify_calls(chats, tools), chats)
        return [
            parse_answer(answer, partial(parse_reward, label=label, model=self.options.model))
            for answer in answers
        ]

    def embed(self, texts: Sequence[str]) -> Float32:
        if not texts:
            return np.zeros((0, 0), np.float32)
        return embed_windows(texts, self._split_text, self._embed_windows)

    def _split_text(self, text: str) -> list[Window]:
        if self.chat_tokens is None:
            return [(text, 1)]
        return split_windows(self.chat_tokens.tokenizer, self.chat_tokens.max_length, text)

    def _embed_windows(self, pieces: Sequence[str]) -> Float32:
        vectors = []
        for answer in self._post_questions([self.calls.build_embedding_call(piece) for piece in pieces]):
            vector = parse_answer(answer, parse_embedding)
            if isinstance(vector, Failure):
                hint = " Texts that are too long are split where `tokenizer` and `max_length` are given."
                raise CurateError(
                    f"The server {self.options.url} offers no embeddings: {vector.reason}.{hint}"
                )
            vectors.append(vector)
        if len({len(vector) for vector in vectors}) > 1:
            raise CurateError(f"The server {self.options.url} gave embeddings of several lengths.")
        return normalize_rows(np.asarray(vectors, np.float32))

    def _post_questions(self, calls: Sequence[Call]) -> list[ServerAnswer]:
        return (self.batch_client or self.http_client).post_calls(calls)

    def _post_in_order(self, slots: Sequence[Call | Failure], chats: Sequence[Chat]) -> list[ServerAnswer]:
        """Send the calls that are no Failure already, in the order of the chats' texts: the server caches prefixes."""
        order = sort_by_beginning(chats)
        answers = iter(
            self._post_questions([slot for place in order if isinstance(slot := slots[place], Call)])
        )
        return restore_order(
            order, [slot if isinstance(slot := slots[place], Failure) else next(answers) for place in order]
        )


def _has_log_probs(answer: dict[str, Any]) -> bool:
    choice = answer["choices"][0]
    return bool(list_chat_steps(choice) if "message" in choice else choice.get("logprobs"))


def _has_input_log_probs(answer: dict[str, Any]) -> bool:
    logprobs = answer["choices"][0].get("logprobs") or {}
    return len(logprobs.get("token_logprobs") or []) >= 2


def _shows_media(request: Choose) -> bool:
    return has_media(request.messages)


def connect_server(
    options: OpenAIOptions,
    key: str | None,
    tokenizer: Weights | None,
    store: Path | None = None,
    *,
    images: ImageAccess | None = None,
) -> ServerModel:
    """Return the model behind a server. Nothing is sent yet.

    Args:
        options: Options of the engine.
        key: The key, or None.
        tokenizer: Place of the model's tokenizer, or None.
        store: File in which batches are written down, where questions go through the provider's batch API.
        images: Says which images may be opened.
    """
    retry_policy = RetryPolicy(
        concurrency=options.concurrency,
        timeout=options.timeout,
        retries=options.retries,
        outage=options.outage,
    )
    http_client = HttpClient(options.url.rstrip("/"), key, retry_policy)
    batch_client = None
    if store is not None:
        policy = BatchPolicy(
            window=options.batch_window,
            poll=options.batch_poll,
            wait=options.batch_wait,
            retries=options.retries,
            outage=options.outage,
        )
        batch_client = BatchClient(http_client, BatchStore(store, http_client.root), policy)
    calls = CallBuilder(options, _load_tokenizer(options, tokenizer), images=images or ImageAccess())
    return ServerModel(http_client, calls, batch_client)


def _load_tokenizer(options: OpenAIOptions, tokenizer: Weights | None) -> ChatTokens | None:
    if tokenizer is None:
        return None
    require_extra("models", "transformers", purpose=f"The tokenizer {options.tokenizer!r}")
    from transformers import AutoTokenizer

    place: dict[str, Any] = {"gguf_file": tokenizer.gguf_file} if tokenizer.gguf_file else {}
    if tokenizer.hub_revision:
        place["revision"] = tokenizer.hub_revision
    try:
        loaded = AutoTokenizer.from_pretrained(tokenizer.source, **place)
    except (OSError, ValueError, ImportError) as error:
        raise CurateError(
            f"The tokenizer {options.tokenizer!r} cannot be opened: {' '.join(str(error).split())[:300]}"
        ) from error
    return ChatTokens(loaded, options.max_length or min(loaded.model_max_length, 1 << 30))
