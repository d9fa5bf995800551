"""Arrow tables of sound rows, with their ids and without a dictionary per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.data.conversation import normalize_arguments, normalize_content, normalize_tools
from curate.ingest.rows import (
    AnyMessage,
    IncomingMessage,
    IncomingResponse,
    NativeResponse,
    NativeRow,
    Row,
    Turns,
)
from curate.records import (
    Message,
    Part,
    Prompt,
    Response,
    Role,
    ToolCall,
    arrow_schema,
    message_identity,
    text_parts,
)

Ids = npt.NDArray[np.uint64]  # (n, 2): ids of 128 bits, most significant half first
Names = npt.NDArray[np.uint8]  # (n, 32): ids as hexadecimal digits

_PROMPTS, _RESPONSES = arrow_schema(Prompt), arrow_schema(Response)
_MESSAGE = _PROMPTS.field("messages").type.value_type
_PART = _MESSAGE.field("content").type.value_type
_CALL = _MESSAGE.field("tool_calls").type.value_type

_CALL_NONE = pa.array([], _CALL)

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Columns:
    """The tables of a chunk. `owner[i]` is the row (position in the chunk) of response i, in row order."""

    prompts: pa.Table
    prompt_ids: Ids
    responses: pa.Table
    response_ids: Ids
    owner: npt.NDArray[np.int64]


def build_columns(rows: Sequence[Row | NativeRow], *, source: str, split: str | None) -> Columns:
    """Build the ids and tables of all the rows, in their order, duplicates included."""
    sizes = np.fromiter((len(row.responses) for row in rows), np.int64, len(rows))
    prompt_hex = compute_prompt_ids(rows)
    response_hex = compute_response_ids(rows, prompt_hex)
    candidates: list[IncomingResponse | NativeResponse] = []
    for row in rows:
        candidates += row.responses
    return assemble_columns(
        prompt_names=_encode_names(prompt_hex),
        prompt_ids=parse_ids(prompt_hex),
        messages=_build_messages([row.prompt for row in rows], "user"),
        references=_string_array([row.reference for row in rows]),
        keys=_string_array([row.id for row in rows]),
        metas=_string_array([row.meta if row.meta is None else _encode_meta(row.meta) for row in rows]),
        tools=_string_array([_get_tools(row) for row in rows]),
        source=source,
        split=split,
        owner=np.repeat(np.arange(len(rows)), sizes),
        response_names=_encode_names(response_hex),
        response_ids=parse_ids(response_hex),
        models=_string_array([candidate.model for candidate in candidates]),
        answers=_build_messages([candidate.answer for candidate in candidates], "assistant"),
        response_keys=_string_array([candidate.id for candidate in candidates]),
    )


def assemble_columns(
    *,
    prompt_names: Names,
    prompt_ids: Ids,
    messages: pa.Array,
    references: pa.Array,
    keys: pa.Array,
    metas: pa.Array,
    tools: pa.Array,
    source: str,
    split: str | None,
    owner: npt.NDArray[np.int64],
    response_names: Names,
    response_ids: Ids,
    models: pa.Array,
    answers: pa.Array,
    response_keys: pa.Array,
) -> Columns:
    """Build the tables of a chunk of n prompts and m responses from their columns.

    Args:
        prompt_names: (n, 32) uint8, ids of prompts as ASCII characters.
        prompt_ids: (n, 2) uint64, the same ids as numbers.
        messages: n conversations.
        references: n reference answers, or null.
        keys: n ids of the user's own, or null.
        metas: n JSON texts, or null.
        tools: n JSON texts of the tools that models may call, or null.
        source: Name of the data set.
        split: Its split.
        owner: (m,) int64, row of the prompt that each response answers.
        response_names: (m, 32) uint8, ids of responses as ASCII characters.
        response_ids: (m, 2) uint64, the same ids as numbers.
        models: m names of models, or null.
        answers: m conversations.
        response_keys: m ids of the user's own, or null.
    """
    n, m = len(prompt_ids), len(response_ids)
    prompts = {
        "prompt_id": _id_column(prompt_names),
        "messages": messages,
        "source": _repeat_value(source, n),
        "split": _repeat_value(split, n),
        "reference": references,
        "key": keys,
        "meta": metas,
        "tools": tools,
        "part": pa.nulls(n, pa.string()),
    }
    responses = {
        "response_id": _id_column(response_names),
        "prompt_id": _id_column(prompt_names[owner]),
        "model": models,
        "key": response_keys,
        "meta": pa.nulls(m, pa.string()),
        "messages": answers,
        "part": pa.nulls(m, pa.string()),
    }
    return Columns(
        pa.Table.from_arrays(list(prompts.values()), schema=_PROMPTS),
        prompt_ids,
        pa.Table.from_arrays(list(responses.values()), schema=_RESPONSES),
        response_ids,
        owner,
    )


def concatenate_columns(pieces: Sequence[Columns]) -> Columns:
    """Join pieces into one; owners count prompts across the pieces."""
    if len(pieces) == 1:
        return pieces[0]
    firsts = np.cumsum([0, *(len(piece.prompt_ids) for piece in pieces)])
    return Columns(
        pa.concat_tables([piece.prompts for piece in pieces]),
        np.concatenate([piece.prompt_ids for piece in pieces]),
        pa.concat_tables([piece.responses for piece in pieces]),
        np.concatenate([piece.response_ids for piece in pieces]),
        np.concatenate([piece.owner + first for piece, first in zip(pieces, firsts, strict=False)]),
    )


def compute_prompt_ids(rows: Sequence[Row | NativeRow]) -> list[str]:
    """Compute `records.prompt_id` of each row, without building records."""
    ids = []
    for row in rows:
        prompt = row.prompt
        if isinstance(prompt, str):
            messages: Any = (("user", (("text", prompt, None, None),)),)
        else:
            messages = [_identify_message(message) for message in prompt]
        fields = (row.id, row.reference, messages)
        tools = _get_tools(row)
        ids.append(_hash_fields(fields if tools is None else (*fields, tools)))
    return ids


def compute_response_ids(rows: Sequence[Row | NativeRow], prompts: Sequence[str]) -> list[str]:
    """Compute `records.response_id` of each response of each row."""
    return [
        _hash_fields((prompt, candidate.id, candidate.model, _identify_answer(candidate.answer)))
        for prompt, row in zip(prompts, rows, strict=True)
        for candidate in row.responses
    ]


def _hash_fields(fields: tuple[Any, ...]) -> str:
    return blake2b(_encode(fields), digest_size=16).hexdigest()


def _identify_answer(answer: str | Turns) -> object:
    if isinstance(answer, str):
        return (("text", answer, None, None),)
    identities = [_identify_message(message) for message in answer]
    is_plain = len(answer) == 1 and answer[0].role == "assistant" and len(identities[0]) == 2
    return identities[0][1] if is_plain else identities


def _identify_message(message: AnyMessage) -> list[Any]:
    return message_identity(message if isinstance(message, Message) else _make_message(message))


def _make_message(message: IncomingMessage) -> Message:
    """Return a message of a native row as a record, in normal form."""
    parts = (
        [Part(text=message.content)]
        if isinstance(message.content, str)
        else [
            Part(type=part.type, text=part.text, uri=part.uri, sha256=part.sha256, mime_type=part.mime_type)
            for part in message.content or ()
        ]
    )
    calls = tuple(
        ToolCall(id=call.id, name=call.name, arguments=normalize_arguments(call.arguments))
        for call in message.tool_calls
    )
    return Message(
        role=message.role,
        content=normalize_content(parts, alone=not (message.reasoning or calls)),
        reasoning=message.reasoning,
        tool_calls=calls,
        tool_call_id=message.tool_call_id,
        name=message.name,
        is_target=message.is_target,
    )


def _get_tools(row: Row | NativeRow) -> str | None:
    return row.tools if isinstance(row.tools, str) else normalize_tools(row.tools)


def parse_ids(ids: Sequence[str]) -> Ids:
    """Return hexadecimal ids as numbers, an (n, 2) array of uint64, to compare many at once."""
    return np.frombuffer(bytes.fromhex("".join(ids)), dtype=">u8").astype(np.uint64).reshape(-1, 2)


def _build_messages(conversations: Sequence[str | Turns], role: Role) -> pa.Array:
    """Build the conversations of a column; text is one message of `role`."""
    texts = [conversation for conversation in conversations if isinstance(conversation, str)]
    if len(texts) == len(conversations):  # the common case needs no loop over messages
        return wrap_in_messages(_string_array(texts), role)
    messages: list[Message] = []
    ends = [0]
    for conversation in conversations:
        if isinstance(conversation, str):
            messages.append(Message(role=role, content=text_parts(conversation)))
        else:
            messages += [
                message if isinstance(message, Message) else _make_message(message)
                for message in conversation
            ]
        ends.append(len(messages))
    columns = [
        _string_array([message.role for message in messages]),
        _build_children(_PART, [message.content for message in messages]),
        _string_array([message.reasoning for message in messages]),
        _build_children(_CALL, [message.tool_calls for message in messages]),
        _string_array([message.tool_call_id for message in messages]),
        _string_array([message.name for message in messages]),
        pa.array([message.is_target for message in messages], pa.bool_()),
    ]
    return _build_lists(_build_structs(_MESSAGE, columns), pa.array(ends, pa.int32()))


def _build_children(kind: pa.StructType, children: Sequence[Sequence[Part | ToolCall]]) -> pa.Array:
    """Build a column of lists of records, each of whose fields is text."""
    ends = np.cumsum([0, *map(len, children)], dtype=np.int32)
    records = list(chain.from_iterable(children))
    columns = [_string_array([getattr(record, field.name) for record in records]) for field in kind]
    return _build_lists(_build_structs(kind, columns), pa.array(ends))


def wrap_in_messages(texts: pa.Array, role: Role) -> pa.Array:
    """Return each text as a conversation of one message of `role`."""
    n = len(texts)
    nothing = pa.nulls(n, pa.string())
    no_calls = pa.array(np.zeros(n + 1, np.int32))
    columns = [
        _repeat_value(role, n),
        _wrap_in_parts(texts),
        nothing,
        _build_lists(_CALL_NONE, no_calls),
        nothing,
        nothing,
        pa.nulls(n, pa.bool_()),
    ]
    return _build_lists(_build_structs(_MESSAGE, columns), _unit_offsets(n))


def _wrap_in_parts(texts: pa.Array) -> pa.Array:
    """Return each text as content of one part."""
    nothing = pa.nulls(len(texts), pa.string())
    return _build_lists(
        _build_structs(_PART, [_repeat_value("text", len(texts)), texts, nothing, nothing, nothing]),
        _unit_offsets(len(texts)),
    )


def _build_structs(kind: pa.DataType, columns: Sequence[pa.Array]) -> pa.Array:
    return pa.StructArray.from_arrays(columns, fields=list(kind))


def _build_lists(items: pa.Array, offsets: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(offsets, items)


def _unit_offsets(n: int) -> pa.Array:
    return pa.array(np.arange(n + 1, dtype=np.int32))


def _string_array(values: Sequence[str | None]) -> pa.Array:
    return pa.array(values, pa.string())


def _repeat_value(value: str | None, n: int) -> pa.Array:
    return pa.nulls(n, pa.string()) if value is None else pa.repeat(value, n)


def _encode_names(ids: Sequence[str]) -> Names:
    return np.frombuffer("".join(ids).encode("ascii"), np.uint8).reshape(-1, 32)


def _id_column(names: Names) -> pa.Array:
    """Build a column of ids: all are 32 ASCII characters, so its data is their concatenation."""
    offsets = np.arange(len(names) + 1, dtype=np.int32) * 32
    data = pa.py_buffer(np.ascontiguousarray(names))
    return pa.StringArray.from_buffers(len(names), pa.py_buffer(offsets), data)


def _encode_meta(meta: dict[str, Any]) -> str:
    return _encode(meta).decode()
