"""NeMo Gym's `/verify`: one rollout in the shapes of OpenAI's Responses API, answered with its reward.

A rollout that cannot be scored is no wrong answer: it comes back in the form in which Gym sets failed judgments aside
(`_ng_failure_class`), so that it enters no statistic and is tried again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import isfinite
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from curate.data.conversation import UnreadableMessageError, normalize_tools, read_messages
from curate.engine.base import Failure
from curate.reward.scorer import PromptResponses
from curate.serve.protocol import Answered, RequestBody
from curate.serve.transcript import ChatReader

_NO_TOKENS = ChatReader()
_TEXT_PARTS = ("input_text", "output_text", "text")


class _CreateParams(BaseModel):
    model_config = ConfigDict(extra="allow")

    input: str | list[dict[str, Any]]
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = None


class _Response(BaseModel):
    model_config = ConfigDict(extra="allow")

    output: list[dict[str, Any]]


class VerifyRequest(RequestBody):
    """The request of a rollout, and its response. Further fields of the task come back as they are."""

    model_config = ConfigDict(extra="allow")
    admits_missing: ClassVar[bool] = True

    responses_create_params: _CreateParams
    response: _Response

    @property
    def cohort_key(self) -> Hashable:
        """Identifies the prompt whose rollouts are rewarded together: Gym's number of the task, and what was asked."""
        extra = self.model_extra or {}
        return str(extra.get("_ng_task_index")), self.responses_create_params.model_dump_json()

    def list_prompts(self, reader: ChatReader = _NO_TOKENS) -> list[PromptResponses]:
        asked = self.responses_create_params
        try:
            context = read_messages(_convert_items(_list_input(asked)), "input")
            answer = read_messages(_convert_items(self.response.output), "output")
            tools = normalize_tools([_convert_tool(tool) for tool in asked.tools] if asked.tools else None)
        except UnreadableMessageError as error:
            raise ValueError(error.reason) from None
        if not any(message.role == "assistant" for message in answer):
            return [PromptResponses((), ((),), encoded=Failure("the response holds no answer"))]
        return [PromptResponses(context, (answer,), tools=tools)]

    def build_answer(self, scores: Sequence[float], answered: Answered) -> dict[str, Any]:
        rollout = self.model_dump()
        if isfinite(scores[0]):
            return rollout | {"reward": scores[0]}
        reason = answered.errors.get(0, "the model gives no score")
        return rollout | {
            "reward": 0.0,
            "_ng_failure_class": "judge_failed",
            "_ng_failure_judge_error": reason,
        }


def _list_input(asked: _CreateParams) -> list[dict[str, Any]]:
    items = [{"role": "user", "content": asked.input}] if isinstance(asked.input, str) else asked.input
    return [{"role": "system", "content": asked.instructions}, *items] if asked.instructions else items


def _convert_items(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Convert items of the Responses API to messages of chat completions; thoughts belong to what follows them."""
    messages: list[dict[str, Any]] = []
    thought = ""
    for item in items:
        kind = item.get("type", "message")
        if kind == "reasoning":
            parts = _list_parts(item.get("content") or item.get("summary") or [])
            thought += "\n".join(str(part.get("text", "")) for part in parts)
            continue
        if kind == "function_call_output":
            messages.append(
                {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output", "")}
            )
            continue
        message = _convert_call(item) if kind == "function_call" else _convert_message(item, kind)
        if thought and message["role"] == "assistant":
            message["reasoning_content"], thought = thought, ""
        previous = messages[-1] if messages else {}
        if kind == "function_call" and previous.get("role") == "assistant" and "tool_calls" in previous:
            previous["tool_calls"] += message["tool_calls"]
            continue
        messages.append(message)
    return messages


def _convert_call(item: dict[str, Any]) -> dict[str, Any]:
    function = {"name": item.get("name"), "arguments": item.get("arguments", "{}")}
    call = {"id": item.get("call_id"), "type": "function", "function": function}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


def _convert_message(item: dict[str, Any], kind: str) -> dict[str, Any]:
    if kind != "message":
        raise ValueError(f"an item of type {kind!r} is none that a reward model reads")
    content = item.get("content", "")
    if isinstance(content, list):
        content = [
            {"type": "text", "text": part.get("text", "")} if part.get("type") in _TEXT_PARTS else part
            for part in _list_parts(content)
        ]
    return {"role": item.get("role", "assistant"), "content": content}


def _list_parts(value: object) -> list[dict[str, Any]]:
    """Return the parts of an item.

    Raises:
        ValueError: It has something else in their place.
    """
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise ValueError("the parts of an item have to be a list of objects")
    return value


def _convert_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool as chat completions name it: the Responses API has the fields of `function` beside `type`."""
    if "function" in tool:
        return tool
    return {"type": "function", "function": {key: tool[key] for key in tool if key not in ("type", "strict")}}
