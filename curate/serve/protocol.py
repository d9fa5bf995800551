"""Request and answer bodies of the reward server, a class for each path.

| path          | request | answer |
| ---           | --- | --- |
| `/score`      | {prompt: text, or messages: [{role, content}], responses: [texts]} | {scores, model} |
| `/rewards`    | TRL's reward functions as JSON: {prompts, completions}, each texts or lists of messages | {rewards} |
| `/get_reward` | OpenRLHF's remote reward model: {query, prompts, labels}, query = prompt + response | {rewards, scores, extra_logs} |
| `/classify`   | vLLM's, as verl's reward loop asks it: {model, input: a rendered chat, or several}, or {model, messages} | {data: [{index, probs: [score]}]} |
"""  # noqa: E501 (a table)

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, Field, PrivateAttr, model_validator

from curate.data.preference_rows import Turns
from curate.records import Role
from curate.reward.scorer import PromptResponses
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


class ChatMessage(BaseModel):
    """A message of a chat; `content` is a text, or a list of parts, of which those with a `text` are read."""

    role: Role
    content: str | list[dict[str, Any]]

    @property
    def turn(self) -> tuple[str, str]:
        """Role and text of the message."""
        if isinstance(self.content, str):
            return self.role, self.content
        return self.role, "\n".join(
            part["text"] for part in self.content if isinstance(part.get("text"), str)
        )


Chat = list[ChatMessage]


class ScoreRequest(RequestBody):
    """A prompt with all its responses; the model reads the prompt once."""

    prompt: str | None = None
    messages: Chat | None = None
    responses: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_prompt(self) -> Self:
        if (self.prompt is None) == (not self.messages):
            raise ValueError("give either `prompt` (a text) or `messages` (a list of {role, content})")
        return self

    def list_prompts(self) -> list[PromptResponses]:
        context = [message.turn for message in self.messages or ()] or [("user", self.prompt or "")]
        return [PromptResponses(context, tuple(self.responses))]

    def build_answer(self, scores: Sequence[float], model: str) -> dict[str, Any]:
        return {"scores": list(scores), "model": model}


class TrlRequest(RequestBody):
    """Prompts with one completion each, as TRL calls its reward functions."""

    prompts: list[str | Chat] = Field(min_length=1)
    completions: list[str | Chat]

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if len(self.prompts) != len(self.completions):
            raise ValueError(f"{len(self.prompts)} prompts, but {len(self.completions)} completions")
        return self

    def list_prompts(self) -> list[PromptResponses]:
        return [
            PromptResponses(_read_context(prompt), (_read_completion(completion),))
            for prompt, completion in zip(self.prompts, self.completions, strict=True)
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
            PromptResponses(parse_turns(prompt), (strip_end_tokens(query[len(prompt) :]),))
            for query, prompt in zip(self.query, self.prompts, strict=True)
        ]

    def build_answer(self, scores: Sequence[float], model: str) -> dict[str, Any]:
        return {"rewards": list(scores), "scores": list(scores), "extra_logs": {}}


class ClassifyRequest(RequestBody):
    """Rendered chats, or one chat as `messages` that ends with the assistant's turn; `activation` is ignored."""

    input: str | list[str] | None = None
    messages: Chat | None = None

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
            *context, last = [message.turn for message in self.messages]
            return [PromptResponses(context, (last[1],))]
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


def _read_context(prompt: str | Chat) -> Turns:
    """Return the turns of a prompt."""
    return parse_turns(prompt) if isinstance(prompt, str) else [message.turn for message in prompt]


def _read_completion(completion: str | Chat) -> str:
    """Return the text of a completion."""
    if isinstance(completion, str):
        return strip_end_tokens(completion)
    return "\n\n".join(message.turn[1] for message in completion)


def _read_rendered_chat(chat: str, multi_turn: bool) -> PromptResponses:
    """Split a rendered chat into its context and its answer, which is scored."""
    context, response = split_rendered_chat(chat, multi_turn=multi_turn)
    return PromptResponses(context, (response,))
