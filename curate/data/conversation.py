"""Conversations: reading what people have as messages, and writing messages for readers, people and chat templates.

A prompt and a response are both sequences of `Message`. Their normal form, in which they are compared and hashed:

- Text stays byte for byte: neither Unicode nor white space is normalised.
- Ids of calls are text: the number 7 and the text "7" are one id.
- Arguments of a call that are a JSON object are compact JSON with sorted keys; other text stays as the model wrote it.
- Tools of a prompt are compact JSON in the order of their keys, which chat templates show.
- Text as content and a list of one text part are the same; nothing joins or splits parts. Empty text beside reasoning
  or calls is no content, and where there is nothing at all the content is empty text.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, cast, get_args

from curate.records import Message, Part, Role, ToolCall, message_identity, plain_text, text_parts

Conversation = tuple[Message, ...]

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
_TARGETS = ("is_target", "train", "weight", "loss")
_ADDRESSES = ("uri", "url", "path")
_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
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
_LONG_INTEGERS = re.compile(r"-\d{19}|\d{20}")  # which readers of 64 bits refuse, or round
_TAGS = re.compile(
    r"<(?=/?(?:thinking|tool_call|tool_result|system|developer|user|assistant)\b)", re.IGNORECASE
)


class UnreadableMessageError(Exception):
    """A value that is no conversation: `kind` is what rows are counted by, `reason` a sentence with the place."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


# Reading -------------------------------------------------------------------------------------------------------


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
    """Read a message; one that holds results of tools beside text (Anthropic) is several."""
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
            (name for name in ("text", *_MEDIA) if value.get(name) is not None), None
        )
        if kind in _TEXTS:
            text = value.get(_TEXTS[str(kind)])
            self.parts += text_parts(_check_text(text, f"{place}.{_TEXTS[str(kind)]}"))
        elif kind in _MEDIA:
            self.parts.append(_read_media(_MEDIA[str(kind)], value.get(str(kind)), value, place))
        elif kind in ("thinking", "reasoning"):
            text = value.get(str(kind), value.get("text"))
            self.reasoning.append(_check_text(text, f"{place}.{kind}"))
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
    function = function if isinstance(function, Mapping) else value
    name = _check_text(function.get("name"), f"{place}.name")
    arguments = normalize_arguments(function.get("arguments", function.get("parameters")))
    return ToolCall(id=_read_id(value.get("id"), f"{place}.id"), name=name, arguments=arguments)


