"""Request and answer bodies of the reward server, a class for each path.

| path          | request | answer |
| ---           | --- | --- |
| `/score`      | {prompt: text, or messages: [{role, content}], responses: [texts]} | {scores, model} |
| `/rewards`    | TRL's reward functions as JSON: {prompts, completions}, each texts or lists of messages, and {tools} | {rewards, errors}: a reward is null where the model cannot read the completion |
| `/get_reward` | OpenRLHF's remote reward model: {query, prompts, labels}; query = prompt + response, as text, decides | {rewards, scores, extra_logs} |
| `/verify`     | NeMo Gym's verifier: {responses_create_params, response} | the request with {reward} |

The shapes of vLLM (`/classify`, `/pooling`, `/rerank`, …) are in `protocol_vllm.py`.
"""  # noqa: E501 (a table)

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from curate.data.conversation import (
    Conversation,
    UnreadableMessageError,
    normalize_tools,
    read_messages,
    text_answer,
    text_message,
)
from curate.engine.base import Failure
from curate.reward.scorer import PromptResponses
from curate.serve.transcript import ChatReader, strip_end_tokens

_NO_TOKENS = ChatReader()


@dataclass(frozen=True, slots=True)
class Answered:
    """Facts that an answer states besides scores: the model, the tokens that it has read, and why scores are missing.

    `n_tokens` is 0 where the model does not count them.
    """

    model: str
    n_tokens: int = 0
    errors: Mapping[int, str] = field(default_factory=dict)


class RequestBody(BaseModel, ABC):
    """A parsed request: prompts with responses to score, and the answer made of their scores."""

    admits_missing: ClassVar[bool] = False
    """A score may be missing (NaN), and the answer says so; else such a request is refused as a whole."""

    @abstractmethod
    def list_prompts(self, reader: ChatReader = _NO_TOKENS) -> list[PromptResponses]:
        """Return the prompts with their responses, in the order of the request; `reader` reads rendered chats."""

    @abstractmethod
    def build_answer(self, scores: Sequence[float], answered: Answered) -> dict[str, Any]:
        """Build the answer from one score a response, in the order of `list_prompts`."""


def _read_chat(value: object) -> Conversation:
    """Read a list of messages. Media stay as they are: `RequestImages` decides about them."""
    try:
        return read_messages(value, "messages")
    except UnreadableMessageError as error:
        raise ValueError(error.reason) from None


def _read_completion(value: object) -> Conversation:
    """Read a completion: a text, or messages. What a model has written ends with control tokens, which are no text."""
    if isinstance(value, str):
        return text_answer(strip_end_tokens(value))
    return _read_chat(value)


Chat = Annotated[Conversation, BeforeValidator(_read_chat)]
Prompt = Annotated[
    str | Conversation,
    BeforeValidator(lambda value: value if isinstance(value, str) else _read_chat(value)),
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

    def list_prompts(self, reader: ChatReader = _NO_TOKENS) -> list[PromptResponses]:
        context = self.messages or (text_message("user", self.prompt or ""),)
        return [PromptResponses(context, tuple(self.responses), tools=self.tools)]

    def build_answer(self, scores: Sequence[float], answered: Answered) -> dict[str, Any]:
        return {"scores": list(scores), "model": answered.model}


class TrlRequest(RequestBody):
    """Prompts with one completion each, as TRL calls its reward functions."""

    admits_missing = True
    prompts: list[Prompt]
    completions: list[Completion]
    tools: list[Tools] | None = None  # a column of the data set, a value for each prompt

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        for name, values in (("completions", self.completions), ("tools", self.tools)):
            if values is not None and len(self.prompts) != len(values):
                raise ValueError(f"{len(self.prompts)} prompts, but {len(values)} {name}")
        return self

    def list_prompts(self, reader: ChatReader = _NO_TOKENS) -> list[PromptResponses]:
        tools = self.tools or [None] * len(self.prompts)
        return [
            read_or_explain(partial(reader.read_prompt, prompt, completion, offered))
            if isinstance(prompt, str)
            else PromptResponses(prompt, (completion,), tools=offered)
            for prompt, completion, offered in zip(self.prompts, self.completions, tools, strict=True)
        ]

    def build_answer(self, scores: Sequence[float], answered: Answered) -> dict[str, Any]:
        errors = {str(place): reason for place, reason in answered.errors.items()}
        rewards = [score if isfinite(score) else None for score in scores]
        return {"rewards": rewards} | ({"errors": errors} if errors else {})


class OpenRlhfRequest(RequestBody):
    """Rendered chats, each a prompt and its response; `labels` are ignored: a reward model needs no reference.

    `query` alone decides: it is what the policy has read and written, decoded from its tokens, so a prompt that was cut
    to fit is cut in it. `prompts` show where the response begins, as far as a query holds its prompt.
    """

    query: list[str]
    prompts: list[str] | None = None

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if self.prompts and len(self.prompts) != len(self.query):
            raise ValueError(f"{len(self.query)} queries, but {len(self.prompts)} prompts")
        return self

    def list_prompts(self, reader: ChatReader = _NO_TOKENS) -> list[PromptResponses]:
        prompts: Sequence[str | None] = self.prompts or [None] * len(self.query)
        return [reader.read(query, prompt) for query, prompt in zip(self.query, prompts, strict=True)]

    def build_answer(self, scores: Sequence[float], answered: Answered) -> dict[str, Any]:
        return {"rewards": list(scores), "scores": list(scores), "extra_logs": {}}


def read_or_explain(read: Callable[[], PromptResponses]) -> PromptResponses:
    """Return what `read` reads, or a request without tokens that says why it cannot be read."""
    try:
        return read()
    except ValueError as error:
        return PromptResponses((), ((),), encoded=Failure(str(error), permanent=True))
