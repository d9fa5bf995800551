"""Requests to a server: their bodies, made of token ids where the tokenizer is known, else of chats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.config.images import ImageAccess
from curate.data.conversation import has_media
from curate.engine.base import Chat, Choose, Failure, Generate
from curate.engine.chat_tokens import ChatTokens
from curate.engine.choices import apply_apart
from curate.engine.openai.http_client import Call
from curate.engine.openai.media import ImageParts
from curate.engine.openai.options import OpenAIOptions
from curate.engine.template_turns import TemplateTurns
from curate.engine.template_words import TemplateWords
from curate.records import plain_text

_CONTINUES_ANSWERS = ("vllm", "sglang")  # servers that go on with an answer that is begun for them
_ONE_TOKEN = {"max_tokens": 1, "temperature": 0.0}  # only its probabilities are wanted
_PROBE = [{"role": "user", "content": "Say A or B."}]


@dataclass(slots=True)
class CallBuilder:
    """Builds requests in the form that one server takes.

    Args:
        options: Options of the engine.
        tokens: Makes token ids of chats; None where the tokenizer is not known.
        server_software: Name of the server's software, as it states it itself; "" where it does not.
        gives_logprobs: The server has log-probabilities for the text that it writes.
        images: Says which images may be opened.
    """

    options: OpenAIOptions
    tokens: ChatTokens | None
    server_software: str = ""
    gives_logprobs: bool = True
    images: ImageAccess = field(default_factory=ImageAccess)

    def build_probes(self) -> list[Call]:
        """Build two requests, which a server answers with log-probabilities of its output and its input, if it can."""
        if self.tokens is None:
            return [self._build_turns_call(_PROBE, max_tokens=1, logprobs=True, top_logprobs=1)]
        return [self._build_completion_call((1, 1), max_tokens=1, logprobs=1), self.build_echo((1, 1))]

    def build_token_query(self, context: Sequence[int], ids: Sequence[int]) -> Call:
        """Build the request for the log-probabilities of these next tokens, as vLLM gives them."""
        return self._build_completion_call(
            context, **_ONE_TOKEN, logprobs=1, logprob_token_ids=list(ids), return_tokens_as_token_ids=True
        )

    def build_top_token_queries(self, requests: Sequence[Choose]) -> list[Call | Failure]:
        """Build the requests for the likeliest next tokens."""
        if self.tokens is None:
            return self._build_chat_queries(requests)
        return apply_apart(requests, _shows_media, self._build_chat_queries, self._build_completion_queries)

    def _build_chat_queries(self, requests: Sequence[Choose]) -> list[Call | Failure]:
        settings = _ONE_TOKEN | {"logprobs": True, "top_logprobs": self.options.top_logprobs}
        images = self._make_image_parts()
        return [
            self._build_chat_call(request.messages, request.prefill, images, **settings)
            for request in requests
        ]

    def _build_completion_queries(self, requests: Sequence[Choose]) -> list[Call | Failure]:
        assert self.tokens is not None
        contexts = self.tokens.encode_all(
            [(request.messages, request.prefill) for request in requests], rooms=[1] * len(requests)
        )
        return [
            context
            if isinstance(context, Failure)
            else self._build_completion_call(context, **_ONE_TOKEN, logprobs=self.options.top_logprobs)
            for context in contexts
        ]

    def build_echo(self, ids: Sequence[int]) -> Call:
        """Build the request for the log-probability of every token of the input."""
        return self._build_completion_call(ids, max_tokens=1, logprobs=1, echo=True)

    def build_generate_calls(self, requests: Sequence[Generate]) -> list[Call | Failure]:
        """Build the requests for text."""
        if self.tokens is None:
            return self._build_chat_texts(requests)
        return apply_apart(requests, _shows_media, self._build_chat_texts, self._build_completion_texts)

    def _build_chat_texts(self, requests: Sequence[Generate]) -> list[Call | Failure]:
        bodies = [_build_generate_body(request) for request in requests]
        settings = {"logprobs": True} if self.gives_logprobs else {}
        images = self._make_image_parts()
        return [
            body
            if isinstance(body, Failure)
            else self._build_chat_call(request.messages, request.prefill, images, **body, **settings)
            for request, body in zip(requests, bodies, strict=True)
        ]

    def _build_completion_texts(self, requests: Sequence[Generate]) -> list[Call | Failure]:
        assert self.tokens is not None
        bodies = [_build_generate_body(request) for request in requests]
        contexts = self.tokens.encode_all(
            [(request.messages, request.prefill) for request in requests],
            rooms=[request.sampling.max_tokens for request in requests],
        )
        return [
            body
            if isinstance(body, Failure)
            else context
            if isinstance(context, Failure)
            else self._build_completion_call(context, **body, logprobs=1)
            for context, body in zip(contexts, bodies, strict=True)
        ]

    def build_classify_calls(
        self, chats: Sequence[Chat], tools: Sequence[str | None] = ()
    ) -> list[Call | Failure]:
        """Build the requests for raw logits: with an activation, a model of one output would answer with a sigmoid."""
        raw = {"use_activation": False}
        if self.tokens is None:
            listed = tools or [None] * len(chats)
            converted = [
                _convert_turns(chat, chat_tools) for chat, chat_tools in zip(chats, listed, strict=True)
            ]
            return [
                turns
                if isinstance(turns, Failure)
                else self._build_call("/classify", {"messages": turns, "add_generation_prompt": False} | raw)
                for turns in converted
            ]
        encoded = self.tokens.encode_all(
            [(chat, "") for chat in chats], answer=False, tools=tools or [None] * len(chats)
        )
        return [
            ids if isinstance(ids, Failure) else self._build_call("/classify", {"input": ids} | raw)
            for ids in encoded
        ]

    def build_embedding_call(self, text: str) -> Call:
        return self._build_call("/embeddings", {"input": text, "encoding_format": "float"})

    def _make_image_parts(self) -> ImageParts | None:
        """Return what builds the parts of images in a batch of requests; None where the model reads none."""
        mode = self.options.images
        return None if mode == "none" else ImageParts(self.images, by_address=mode == "address")

    def _build_chat_call(
        self, messages: Chat, prefill: str, images: ImageParts | None, **body: Any
    ) -> Call | Failure:
        """Build the request for a chat whose answer begins with `prefill`."""
        turns = _convert_turns(messages, images=images)
        if isinstance(turns, Failure):
            return turns
        if not prefill:
            return self._build_turns_call(turns, **body)
        if self.server_software not in _CONTINUES_ANSWERS:
            return Failure(
                "this server cannot go on with an answer that is begun for it: name the model's `tokenizer`, or use a "
                "template that begins no answer",
                permanent=True,
            )
        turns.append({"role": "assistant", "content": prefill})
        return self._build_turns_call(turns, **body, continue_final_message=True, add_generation_prompt=False)

    def _build_turns_call(self, turns: list[dict[str, str]], **body: Any) -> Call:
        return self._build_call("/chat/completions", {"messages": turns} | body)

    def _build_completion_call(self, prompt: Sequence[int], **body: Any) -> Call:
        return self._build_call("/completions", {"prompt": list(prompt)} | body)

    def _build_call(self, path: str, body: dict[str, Any]) -> Call:
        # vLLM's own paths stand beside /v1, not below it.
        address = self.options.url.rstrip("/").removesuffix("/v1") + path if path == "/classify" else path
        return Call(address, {"model": self.options.model} | body | self.options.extra)


def _build_generate_body(request: Generate) -> dict[str, Any] | Failure:
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
    return body


def _shows_media(request: Choose | Generate) -> bool:
    return has_media(request.messages)


def _convert_turns(
    chat: Chat, tools: str | None = None, images: ImageParts | None = None
) -> list[dict[str, Any]] | Failure:
    """Return a chat as the API takes it."""
    if not chat:
        return Failure("bare text needs the model's `tokenizer`", permanent=True)
    if tools is not None:
        return Failure(
            "the tools of a prompt are sent only where the model's `tokenizer` is named", permanent=True
        )
    if has_media(chat):
        if images is None:
            return Failure(
                "only text is sent, and the chat holds images or videos (see `images` of the engine)",
                permanent=True,
            )
        return images.find_failure(chat) or _API_TURNS.build_turns(chat, str, images.build_content)
    return _API_TURNS.build_turns(chat, str, lambda message: plain_text(message.content))


_API_TURNS = TemplateTurns(
    TemplateWords(
        calls=True,
        text_arguments=True,
        text_beside_calls=True,
        results=True,
        developer=True,
        reasoning_key="reasoning_content",
    )
)
"""What OpenAI's API takes in messages."""
