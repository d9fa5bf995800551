"""Messages in any of the forms that data sets have, read as records."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from curate.data.message_kinds import Conversation
from curate.data.normal_form import UnreadableMessageError, normalize_arguments, normalize_content
from curate.records import Message, Part, Role, ToolCall, text_parts

ROLES: dict[str, Role] = {
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "function": "tool",
    "function_response": "tool",
    "observation": "tool",
    "tool_response": "tool",
    "tool_result": "tool",
    "ipython": "tool",
}
"""Roles under the names that other formats give them."""

_ROLES = frozenset(get_args(Role))
_CALLERS = ("function_call", "tool_call")  # "roles" of messages that are a call of a tool (ShareGPT)
_REASONING = ("reasoning", "reasoning_content", "thinking")
_TARGETS = ("is_target", "train", "weight", "loss", "loss_weight")
_ADDRESSES = ("uri", "url", "path")
_TEXTS = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
    "answer": "answer",
}
_UNTYPED = ("text", "answer")  # keys of a part of no type; Arena-Hard's answers are {answer}
_MEDIA = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "video": "video",
    "video_url": "video",
    "input_video": "video",
    "audio": "audio",
    "audio_url": "audio",
    "input_audio": "audio",
}


def read_messages(value: object, place: str, *, role: Role = "user") -> Conversation:
    """Read a conversation in any of the forms that data sets have.

    Args:
        value: Text (one message of `role`), a message, or a list of messages: {role, content}, or {from, value} as
            ShareGPT writes it, with the calls of OpenAI, Anthropic or ShareGPT.
        place: Where the value stands, for error messages.
        role: Role of a text.

    Raises:
        UnreadableMessageError: The value is no conversation, or holds something that a message cannot keep.
    """
    if isinstance(value, str):
        return (Message(role=role, content=text_parts(value)),)
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise _wrong_type(value, place, "a string or an array of messages")
    return tuple(
        message
        for position, item in enumerate(value)
        for message in _read_message(item, f"{place}[{position}]")
    )


def _read_message(value: object, place: str) -> Sequence[Message]:
    """Read a message; nearly all have a role and a text and nothing else, for which nothing need be looked for."""
    if isinstance(value, dict) and len(value) == 2:
        role, text = value.get("role"), value.get("content")
        if isinstance(role, str) and role in _ROLES and isinstance(text, str):
            return (Message(role=cast(Role, role), content=text_parts(text)),)
    return _read_any_message(value, place)


def _read_any_message(value: object, place: str) -> Sequence[Message]:
    """Read a message of any form; one that holds results of tools beside text (Anthropic) is several."""
    if not isinstance(value, Mapping):
        raise _wrong_type(value, place, "a message")
    role_name = "from" if "from" in value and "role" not in value else "role"
    content_name = next((name for name in ("content", "value", "parts") if name in value), "content")
    role = value.get(role_name)
    if not isinstance(role, str):
        raise _missing_or_wrong(role, f"{place}.{role_name}", "a string")
    role = role.strip().lower()
    if role in _CALLERS:
        return [_read_caller(value.get(content_name), f"{place}.{content_name}")]
    role = ROLES.get(role, role)
    if role not in _ROLES:
        raise UnreadableMessageError(
            "unknown role", f"`{place}.{role_name}` is {value[role_name]!r}, which is no known role."
        )
    content = _Content()
    content.read(value.get(content_name), f"{place}.{content_name}")
    content.read_media_columns(value, place)
    content.calls += _read_calls(value, place)
    for name in _REASONING:
        if value.get(name):
            content.reasoning.append(_check_text(value[name], f"{place}.{name}"))
    if content.results and not (content.parts or content.calls or content.reasoning):
        return content.results
    if value.get(content_name) is None and not (content.parts or content.calls or content.reasoning):
        raise UnreadableMessageError("missing key", f"`{place}.{content_name}` is missing.")
    message = Message(
        role=cast(Role, role),
        content=normalize_content(content.parts, alone=not (content.reasoning or content.calls)),
        reasoning="\n\n".join(dict.fromkeys(content.reasoning)) or None,
        tool_calls=tuple(content.calls),
        tool_call_id=_read_id(value.get("tool_call_id"), f"{place}.tool_call_id"),
        name=_read_id(value.get("name"), f"{place}.name"),
        is_target=_read_target(value, place),
    )
    return [*content.results, message]


@dataclass
class _Content:
    """Contents of one message, sorted by where a `Message` keeps them."""

    parts: list[Part] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)

    def read(self, value: object, place: str) -> None:
        if value is None:
            return
        if isinstance(value, str):
            self.parts += text_parts(value)
            return
        if isinstance(value, Mapping):
            value = [value]
        if not isinstance(value, Sequence) or isinstance(value, bytes):
            raise _wrong_type(value, place, "a string or an array of parts")
        for position, item in enumerate(value):
            self._read_part(item, f"{place}[{position}]")

    def read_media_columns(self, message: Mapping[str, Any], place: str) -> None:
        """Read media that stand beside the content: `images: [address, …]`."""
        for name in ("image", "images", "video", "videos", "audio", "audios"):
            value = message.get(name)
            items = value if isinstance(value, list) else [value]
            self.parts += [
                _read_media(name.removesuffix("s"), item, {}, f"{place}.{name}") for item in items if item
            ]

    def _read_part(self, value: object, place: str) -> None:
        if isinstance(value, str):
            self.parts += text_parts(value)
            return
        if not isinstance(value, Mapping):
            raise _wrong_type(value, place, "a part of a message")
        kind = value.get("type") or next(
            (name for name in (*_UNTYPED, *_MEDIA) if value.get(name) is not None), None
        )
        if kind is not None and not isinstance(kind, str):
            raise _wrong_type(kind, f"{place}.type", "a string")
        if kind in _TEXTS:
            text = value.get(_TEXTS[str(kind)], value.get("value"))
            self.parts += text_parts(_check_text(text, f"{place}.{_TEXTS[str(kind)]}"))
        elif kind in _MEDIA:
            medium = _MEDIA[str(kind)]
            # In OpenAI's Responses an `input_image` has an `image_url`.
            held = value.get(str(kind)) or value.get(f"{medium}_url") or value.get("value")
            self.parts.append(_read_media(medium, held, value, place))
        elif kind in ("thinking", "reasoning"):
            text = next((value[name] for name in (str(kind), "text", "value") if name in value), None)
            self.reasoning.append(_check_text(text, f"{place}.{kind}"))
        elif kind == "tool_call":
            self.calls += _read_json_calls(value.get("value", value), place)
        elif kind == "tool_use":
            name = _check_text(value.get("name"), f"{place}.name")
            arguments = normalize_arguments(value.get("input", {}))
            self.calls.append(
                ToolCall(id=_read_id(value.get("id"), f"{place}.id"), name=name, arguments=arguments)
            )
        elif kind == "tool_result":
            result = _Content()
            result.read(value.get("content"), f"{place}.content")
            identity = _read_id(value.get("tool_use_id"), f"{place}.tool_use_id")
            content = normalize_content(result.parts, alone=True)
            self.results.append(Message(role="tool", content=content, tool_call_id=identity))
        else:
            reason = f"`{place}` is of the type {kind!r}, which cannot be kept."
            raise UnreadableMessageError("unknown part of a message", reason)


def _read_media(kind: str, held: object, part: Mapping[str, Any], place: str) -> Part:
    """Read an image, video or sound: `held` is what the part has under its kind, an address or an object."""
    mime = part.get("mime_type") or part.get("mimeType") or part.get("media_type")
    uri = read_address(held) or next(
        (part[name] for name in _ADDRESSES if isinstance(part.get(name), str)), None
    )
    source = part.get("source")
    for box in (held, source):
        if isinstance(box, Mapping) and isinstance(box.get("data"), str):
            mime = mime or box.get("media_type") or (f"{kind}/{box['format']}" if box.get("format") else None)
            uri = uri or f"data:{mime or ''};base64,{box['data']}"
    uri = uri or read_address(source)
    digest = part.get("sha256")
    if uri is not None and uri.startswith("data:"):
        mime = None  # the address says it
    return Part.model_validate(
        {
            "type": kind,
            "uri": uri,
            "sha256": _check_text(digest, f"{place}.sha256") if digest else None,
            "mime_type": _check_text(mime, f"{place}.mime_type") if mime else None,
        }
    )


def read_address(held: object) -> str | None:
    """Return the address in a cell: a text, or what `datasets` makes of an image, its bytes or its path."""
    match held:
        case str():
            return held
        case {"bytes": bytes(content)}:
            return "data:;base64," + base64.b64encode(content).decode()
        case {"url": str(address)} | {"uri": str(address)} | {"path": str(address)}:
            return address
    return None


def _read_calls(message: Mapping[str, Any], place: str) -> list[ToolCall]:
    """Read the calls of a message in OpenAI's form or flat, and its older `function_call`."""
    calls = message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        raise _wrong_type(calls, f"{place}.tool_calls", "an array of calls")
    read = [_read_call(call, f"{place}.tool_calls[{number}]") for number, call in enumerate(calls or [])]
    if message.get("function_call"):
        read.append(_read_call(message["function_call"], f"{place}.function_call"))
    return read


