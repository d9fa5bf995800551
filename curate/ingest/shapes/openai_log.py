"""Logs of OpenAI-compatible APIs: requests with the answers that came back (of OpenAI, vLLM, LiteLLM, batches).

A row holds a request and its answer, under the names that are usual (`_REQUESTS`, `_ANSWERS`) or at its top. Each
choice of the answer is a response. The output of a batch names its requests by `custom_id` alone: `join` brings them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curate.config.ingest import Fields
from curate.data.conversation import Conversation, normalize_tools, read_messages
from curate.ingest import foreign
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.paths import find_value, open_json
from curate.ingest.rejection import RowError
from curate.ingest.rows import Row
from curate.ingest.shapes.base import Shape

_REQUESTS = ("request.body", "request", "body", "")
_ANSWERS = ("response.body", "response", "completion", "")
_ASKED = ("messages", "input", "prompt")  # of chats, of the Responses API, of plain completions
_ANSWERED = ("choices", "output")
_JOIN = "join: [{source: requests.jsonl, by: custom_id, name: request}]"

Object = Mapping[str, Any]


class OpenAILog(Shape):
    """A request with its answer."""

    fields = Fields(meta=["custom_id"], ignore=["id"], optional=["custom_id"])
    columns = (
        frozenset({"request", "response"}),
        frozenset({"body", "response"}),
        frozenset({"custom_id", "response"}),
        frozenset({"messages", "choices"}),
        frozenset({"messages", "response", "model"}),
    )
    reads = frozenset(
        {"request", "response", "body", "completion", "choices", "messages", "model", "tools", "functions"}
        | {"object", "created", "usage", "error", "method", "url", "system_fingerprint", "service_tier", "n"}
    )
    reads_json = True
    description = "requests to OpenAI-compatible APIs with their answers: logs, and batches with `join`"
    example: Mapping[str, Any] | None = {
        "row": {
            "request": {
                "model": "m1",
                "n": 2,
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Name a tree."},
                ],
            },
            "response": {
                "object": "chat.completion",
                "model": "m1-2026",
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": "An oak."}},
                    {"index": 1, "message": {"role": "assistant", "content": "A cod."}},
                ],
            },
        },
        "prompt": [["system", "Be brief."], ["user", "Name a tree."]],
        "responses": ["An oak.", "A cod."],
        "models": ["m1-2026", "m1-2026"],
        "verdicts": [],
    }

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read the request and every choice of its answer."""
        _refuse_failure(row)
        answer = _find_object(row, _ANSWERS, _ANSWERED)
        if answer is None:
            raise RowError("no responses", "The row holds no answer: neither `choices` nor `output`.")
        request = _find_object(row, _REQUESTS, _ASKED)
        if request is None or request is answer is not row:
            raise RowError(
                "no request", f"The row holds an answer without its request: bring the requests by `{_JOIN}`."
            )
        model = answer.get("model") or request.get("model")
        name = None if model is None else foreign.check_text(model, "model")
        responses = [foreign.make_response(messages, model=name) for messages in read_answers(answer)]
        read = foreign.build_row(row, reading, read_request(request), responses)
        read.tools = normalize_tools(list_tools(request), "tools")
        return read


def read_request(request: Object) -> Conversation:
    """Read what was asked: `messages`, `input` with `instructions` (Responses API), or the text at `prompt`."""
    if request.get("messages") is not None:
        return read_messages(request["messages"], "messages")
    if request.get("input") is not None:
        value = request["input"]
        items = value if isinstance(value, str) else _convert_items(value, "input")
        asked = read_messages(items, "input")
        instructions = request.get("instructions")
        return (
            (*read_messages(instructions, "instructions", role="system"), *asked) if instructions else asked
        )
    return read_messages(foreign.check_text(request.get("prompt"), "prompt"), "prompt")


def read_answers(answer: Object) -> list[Conversation]:
    """Read the choices of a completion, or the one answer of the Responses API."""
    if answer.get("choices") is None:
        items = _convert_items(answer.get("output"), "output")
        if not items:
            raise RowError("no responses", "`output` is empty.")
        return [read_messages([_merge_items(items)], "output")]
    choices = answer["choices"]
    if not isinstance(choices, Sequence) or isinstance(choices, str) or not choices:
        raise RowError("no responses", "`choices` holds no answer.")
    return [_read_choice(choice, f"choices[{place}]") for place, choice in enumerate(choices)]


