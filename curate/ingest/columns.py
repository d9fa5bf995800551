"""From sound rows to Arrow tables with their ids, without a dictionary per row."""

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

from curate.ingest.rows import Message, NativeRow, Row
from curate.records import Prompt, Response, arrow_schema

Ids = npt.NDArray[np.uint64]  # (n, 2): ids of 128 bits, most significant half first

_PROMPTS, _RESPONSES = arrow_schema(Prompt), arrow_schema(Response)
_PART = _RESPONSES.field("content").type.value_type
_MESSAGE = _PROMPTS.field("messages").type.value_type

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Columns:
    """The tables of a chunk. `owner[i]` is the row (position in the chunk) of response i, in row order."""

    prompts: pa.Table
    prompt_ids: Ids
    responses: pa.Table
    response_ids: Ids
    owner: npt.NDArray[np.int64]


def build(rows: Sequence[Row | NativeRow], *, source: str, split: str | None) -> Columns:
    """Ids and tables of all the rows, in their order, duplicates included."""
    sizes = np.fromiter((len(row.responses) for row in rows), np.int64, len(rows))
    prompt_hex = prompt_ids(rows)
    response_hex = response_ids(rows, prompt_hex)
    owner = np.repeat(np.arange(len(rows)), sizes)
    prompt_column = _id_column(prompt_hex)
    candidates = list(chain.from_iterable(row.responses for row in rows))
    prompts = {
        "prompt_id": prompt_column,
        "messages": _messages(rows),
        "source": _constant(source, len(rows)),
        "split": _constant(split, len(rows)),
        "reference": _strings([row.reference for row in rows]),
        "key": _strings([row.id for row in rows]),
        "meta": _strings([row.meta if row.meta is None else _json(row.meta) for row in rows]),
    }
    responses = {
        "response_id": _id_column(response_hex),
        "prompt_id": prompt_column.take(pa.array(owner)),
        "model": _strings([candidate.model for candidate in candidates]),
        "content": _texts([candidate.text for candidate in candidates]),
        "key": _strings([candidate.id for candidate in candidates]),
        "meta": pa.nulls(len(candidates), pa.string()),
    }
    return Columns(
        pa.Table.from_arrays(list(prompts.values()), schema=_PROMPTS),
        parse_ids(prompt_hex),
        pa.Table.from_arrays(list(responses.values()), schema=_RESPONSES),
        parse_ids(response_hex),
        owner,
    )


def prompt_ids(rows: Sequence[Row | NativeRow]) -> list[str]:
    """`records.prompt_id` of each row, without building records."""
    ids = []
    for row in rows:
        prompt = row.prompt
        if isinstance(prompt, str):
            messages: Any = (("user", (("text", prompt, None, None),)),)
        else:
            messages = [(message.role, _parts(message)) for message in prompt]
        ids.append(blake2b(_encode((row.id, row.reference, messages)), digest_size=16).hexdigest())
    return ids


def response_ids(rows: Sequence[Row | NativeRow], prompts: Sequence[str]) -> list[str]:
    """`records.response_id` of each response of each row."""
    return [
        blake2b(
            _encode((prompt, candidate.id, candidate.model, (("text", candidate.text, None, None),))),
            digest_size=16,
        ).hexdigest()
        for prompt, row in zip(prompts, rows, strict=True)
        for candidate in row.responses
    ]


def parse_ids(ids: Sequence[str]) -> Ids:
    """Hexadecimal ids as numbers, for comparing many at once."""
    return np.frombuffer(bytes.fromhex("".join(ids)), dtype=">u8").astype(np.uint64).reshape(-1, 2)


def _parts(message: Message) -> list[tuple[str | None, ...]]:
    if isinstance(message.content, str):
        return [("text", message.content, None, None)]
    return [(part.type, part.text, part.uri, part.sha256) for part in message.content]


def _messages(rows: Sequence[Row | NativeRow]) -> pa.Array:
    texts = [row.prompt for row in rows if isinstance(row.prompt, str)]
    if len(texts) == len(rows):  # the common case needs no loop over messages
        return _lists(_struct(_MESSAGE, [_constant("user", len(rows)), _texts(texts)]), _every(len(rows)))
    roles: list[str] = []
    parts: list[tuple[str | None, ...]] = []
    messages_end, parts_end = [0], [0]
    for row in rows:
        prompt = [Message(role="user", content=row.prompt)] if isinstance(row.prompt, str) else row.prompt
        for message in prompt:
            roles.append(message.role)
            parts.extend(_parts(message))
            parts_end.append(len(parts))
        messages_end.append(len(roles))
    columns = [_strings(list(column)) for column in zip(*parts, strict=True)]
    content = _lists(_struct(_PART, columns), pa.array(parts_end, pa.int32()))
    return _lists(_struct(_MESSAGE, [_strings(roles), content]), pa.array(messages_end, pa.int32()))


def _texts(texts: Sequence[str]) -> pa.Array:
    """Each text as content of one part."""
    nothing = pa.nulls(len(texts), pa.string())
    parts = _struct(_PART, [_constant("text", len(texts)), _strings(texts), nothing, nothing])
    return _lists(parts, _every(len(texts)))


def _struct(kind: pa.DataType, columns: Sequence[pa.Array]) -> pa.Array:
    return pa.StructArray.from_arrays(columns, fields=list(kind))


def _lists(items: pa.Array, offsets: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(offsets, items)


def _every(n: int) -> pa.Array:
    return pa.array(np.arange(n + 1, dtype=np.int32))


def _strings(values: Sequence[str | None]) -> pa.Array:
    return pa.array(values, pa.string())


def _constant(value: str | None, n: int) -> pa.Array:
    return pa.nulls(n, pa.string()) if value is None else pa.repeat(value, n)


def _id_column(ids: Sequence[str]) -> pa.Array:
    """All ids are 32 ASCII characters, so the column is their concatenation."""
    offsets = np.arange(len(ids) + 1, dtype=np.int32) * 32
    return pa.StringArray.from_buffers(
        len(ids), pa.py_buffer(offsets), pa.py_buffer("".join(ids).encode("ascii"))
    )


def _json(meta: dict[str, Any]) -> str:
    return _encode(meta).decode()
