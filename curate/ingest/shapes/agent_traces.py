"""Sessions of agents as they lie on the disk of who ran them: Claude Code, Codex, Pi, and the hub's own simple format.

A file holds the lines of a session, of which one alone says nothing. Each request of the user is a prompt, with all
that was said and done before it, and what the agent did until the next request is the response: calls of tools, what
these answered, and words. Work of sub-agents, notes of the program and what it shows on the screen are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from curate.config.ingest import Fields
from curate.data.conversation import Conversation, read_messages
from curate.ingest import foreign
from curate.ingest.chunks import ReadRow
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rejection import Rejection, RowError, shorten_raw
from curate.ingest.rows import Row
from curate.ingest.shapes.base import Shape
from curate.ingest.shapes.chat_log import refuse_excess
from curate.ingest.shapes.openai_log import convert_item

_NOTES = ("isSidechain", "isMeta", "isApiErrorMessage")  # of Claude Code
_ITEMS = frozenset({"message", "function_call", "function_call_output", "reasoning"})  # of the Responses API


@dataclass(slots=True)
class _Session:
    number: int
    model: str | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)


class AgentTraces(Shape):
    """A session, put together from its lines."""

    fields = Fields(prompt="messages", response_model="model", meta=["session"], optional=["model"])
    columns = (
        frozenset({"type", "message", "sessionId", "parentUuid"}),  # Claude Code
        frozenset({"type", "payload", "timestamp"}),  # Codex
        frozenset({"type", "message", "harness"}),  # the hub's
        frozenset({"type", "message", "parentId"}),  # Pi
    )
    gathers = True
    description = "sessions of agents (Claude Code, Codex, Pi, the hub's STS): what they did for each request"

    def gather_rows(self, rows: Iterator[tuple[int, ReadRow]]) -> Iterator[tuple[int, ReadRow]]:
        """Put the lines of each session together."""
        from curate.ingest.decoders import decode_object  # which knows the shapes

        sessions: dict[str, _Session] = {}
        name = ""  # of the session whose lines do not name it
        for number, raw in rows:
            try:
                if isinstance(raw, Rejection):
                    yield number, raw
                    continue
                line = decode_object(raw)
                name = _name_session(line) or name
                _add_line(sessions.setdefault(name, _Session(number)), line)
            except RowError as error:
                text = shorten_raw(raw if isinstance(raw, bytes) else repr(raw))
                yield number, Rejection(number, error.kind, error.reason, text)
        for name, session in sessions.items():
            if session.messages:
                row = {"session": name, "messages": session.messages}
                yield session.number, row | ({"model": session.model} if session.model else {})

    def read_rows(self, row: ForeignRow, reading: SourceSettings) -> list[Row]:
        """Read each request of a session with what the agent did for it."""
        turns = read_messages(foreign.require_value(row, "messages"), "messages")
        taken = list(_find_answers(turns))
        if not taken:
            raise RowError(
                "no responses", "The session holds no request of the user that the agent answered."
            )
        refuse_excess(turns, [begin for begin, _ in taken])
        model = foreign.get_text(row, reading.fields.response_model)
        return [
            foreign.build_row(
                row, reading, turns[:begin], [foreign.make_response(turns[begin:end], model=model)]
            )
            for begin, end in taken
        ]


def _name_session(line: Mapping[str, Any]) -> str | None:
    kind, payload = line.get("type"), line.get("payload")
    if kind == "session":
        return foreign.get_key(line, "id")
    if kind == "session_meta" and isinstance(payload, Mapping):
        return foreign.get_key(payload, "id")
    return foreign.get_key(line, "sessionId")


def _add_line(session: _Session, line: Mapping[str, Any]) -> None:
    """Add the messages of a line to its session; lines of other kinds hold none."""
    kind, payload, message = (line.get(name) for name in ("type", "payload", "message"))
    if isinstance(payload, Mapping):  # Codex
        if isinstance(payload.get("model"), str):
            session.model = payload["model"]
        if kind == "response_item":
            session.messages += _read_item(payload)
    elif kind in ("user", "assistant", "message") and isinstance(message, Mapping):
        if any(line.get(note) for note in _NOTES) or message.get("model") == "<synthetic>":
            return
        if isinstance(message.get("model"), str):
            session.model = message["model"]
        session.messages.append(_rename(message))


def _read_item(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    kind = item.get("type")
    if kind == "custom_tool_call":
        item = {"type": "function_call", **{name: item.get(name) for name in ("call_id", "name")}}
        return list(convert_item({**item, "arguments": item.get("input")}, "payload"))
    if kind == "custom_tool_call_output":
        return list(convert_item({**item, "type": "function_call_output"}, "payload"))
    if kind not in _ITEMS:
        if isinstance(kind, str) and kind.endswith("_call"):
            raise RowError(
                "unknown part of a message", f"The session holds a {kind!r}, which cannot be kept."
            )
        return []
    return [_rename(message) for message in convert_item(item, "payload")]


def _rename(message: Mapping[str, Any]) -> dict[str, Any]:
    """Give roles and parts the names that readers of messages know."""
    role = "tool" if message.get("role") == "toolResult" else message.get("role")
    names = ("content", "tool_calls", "tool_call_id", "reasoning", "reasoning_content")
    renamed = {"role": role, **{name: message[name] for name in names if message.get(name) is not None}}
    if message.get("toolCallId"):
        renamed["tool_call_id"] = message["toolCallId"]
    content = message.get("content")
    if isinstance(content, list):
        renamed["content"] = [_rename_part(part) for part in content]
    return renamed


def _rename_part(part: Any) -> Any:
    match part:
        case {"type": "toolCall", "name": name}:
            return {
                "type": "tool_use",
                "id": part.get("id"),
                "name": name,
                "input": part.get("arguments", {}),
            }
        case {"type": "image", "data": str(data), "mimeType": str(kind)}:
            return {"type": "image", "source": {"data": data, "media_type": kind}}
    return part


def _find_answers(turns: Conversation) -> Iterator[tuple[int, int]]:
    """Find where each answer begins and ends: after a request, up to the agent's last words before the next one."""
    requests = [place for place, turn in enumerate(turns) if turn.role == "user"]
    for request, following in zip(requests, [*requests[1:], len(turns)], strict=True):
        spoken = [place for place in range(request + 1, following) if turns[place].role == "assistant"]
        if spoken and spoken[0] == request + 1:
            yield spoken[0], spoken[-1] + 1
