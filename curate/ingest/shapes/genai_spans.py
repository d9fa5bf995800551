"""Spans of calls of models, as OpenTelemetry records them, in the three conventions that are in use.

- GenAI (`gen_ai.input.messages`, `gen_ai.output.messages`): messages with parts, as JSON;
- OpenLLMetry (`gen_ai.prompt.0.content`, `gen_ai.completion.0.content`);
- OpenInference, which Phoenix collects (`llm.input_messages.0.message.content`).

A row is a span, with `attributes` as an object, as OTLP's list of keys and values, or as columns `attributes.…` (a
table from Phoenix); or an OTLP document with many spans (`resourceSpans`), of which calls of models are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from curate.config.ingest import Fields
from curate.data.conversation import Conversation, normalize_tools, read_messages
from curate.ingest import foreign
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.paths import find_list, find_value, open_json
from curate.ingest.rejection import RowError
from curate.ingest.rows import Row
from curate.ingest.shapes.base import Shape

_PREFIX = "attributes."
_IDS = (
    "trace_id",
    "span_id",
    "parent_id",
    "traceId",
    "spanId",
    "parentSpanId",
    "context.trace_id",
    "context.span_id",
)
_OF_SPANS = (
    *(
        "name",
        "kind",
        "span_kind",
        "context",
        "start_time",
        "end_time",
        "startTimeUnixNano",
        "endTimeUnixNano",
    ),
    *(
        "status",
        "status_code",
        "status_message",
        "events",
        "links",
        "resource",
        "flags",
        "traceState",
        "duration",
    ),
)
_OTLP = ("stringValue", "boolValue", "intValue", "doubleValue")

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A call of a model: what was asked, and each answer; `tools` as the span has them."""

    asked: list[dict[str, Any]]
    answers: list[list[dict[str, Any]]]
    model: object
    tools: list[Any]


class GenAISpans(Shape):
    """A span, or an OTLP document of spans."""

    fields = Fields(ignore=[*_IDS, *_OF_SPANS])
    columns = (
        frozenset({"attributes", "context"}),
        frozenset({"attributes", "span_id"}),
        frozenset({"attributes", "spanId"}),
        frozenset({"resourceSpans"}),
        frozenset({"attributes.llm.input_messages"}),
        frozenset({"attributes.gen_ai.input.messages"}),
    )
    reads = frozenset({"attributes", "resourceSpans"})
    reads_json = True
    description = "spans of calls of models: OpenTelemetry GenAI, OpenLLMetry, OpenInference (Phoenix)"
    example: Mapping[str, Any] | None = {
        "row": {
            "span_id": "s1",
            "name": "chat m1",
            "attributes": {
                "gen_ai.request.model": "m1",
                "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "Name a tree."}]}]',
                "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "text", "content": "An oak."}]}]',
            },
        },
        "prompt": [["user", "Name a tree."]],
        "responses": ["An oak."],
        "models": ["m1"],
        "verdicts": [],
    }

    def read_rows(self, row: ForeignRow, reading: SourceSettings) -> list[Row]:
        """Read the call of a span, or all calls of a document."""
        document = row.get("resourceSpans")
        spans = [row] if document is None else _list_spans(document)
        calls = [call for span in spans if (call := _find_call(_read_attributes(span))) is not None]
        if not calls:
            raise RowError("no call of a model", "The span records no messages to a model with its answer.")
        return [_build_row(row, reading, call) for call in calls]


def _build_row(row: ForeignRow, reading: SourceSettings, call: ModelCall) -> Row:
    model = None if call.model is None else foreign.check_text(call.model, "the model's name")
    answers = [read_messages(answer, "the answer") for answer in call.answers]
    asked: Conversation = read_messages(call.asked, "the messages")
    read = foreign.build_row(
        row, reading, asked, [foreign.make_response(one, model=model) for one in answers]
    )
    read.tools = normalize_tools(call.tools or None, "the tools")
    return read


# Where spans and attributes stand ----------------------------------------------------------------------------------


def _list_spans(document: object) -> Iterator[Attributes]:
    for of_resource in _list_objects(document):
        for of_scope in _list_objects(of_resource.get("scopeSpans")):
            yield from _list_objects(of_scope.get("spans"))


def _list_objects(value: object) -> list[Attributes]:
    value = open_json(value)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _read_attributes(span: Attributes) -> Attributes:
    held = open_json(span.get("attributes"))
    if isinstance(held, list):  # OTLP
        return {str(item.get("key")): _read_otlp(item.get("value")) for item in _list_objects(held)}
    if isinstance(held, Mapping):
        return held
    return {name.removeprefix(_PREFIX): value for name, value in span.items() if name.startswith(_PREFIX)}


def _read_otlp(value: object) -> object:
    """Read a value of OTLP; lists of texts are all the lists that attributes hold."""
    if not isinstance(value, Mapping):
        return value
    if isinstance(value.get("arrayValue"), Mapping):
        return [_read_otlp(item) for item in _list_objects(value["arrayValue"].get("values"))]
    return next((value[name] for name in _OTLP if name in value), None)


def _collect(held: Attributes, name: str) -> list[Any]:
    """Collect a list: it stands at `name`, maybe as JSON, or its items' values at `name.0.…`, `name.1.…`."""
    whole = find_list(held, name)
    if isinstance(whole, list):
        return whole
    items: dict[int, dict[str, Any]] = {}
    for key, value in held.items():
        number, _, rest = key[len(name) + 1 :].partition(".")
        if key.startswith(f"{name}.") and number.isdecimal() and len(number) < 9:
            items.setdefault(int(number), {})[rest] = value
    return [items[number] for number in sorted(items)]