def _read_call(value: object, place: str) -> ToolCall:
    if not isinstance(value, Mapping):
        raise _wrong_type(value, place, "a call of a tool")
    function = value.get("function")
    if isinstance(function, str):  # Inspect
        function = {**value, "name": function}
    function = function if isinstance(function, Mapping) else value
    name = _check_text(function.get("name"), f"{place}.name")
    arguments = normalize_arguments(function.get("arguments", function.get("parameters")))
    return ToolCall(id=_read_id(value.get("id"), f"{place}.id"), name=name, arguments=arguments)


def _read_caller(value: object, place: str) -> Message:
    """Read a ShareGPT message of the "role" `function_call`."""
    return Message(role="assistant", tool_calls=tuple(_read_json_calls(value, place)))


def _read_json_calls(value: object, place: str) -> list[ToolCall]:
    """Read one call or several, as objects or as JSON text of them."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise UnreadableMessageError(
                "broken JSON", f"`{place}` should be a call as JSON, and is not."
            ) from None
    calls = value if isinstance(value, list) else [value]
    return [_read_call(call, f"{place}[{number}]") for number, call in enumerate(calls)]


def _read_id(value: object, place: str) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None if value is None else _check_text(value, place)


def _read_target(message: Mapping[str, Any], place: str) -> bool | None:
    for name in _TARGETS:
        value = message.get(name)
        if value is None:
            continue
        if value not in (0, 1):
            raise _wrong_type(value, f"{place}.{name}", "true or false")
        return bool(value)
    return None


def _check_text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise _missing_or_wrong(value, place, "a string")
    return value


def _missing_or_wrong(value: object, place: str, wanted: str) -> UnreadableMessageError:
    if value is None:
        return UnreadableMessageError("missing key", f"`{place}` is missing.")
    return _wrong_type(value, place, wanted)


_TYPES = {str: "a string", dict: "an object", list: "an array", bool: "true or false", type(None): "null"}


def _wrong_type(value: object, place: str, wanted: str) -> UnreadableMessageError:
    name = _TYPES.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)
    return UnreadableMessageError("wrong type", f"`{place}` is {name}, but should be {wanted}.")