def list_tools(request: Object) -> list[Any] | None:
    """List the tools of a request; the older `functions` are tools too."""
    functions = request.get("functions")
    if isinstance(functions, list) and functions:
        return [{"type": "function", "function": function} for function in functions]
    tools = request.get("tools")
    return tools if isinstance(tools, list) and tools else None


def _find_object(row: ForeignRow, places: Sequence[str], keys: Sequence[str]) -> Object | None:
    for place in places:
        value = open_json(find_value(row, place)) if place else row
        if isinstance(value, Mapping) and any(value.get(key) is not None for key in keys):
            return value
    return None


def _refuse_failure(row: ForeignRow) -> None:
    status = find_value(row, "response.status_code")
    error = row.get("error") or find_value(row, "response.error") or find_value(row, "response.body.error")
    if error or (isinstance(status, int) and status >= 400):
        raise RowError("failed call", f"The call failed ({error or status}), so there is no answer.")


def _read_choice(choice: object, place: str) -> Conversation:
    if not isinstance(choice, Mapping):
        raise RowError("wrong type", f"`{place}` is {foreign.name_type(choice)}, but should be an object.")
    message = choice.get("message")
    if message is None and isinstance(choice.get("text"), str):
        return read_messages(choice["text"], f"{place}.text", role="assistant")
    if isinstance(message, Mapping) and message.get("content") is None and message.get("refusal"):
        message = {**message, "content": message["refusal"]}
    if message is None:
        raise RowError("no responses", f"`{place}` holds no `message`; parts of a stream cannot be read.")
    return read_messages(message, f"{place}.message", role="assistant")


def _convert_items(items: object, place: str) -> list[dict[str, Any]]:
    """Turn items of the Responses API into messages of chats."""
    if not isinstance(items, list):
        raise RowError("wrong type", f"`{place}` is {foreign.name_type(items)}, but should be an array.")
    return [
        message for number, item in enumerate(items) for message in convert_item(item, f"{place}[{number}]")
    ]


def convert_item(item: Any, place: str) -> Iterator[dict[str, Any]]:
    """Turn an item of the Responses API into a message of chats; thoughts that are not told give none."""
    match item:
        case {"type": "function_call", "name": name, "arguments": arguments}:
            call = {"id": item.get("call_id"), "name": name, "arguments": arguments}
            yield {"role": "assistant", "content": None, "tool_calls": [call]}
        case {"type": "function_call_output", "output": output}:
            yield {"role": "tool", "tool_call_id": item.get("call_id"), "content": output}
        case {"type": "reasoning"}:
            texts = [*(item.get("summary") or []), *(item.get("content") or [])]
            words = [str(text["text"]) for text in texts if isinstance(text, Mapping) and text.get("text")]
            if words:  # else it is encrypted, or kept by the provider
                yield {"role": "assistant", "content": None, "reasoning": "\n\n".join(words)}
        case {"role": str(), "content": _}:
            yield {name: item[name] for name in ("role", "content") if name in item}
        case _:
            raise RowError(
                "unknown part of a message", f"`{place}` is no message, call of a function or its result."
            )


def _merge_items(messages: Sequence[Object]) -> dict[str, Any]:
    """Put what a model answered at once into one message: its thoughts, its words and its calls."""
    if any(message["role"] != "assistant" for message in messages):
        raise RowError("wrong value", "`output` holds messages that are not the assistant's.")
    parts: list[Any] = []
    for message in messages:
        content = message.get("content")
        parts += content if isinstance(content, list) else [] if content is None else [content]
    merged: dict[str, Any] = {"role": "assistant", "content": parts or None}
    if calls := [call for message in messages for call in message.get("tool_calls", ())]:
        merged["tool_calls"] = calls
    if thoughts := [message["reasoning"] for message in messages if message.get("reasoning")]:
        merged["reasoning"] = "\n\n".join(thoughts)
    return merged