# What the conventions say ------------------------------------------------------------------------------------------


def _find_call(held: Attributes) -> ModelCall | None:
    for read in (_read_genai, _read_openinference, _read_openllmetry):
        call = read(held)
        if call is not None and call.asked and call.answers:
            return call
    return None


def _read_genai(held: Attributes) -> ModelCall | None:
    asked = [message for one in _collect(held, "gen_ai.input.messages") for message in _read_parted(one)]
    if not asked:
        return None
    if instructions := _collect(held, "gen_ai.system_instructions"):
        asked = [*_read_parted({"role": "system", "parts": instructions}), *asked]
    answers = [_read_parted(one) for one in _collect(held, "gen_ai.output.messages")]
    model = find_value(held, "gen_ai.response.model") or find_value(held, "gen_ai.request.model")
    return ModelCall(asked, answers, model, _collect(held, "gen_ai.tool.definitions"))


def _read_parted(message: object) -> list[dict[str, Any]]:
    """Turn a message of parts into one of chats; what tools answered are messages of their own."""
    if not isinstance(message, Mapping) or not isinstance(message.get("parts"), list):
        return [dict(message)] if isinstance(message, Mapping) else [{"role": None}]
    read: dict[str, Any] = {"role": message.get("role"), "content": [], "tool_calls": []}
    results: list[dict[str, Any]] = []
    for part in message["parts"]:
        match part:
            case {"type": "text", "content": str(text)}:
                read["content"].append({"type": "text", "text": text})
            case {"type": "reasoning", "content": str(text)}:
                read["content"].append({"type": "reasoning", "text": text})
            case {"type": "tool_call", "name": name}:
                arguments = part.get("arguments")
                call = {
                    "id": part.get("id"),
                    "name": name,
                    "arguments": {} if arguments is None else arguments,
                }
                read["tool_calls"].append(call)
            case {"type": "tool_call_response"}:
                answer = part.get("response", part.get("result"))
                results.append(
                    {"role": "tool", "tool_call_id": part.get("id"), "content": _write_text(answer)}
                )
            case {"type": "blob", "modality": str(kind), "content": str(data)}:
                read["content"].append(
                    {"type": kind, "source": {"data": data, "media_type": part.get("mime_type")}}
                )
            case {"type": "uri", "modality": str(kind), "uri": str(uri)}:
                read["content"].append({"type": kind, "uri": uri, "mime_type": part.get("mime_type")})
            case _:
                read["content"].append(part)  # which the reader of messages refuses by its name
    read["content"] = read["content"] or None
    return results if results and not (read["content"] or read["tool_calls"]) else [*results, read]


def _read_openinference(held: Attributes) -> ModelCall | None:
    asked = [_read_wrapped(one) for one in _collect(held, "llm.input_messages")]
    answers = [[_read_wrapped(one)] for one in _collect(held, "llm.output_messages")]
    tools = [
        open_json(schema)
        for tool in _collect(held, "llm.tools")
        if isinstance(tool, Mapping) and (schema := find_value(tool, "tool.json_schema"))
    ]
    return ModelCall(asked, answers, find_value(held, "llm.model_name"), tools)


def _read_wrapped(item: object) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {"role": None}
    names = ("role", "content", "tool_call_id", "name")
    message = {name: find_value(item, f"message.{name}") for name in names}
    if parts := _collect(item, "message.contents"):
        message["content"] = [_read_wrapped_part(part) for part in parts]
    message["tool_calls"] = [
        {
            "id": find_value(call, "tool_call.id"),
            "name": find_value(call, "tool_call.function.name"),
            "arguments": find_value(call, "tool_call.function.arguments") or {},
        }
        for call in _collect(item, "message.tool_calls")
        if isinstance(call, Mapping)
    ]
    return {name: value for name, value in message.items() if value not in (None, [])}


def _read_wrapped_part(part: object) -> object:
    if not isinstance(part, Mapping):
        return part
    kind = find_value(part, "message_content.type")
    if kind == "text":
        return {"type": "text", "text": find_value(part, "message_content.text")}
    if kind == "image":
        return {"type": "image", "uri": find_value(part, "message_content.image.image.url")}
    return {"type": str(kind)}


def _read_openllmetry(held: Attributes) -> ModelCall | None:
    asked = [_read_numbered(held, "gen_ai.prompt", one) for one in _collect(held, "gen_ai.prompt")]
    answers = [
        [{"role": "assistant", **_read_numbered(held, "gen_ai.completion", one)}]
        for one in _collect(held, "gen_ai.completion")
    ]
    model = find_value(held, "gen_ai.response.model") or find_value(held, "gen_ai.request.model")
    tools = [
        {"type": "function", "function": {**tool, "parameters": open_json(tool.get("parameters"))}}
        for tool in _collect(held, "llm.request.functions")
        if isinstance(tool, Mapping)
    ]
    return ModelCall(asked, answers, model, tools)


def _read_numbered(held: Attributes, place: str, item: object) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {"role": None}
    message = {name: item[name] for name in ("role", "content", "tool_call_id") if item.get(name) is not None}
    parts = open_json(message.get("content"))
    if (
        isinstance(parts, list)
        and parts
        and all(isinstance(part, Mapping) and "type" in part for part in parts)
    ):
        message["content"] = parts  # which it writes as JSON
    if calls := _collect(item, "tool_calls"):
        message["tool_calls"] = calls
    return message


def _write_text(value: object) -> object:
    """Return a tool's answer as text; one that is no text is JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