def _read_caller(value: object, place: str) -> Message:
    """Read a ShareGPT message of the "role" `function_call`: JSON text of one call or of several."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise UnreadableMessageError(
                "broken JSON", f"`{place}` should be a call as JSON, and is not."
            ) from None
    calls = value if isinstance(value, list) else [value]
    return Message(
        role="assistant",
        tool_calls=tuple(_read_call(call, f"{place}[{number}]") for number, call in enumerate(calls)),
    )


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


def normalize_content(parts: Sequence[Part], *, alone: bool) -> tuple[Part, ...]:
    """Return the content of a message in normal form; `alone`: the message has neither reasoning nor calls."""
    if not alone and len(parts) == 1 and parts[0].type == "text" and not parts[0].text:
        return ()
    return tuple(parts) if parts or not alone else text_parts("")


def normalize_arguments(value: object) -> str:
    """Return the arguments of a call as JSON text: an object compact and with sorted keys, other text as it is."""
    if value is None:
        return "{}"
    if isinstance(value, str):
        try:
            parsed = json.loads(value, object_pairs_hook=_refuse_repeated_keys)
        except (ValueError, RecursionError):
            return value
        if not isinstance(parsed, dict):
            return value
        value = parsed
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a key is there twice")
    return unique


def normalize_tools(value: object, place: str = "tools") -> str | None:
    """Return the tools of a prompt as JSON text of an array, with the order of keys as it is; None without tools.

    Args:
        value: An array of JSON Schemas, objects or their JSON text, or JSON text of the array.
        place: Where the value stands, for error messages.

    Raises:
        UnreadableMessageError: The value is something else.
    """
    parsed = _parse_json(value, place)
    if parsed in (None, "", [], {}):
        return None
    tools = [_parse_json(tool, place) for tool in (parsed if isinstance(parsed, list) else [parsed])]
    if not all(isinstance(tool, Mapping) for tool in tools):
        raise UnreadableMessageError("wrong type", f"`{place}` should be an array of JSON Schemas of tools.")
    return json.dumps(tools, ensure_ascii=False, separators=(",", ":"))


def _parse_json(value: object, place: str) -> Any:
    if not isinstance(value, str) or not value:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise UnreadableMessageError("broken JSON", f"`{place}` is text, but not valid JSON.") from None


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


def load_messages(stored: Iterable[Mapping[str, Any]]) -> Conversation:
    """Return messages as the lake stores them."""
    return tuple(Message.model_validate(message) for message in stored)


def change_texts(messages: Conversation, change: Callable[[str], str]) -> Conversation:
    """Return messages with what the assistant says changed; calls, results and reasoning stay."""
    return tuple(
        message
        if message.role != "assistant"
        else message.model_copy(
            update={
                "content": tuple(
                    part if part.text is None else part.model_copy(update={"text": change(part.text)})
                    for part in message.content
                )
            }
        )
        for message in messages
    )


# Comparing -----------------------------------------------------------------------------------------------------


def is_plain(messages: Sequence[Message]) -> bool:
    """Tell whether a response is one message of the assistant that holds text and nothing else."""
    return len(messages) == 1 and messages[0].role == "assistant" and is_text(messages)


def is_text(messages: Iterable[Message]) -> bool:
    """Tell whether messages hold text alone: no media, reasoning, calls or results."""
    return all(
        message.reasoning is None
        and not message.tool_calls
        and message.role != "tool"
        and all(part.type == "text" for part in message.content)
        for message in messages
    )


def identify_turns(messages: Sequence[Message]) -> object:
    """Return what identifies a conversation in a `content_id`: [role, text] of each message, where that is all."""
    identities = [message_identity(message) for message in messages]
    has_text_only = is_text(messages) and all(len(identity) == 2 for identity in identities)
    return [[m.role, plain_text(m.content)] for m in messages] if has_text_only else identities


def identify_answer(messages: Sequence[Message]) -> object:
    """Return what identifies a response in a `content_id`: its text where that is all it has."""
    return plain_text(messages[0].content) if is_plain(messages) else identify_turns(messages)


def text_message(role: Role, text: str) -> Message:
    """Return a message that holds one text."""
    return Message(role=role, content=text_parts(text))


def text_answer(text: str) -> Conversation:
    """Return a response of one text."""
    return (text_message("assistant", text),)


def has_media(messages: Iterable[Message]) -> bool:
    """Tell whether a message holds an image, video or sound."""
    return any(part.type != "text" for message in messages for part in message.content)


def count_common(conversations: Sequence[Sequence[Message]]) -> int:
    """Return the number of messages that all conversations begin with, such that each goes on after them."""
    first, rest = conversations[0], conversations[1:]
    most = max(0, min(map(len, conversations)) - 1)
    same = takewhile(lambda k: all(first[k] == other[k] for other in rest), range(most))
    return sum(1 for _ in same)


# Writing -------------------------------------------------------------------------------------------------------


def render_text(messages: Sequence[Message], *, show_reasoning: bool = True, show_calls: bool = True) -> str:
    """Render a response as text for judges that read text.

    One plain message is its text. Anything else is in sections: what the assistant says bare, its reasoning, calls,
    results and what others say between tags. Texts cannot forge these tags: their `<` is written `&lt;` there.

    Args:
        messages: The messages of a response.
        show_reasoning: Whether reasoning is rendered.
        show_calls: Whether calls and results are rendered.
    """
    if is_plain(messages):
        return plain_text(messages[0].content)
    sections = [
        section
        for message in messages
        for section in _wrap_speaker(
            message, _list_sections(message, show_reasoning=show_reasoning, show_calls=show_calls)
        )
    ]
    return "\n\n".join(sections)


def render_message(message: Message, *, show_reasoning: bool = True, show_calls: bool = True) -> str:
    """Render one message as text, without its role: reasoning, calls and results between tags."""
    if is_text([message]):
        return plain_text(message.content)
    return "\n\n".join(_list_sections(message, show_reasoning=show_reasoning, show_calls=show_calls))


def get_final_text(messages: Sequence[Message]) -> str:
    """Return the text of the assistant's last message: the answer that a trajectory comes to."""
    last = next((message for message in reversed(messages) if message.role == "assistant"), None)
    return "" if last is None else plain_text(last.content)


