"""Request and answer bodies of the reward server, a class for each path.

| path          | request | answer |
| ---           | --- | --- |
| `/score`      | {prompt: text, or messages: [{role, content}], responses: [texts]} | {scores, model} |
| `/rewards`    | TRL's reward functions as JSON: {prompts, completions}, each texts or lists of messages, and {tools} | {rewards} |
| `/get_reward` | OpenRLHF's remote reward model: {query, prompts, labels}, query = prompt + response | {rewards, scores, extra_logs} |
| `/classify`   | vLLM's, as verl's reward loop asks it: {model, input: a rendered chat, or several}, or {model, messages} | {data: [{index, probs: [score]}]} |
"""  # noqa: E501 (a table)

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, Field, PrivateAttr, model_validator

from curate.data.conversation import (
    Conversation,
    UnreadableMessageError,
    normalize_tools,
    read_messages,
    text_answer,
    text_message,
)
from curate.reward.scorer import PromptResponses, hide_media
from curate.serve.transcript import parse_turns, split_rendered_chat, strip_end_tokens


class RequestBody(BaseModel, ABC):
    """A parsed request: prompts with responses to score, and the answer made of their scores."""

    _multi_turn: bool = PrivateAttr(default=False)

    def allow_several_answers(self) -> None:
        """Take the last answer of a rendered chat with several for the one to score; else such chats are refused."""
        self._multi_turn = True

    @abstractmethod
    def list_prompts(self) -> list[PromptResponses]:
        """Return the prompts with their responses, in the order of the request."""

    @abstractmethod
    def build_answer(self, scores: Sequence[float], model: str) -> dict[str, Any]:
        """Build the answer from one score a response, in the order of `list_prompts`."""


def _read_chat(value: object) -> Conversation:
    """Read a list of messages; media are marks in the text, since nothing is fetched for a request."""
    try:
        return hide_media(read_messages(value, "messages"))
    except UnreadableMessageError as error:
        raise ValueError(error.reason) from None


def _read_completion(value: object) -> Conversation:
    """Read a completion: a text, or messages. What a model has written ends with control tokens, which are no text."""
    if isinstance(value, str):
        return text_answer(strip_end_tokens(value))
    return _read_chat(value)


Chat = Annotated[Conversation, BeforeValidator(_read_chat)]
Prompt = Annotated[
    Conversation,
    BeforeValidator(lambda value: parse_turns(value) if isinstance(value, str) else _read_chat(value)),
]
Answer = Annotated[
    Conversation,
    BeforeValidator(lambda value: text_answer(value) if isinstance(value, str) else _read_chat(value)),
]
Completion = Annotated[Conversation, BeforeValidator(_read_completion)]
Tools = Annotated[str | None, BeforeValidator(lambda value: _read_tools(value))]


def _read_tools(value: object) -> str | None:
    try:
        return normalize_tools(value)
    except UnreadableMessageError as error:
        raise ValueError(error.reason) from None


class ScoreRequest(RequestBody):
    """A prompt with all its responses; the model reads the prompt once."""

    prompt: str | None = None
    messages: Chat | None = None
    responses: list[Answer] = Field(min_length=1)
    tools: Tools = None

    @model_validator(mode="after")
    def _check_prompt(self) -> Self:
        if (self.prompt is None) == (not self.messages):
            raise ValueError("give either `prompt` (a text) or `messages` (a list of {role, content})")
        return self

    def list_prompts(self) -> list[PromptResponses]:
        context = self.messages or (text_message("user", self.prompt or ""),)
        return [PromptResponses(context, tuple(self.responses), tools=self.tools)]

    def build_answer(self, scores: Sequence[float], model: str) -> dict[str, Any]:
        return {"scores": list(scores), "model": model}


class TrlRequest(RequestBody):
    """Prompts with one completion each, as TRL calls its reward functions."""

    prompts: list[Prompt] = Field(min_length=1)
    completions: list[Completion]
    tools: list[Tools] | None = None  # a column of the data set, a value for each prompt

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        for name, values in (("completions", self.completions), ("tools", self.tools)):
            if values is not None and len(self.prompts) != len(values):
                raise ValueError(f"{len(self.prompts)} prompts, but {len(values)} {name}")
        return self

    def list_prompts(self) -> list[PromptResponses]:
        tools = self.tools or [None] * len(self.prompts)
        return [
            PromptResponses(prompt, (completion,), tools=offered)
            for prompt, completion, offered in zip(self.prompts, self.completions, tools, strict=True)
        ]

    def build_answer(self, scores: Sequence[float], model: str) -> dict[str, Any]:
        return {"rewards": list(scores)}


class OpenRlhfRequest(RequestBody):
    """Rendered chats, each a prompt and its response; `labels` are ignored: a reward model needs no reference."""

    query: list[str] = Field(min_length=1)
    prompts: list[str] | None = None

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if self.prompts and len(self.prompts) != len(self.query):
            raise ValueError(f"{len(self.query)} queries, but {len(self.prompts)} prompts")
        for place, (query, prompt) in enumerate(zip(self.query, self.prompts or (), strict=False)):
            if not query.startswith(prompt):
                raise ValueError(f"query {place} does not begin with its prompt")
        return self

    def list_prompts(self) -> list[PromptResponses]:
        if not self.prompts:
            return [_read_rendered_chat(query, self._multi_turn) for query in self.query]
        return [
            PromptResponses(parse_turns(prompt), (text_answer(strip_end_tokens(query[len(prompt) :])),))
            for query, prompt in zip(self.query, self.prompts, strict=True)
        ]

    def build_answer(self, scores: Sequence[float], model: str) -> dict[str, Any]:
        return {"rewards": list(scores), "scores": list(scores), "extra_logs": {}}


class ClassifyRequest(RequestBody):
    """Rendered chats, or one chat as `messages` that ends with the assistant's turn; `activation` is ignored."""

    input: str | list[str] | None = None
    messages: Chat | None = None
    tools: Tools = None

    @model_validator(mode="after")
    def _check_chat(self) -> Self:
        if (self.input is None) == (not self.messages):
            raise ValueError(
                "give either `input` (a rendered chat, or several) or `messages` ([{role, content}])"
            )
        if self.messages and (len(self.messages) < 2 or self.messages[-1].role != "assistant"):
            raise ValueError("`messages` has to end with the assistant's turn, which is what is scored")
        return self

    def list_prompts(self) -> list[PromptResponses]:
        if self.messages:
            return [PromptResponses(self.messages[:-1], (self.messages[-1:],), tools=self.tools)]
        texts = [self.input] if isinstance(self.input, str) else self.input or []
        return [_read_rendered_chat(text, self._multi_turn) for text in texts]

    def build_answer(self, scores: Sequence[float], model: str) -> dict[str, Any]:
        data = [{"index": n, "probs": [score], "num_classes": 1} for n, score in enumerate(scores)]
        return {"object": "list", "model": model, "data": data}


PATHS: dict[str, type[RequestBody]] = {
    "/score": ScoreRequest,
    "/rewards": TrlRequest,
    "/get_reward": OpenRlhfRequest,
    "/classify": ClassifyRequest,
}


def _read_rendered_chat(chat: str, multi_turn: bool) -> PromptResponses:
    """Split a rendered chat into its context and its answer, which is scored."""
    context, response = split_rendered_chat(chat, multi_turn=multi_turn)
    return PromptResponses(context, (text_answer(response),))
