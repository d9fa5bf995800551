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
Names = npt.NDArray[np.uint8]  # (n, 32): ids as hexadecimal digits

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
    candidates = list(chain.from_iterable(row.responses for row in rows))
    return assemble(
        prompt_names=_ascii(prompt_hex),
        prompt_ids=parse_ids(prompt_hex),
        messages=_messages(rows),
        references=_strings([row.reference for row in rows]),
        keys=_strings([row.id for row in rows]),
        metas=_strings([row.meta if row.meta is None else _json(row.meta) for row in rows]),
        source=source,
        split=split,
        owner=np.repeat(np.arange(len(rows)), sizes),
        response_names=_ascii(response_hex),
        response_ids=parse_ids(response_hex),
        models=_strings([candidate.model for candidate in candidates]),
        texts=_strings([candidate.text for candidate in candidates]),
        response_keys=_strings([candidate.id for candidate in candidates]),
    )


def assemble(
    *,
    prompt_names: Names,
    prompt_ids: Ids,
    messages: pa.Array,
    references: pa.Array,
    keys: pa.Array,
    metas: pa.Array,
    source: str,
    split: str | None,
    owner: npt.NDArray[np.int64],
    response_names: Names,
    response_ids: Ids,
    models: pa.Array,
    texts: pa.Array,
    response_keys: pa.Array,
) -> Columns:
    """The tables of a chunk from their columns. Names are ids as text: n × 32 ASCII characters."""
    n, m = len(prompt_ids), len(response_ids)
    prompts = {
        "prompt_id": _id_column(prompt_names),
        "messages": messages,
        "source": _constant(source, n),
        "split": _constant(split, n),
        "reference": references,
        "key": keys,
        "meta": metas,
    }
    responses = {
        "response_id": _id_column(response_names),
        "prompt_id": _id_column(prompt_names[owner]),
        "model": models,
        "content": one_part(texts),
        "key": response_keys,
        "meta": pa.nulls(m, pa.string()),
    }
    return Columns(
        pa.Table.from_arrays(list(prompts.values()), schema=_PROMPTS),
        prompt_ids,
        pa.Table.from_arrays(list(responses.values()), schema=_RESPONSES),
        response_ids,
        owner,
    )


def concatenate(pieces: Sequence[Columns]) -> Columns:
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
        return one_message(_strings(texts))
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


def one_message(texts: pa.Array) -> pa.Array:
    """Each text as a conversation of one user message."""
    return _lists(_struct(_MESSAGE, [_constant("user", len(texts)), one_part(texts)]), _every(len(texts)))


def one_part(texts: pa.Array) -> pa.Array:
    """Each text as content of one part."""
    nothing = pa.nulls(len(texts), pa.string())
    return _lists(
        _struct(_PART, [_constant("text", len(texts)), texts, nothing, nothing]), _every(len(texts))
    )


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


def _ascii(ids: Sequence[str]) -> Names:
    return np.frombuffer("".join(ids).encode("ascii"), np.uint8).reshape(-1, 32)


def _id_column(names: Names) -> pa.Array:
    """All ids are 32 ASCII characters, so the column is their concatenation."""
    offsets = np.arange(len(names) + 1, dtype=np.int32) * 32
    data = pa.py_buffer(np.ascontiguousarray(names))
    return pa.StringArray.from_buffers(len(names), pa.py_buffer(offsets), data)


def _json(meta: dict[str, Any]) -> str:
    return _encode(meta).decode()