def get_spoken_text(messages: Sequence[Message]) -> str:
    """Return all that the assistant says, without reasoning, calls and results."""
    if is_plain(messages):
        return plain_text(messages[0].content)
    texts = (plain_text(message.content) for message in messages if message.role == "assistant")
    return "\n\n".join(text for text in texts if text)


def render_extras(message: Message) -> tuple[str, str]:
    """Render what a message has beside its content as text: its reasoning and its calls, "" where there is none."""
    reasoning = (
        "" if message.reasoning is None else _wrap_section("thinking", _escape_tags(message.reasoning))
    )
    calls = [
        _wrap_section("tool_call", _escape_tags(call.arguments), name=call.name, id=call.id)
        for call in message.tool_calls
    ]
    return reasoning, "\n\n".join(calls)


def escape_content(message: Message) -> Message:
    """Return a message whose texts forge none of the tags of `render_message`."""
    content = tuple(
        part if part.text is None else part.model_copy(update={"text": _escape_tags(part.text)})
        for part in message.content
    )
    return message.model_copy(update={"content": content})


def _list_sections(message: Message, *, show_reasoning: bool, show_calls: bool) -> list[str]:
    text = _escape_tags(plain_text(message.content))
    if message.role == "tool":
        return [_wrap_section("tool_result", text, name=message.name, id=message.tool_call_id)] * show_calls
    reasoning, calls = render_extras(message)
    return [section for section in (reasoning * show_reasoning, text, calls * show_calls) if section]


def _wrap_speaker(message: Message, sections: Sequence[str]) -> Sequence[str]:
    """Put what others than the assistant and its tools say in a response between tags of their role."""
    if message.role in ("assistant", "tool"):
        return sections
    return [_wrap_section(message.role, "\n\n".join(sections), name=message.name)]


def _wrap_section(tag: str, text: str, **attributes: str | None) -> str:
    given = "".join(
        f' {name}="{_escape_quotes(value)}"' for name, value in attributes.items() if value is not None
    )
    return f"<{tag}{given}>\n{text}\n</{tag}>"


def _escape_tags(text: str) -> str:
    return _TAGS.sub("&lt;", text)


def _escape_quotes(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def build_dicts(messages: Iterable[Message], *, parse_arguments: bool = True) -> list[dict[str, Any]]:
    """Return messages as chat templates, TRL and OpenAI's API read them.

    Content is text where a message holds text alone, else a list of parts. `read_messages` reads them back.

    Args:
        messages: The messages.
        parse_arguments: Arguments are objects, which chat templates need; else JSON text, as in OpenAI's API.
    """
    return [_build_dict(message, parse_arguments=parse_arguments) for message in messages]


def _build_dict(message: Message, *, parse_arguments: bool) -> dict[str, Any]:
    built: dict[str, Any] = {"role": message.role}
    only_text = len(message.content) == 1 and message.content[0].type == "text"
    if only_text:
        built["content"] = message.content[0].text
    else:
        built["content"] = [part.model_dump(exclude_none=True) for part in message.content] or ""
    if message.reasoning is not None:
        built["reasoning_content"] = message.reasoning
    if message.tool_calls:
        built["tool_calls"] = build_calls(message, parse_arguments=parse_arguments)
    for name in ("tool_call_id", "name", "is_target"):
        if getattr(message, name) is not None:
            built[name] = getattr(message, name)
    return built


def build_calls(message: Message, *, parse_arguments: bool = True) -> list[dict[str, Any]]:
    """Return the calls of a message in OpenAI's form; `parse_arguments`: as objects rather than JSON text."""
    return [
        {
            **({} if call.id is None else {"id": call.id}),
            "type": "function",
            "function": {
                "name": call.name,
                "arguments": _parse_object(call.arguments) if parse_arguments else call.arguments,
            },
        }
        for call in message.tool_calls
    ]


def _parse_object(arguments: str) -> Any:
    """Parse the arguments of a call where they are an object and nothing is lost by it, in any reader of JSON."""
    try:
        parsed = json.loads(arguments)
        is_same = isinstance(parsed, dict) and normalize_arguments(parsed) == arguments
        json.dumps(parsed, allow_nan=False)
    except (ValueError, RecursionError):
        return arguments
    return parsed if is_same and not _LONG_INTEGERS.search(arguments) else arguments


def parse_tools(tools: str | None) -> list[dict[str, Any]] | None:
    """Return the tools of a prompt as objects, for chat templates."""
    return None if tools is None else json.loads(tools)
