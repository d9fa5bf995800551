"""Ids of prompts and responses straight from Arrow buffers: `records.prompt_id`, without a Python object per row.

Each id is the hash of a JSON array (`identity.content_id`), which is written into a scratch buffer and hashed
there. `tests/ingest/test_hashing.py` compares the ids with those of the records.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.ingest.blake2 import blake2b_128

Bytes = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.uint64]

_PROMPT_OPEN = np.frombuffer(b'[["user",[["text",', np.uint8)
_PROMPT_CLOSE = np.frombuffer(b",null,null]]]]]", np.uint8)
_RESPONSE_OPEN = np.frombuffer(b'[["text",', np.uint8)
_RESPONSE_CLOSE = np.frombuffer(b",null,null]]]", np.uint8)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_FRAME = 256  # bytes of JSON around the texts, generously
_BLOCK = 32  # bytes that are copied together
_ESCAPED = 6  # bytes that one character of a text may become: \u001f


class Strings(NamedTuple):
    """The buffers of an Arrow string array; `valid` is empty where nothing is null."""

    data: Bytes
    offsets: npt.NDArray[np.int32]
    valid: npt.NDArray[np.bool_]

    @classmethod
    def from_array(cls, array: pa.Array) -> Strings:
        _, offsets, data = array.buffers()
        first = array.offset
        return cls(
            np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8),
            np.frombuffer(offsets, np.int32)[first : first + len(array) + 1],
            np.asarray(array.is_valid()) if array.null_count else np.empty(0, np.bool_),
        )

    def max_length(self) -> int:
        return int(np.diff(self.offsets).max(initial=0))


def hash_prompts(keys: pa.Array, references: pa.Array, texts: pa.Array) -> tuple[Ids, Bytes]:
    """Hash prompts of one user message; return their ids as numbers, and as text (n × 32 ASCII characters)."""
    columns = [Strings.from_array(array) for array in (keys, references, texts)]
    ids, names = np.empty((len(keys), 2), np.uint64), np.empty((len(keys), 32), np.uint8)
    _hash_prompts(*columns, _allocate_scratch(columns), ids, names)
    return ids, names


def hash_responses(
    prompts: Bytes, owner: npt.NDArray[np.int64], keys: pa.Array, models: pa.Array, texts: pa.Array
) -> tuple[Ids, Bytes]:
    """Hash responses; `prompts[owner[i]]` is the id of the prompt that response i answers."""
    columns = [Strings.from_array(array) for array in (keys, models, texts)]
    ids, names = np.empty((len(keys), 2), np.uint64), np.empty((len(keys), 32), np.uint8)
    _hash_responses(prompts, owner, *columns, _allocate_scratch(columns), ids, names)
    return ids, names


def _allocate_scratch(columns: list[Strings]) -> Ids:
    size = _FRAME + _ESCAPED * sum(column.max_length() for column in columns)
    return np.zeros(16 * (size // 128 + 2), np.uint64)


@numba.njit(nogil=True, cache=True)
def _hash_prompts(keys, references, texts, words, ids, names):  # type: ignore[no-untyped-def]
    out, state = words.view(np.uint8), np.empty(8, np.uint64)
    for i in range(len(ids)):
        out[0] = 0x5B  # [
        at = _write_text(out, 1, keys, i)
        out[at] = 0x2C  # ,
        at = _write_text(out, at + 1, references, i)
        out[at] = 0x2C
        at = _write_bytes(out, at + 1, _PROMPT_OPEN)
        at = _write_text(out, at, texts, i)
        at = _write_bytes(out, at, _PROMPT_CLOSE)
        _hash_buffer(out, words, at, state, ids[i], names[i])


@numba.njit(nogil=True, cache=True)
def _hash_responses(prompts, owner, keys, models, texts, words, ids, names):  # type: ignore[no-untyped-def]
    out, state = words.view(np.uint8), np.empty(8, np.uint64)
    for i in range(len(ids)):
        out[0] = 0x5B
        out[1] = 0x22  # "
        at = _write_bytes(out, 2, prompts[owner[i]])
        out[at] = 0x22
        out[at + 1] = 0x2C
        at = _write_text(out, at + 2, keys, i)
        out[at] = 0x2C
        at = _write_text(out, at + 1, models, i)
        out[at] = 0x2C
        at = _write_bytes(out, at + 1, _RESPONSE_OPEN)
        at = _write_text(out, at, texts, i)
        at = _write_bytes(out, at, _RESPONSE_CLOSE)
        _hash_buffer(out, words, at, state, ids[i], names[i])


@numba.njit(nogil=True, cache=True)
def _write_bytes(out, at, piece):  # type: ignore[no-untyped-def]
    for i in range(len(piece)):
        out[at + i] = piece[i]
    return at + len(piece)


@numba.njit(nogil=True, cache=True)
def _write_text(out, at, strings, i):  # type: ignore[no-untyped-def]
    """A string as JSON, as msgspec and `json.dumps(ensure_ascii=False)` write it; null where it is null."""
    if len(strings.valid) > 0 and not strings.valid[i]:
        out[at], out[at + 1], out[at + 2], out[at + 3] = 0x6E, 0x75, 0x6C, 0x6C
        return at + 4
    data, k, end = strings.data, strings.offsets[i], strings.offsets[i + 1]
    out[at] = 0x22
    at += 1
    while end - k >= _BLOCK:  # blocks without anything to escape are copied by vector instructions
        block, target = data[k : k + _BLOCK], out[at : at + _BLOCK]
        special = np.uint8(0)
        for j in range(_BLOCK):
            c = block[j]
            special |= np.uint8(c < 0x20) | np.uint8(c == 0x22) | np.uint8(c == 0x5C)
        if special:
            for j in range(_BLOCK):
                at = _write_character(out, at, block[j])
        else:
            for j in range(_BLOCK):
                target[j] = block[j]
            at += _BLOCK
        k += _BLOCK
    while k < end:
        at = _write_character(out, at, data[k])
        k += 1
    out[at] = 0x22
    return at + 1


@numba.njit(nogil=True, cache=True)
def _write_character(out, at, c):  # type: ignore[no-untyped-def]
    if c >= 0x20 and c != 0x22 and c != 0x5C:
        out[at] = c
        return at + 1
    out[at] = 0x5C  # \
    if c == 0x22 or c == 0x5C:
        out[at + 1] = c
    elif c == 0x0A:
        out[at + 1] = 0x6E  # n
    elif c == 0x0D:
        out[at + 1] = 0x72  # r
    elif c == 0x09:
        out[at + 1] = 0x74  # t
    elif c == 0x08:
        out[at + 1] = 0x62  # b
    elif c == 0x0C:
        out[at + 1] = 0x66  # f
    else:
        out[at + 1], out[at + 2], out[at + 3] = 0x75, 0x30, 0x30  # u00
        out[at + 4], out[at + 5] = _HEX[c >> 4], _HEX[c & 15]
        return at + 6
    return at + 2


@numba.njit(nogil=True, cache=True)
def _hash_buffer(out, words, n, state, id, name):  # type: ignore[no-untyped-def]
    """Hash the first n bytes; the digest as two big-endian numbers and as 32 hexadecimal digits."""
    for i in range(n, (n + 127) // 128 * 128):
        out[i] = 0
    blake2b_128(words, n, state)
    for half in range(2):
        number = np.uint64(0)
        for byte in range(8):
            value = (state[half] >> np.uint64(8 * byte)) & np.uint64(255)
            number = (number << np.uint64(8)) | value
            name[16 * half + 2 * byte] = _HEX[value >> np.uint64(4)]
            name[16 * half + 2 * byte + 1] = _HEX[value & np.uint64(15)]
        id[half] = number


@numba.njit(nogil=True, cache=True)
def rows_with_equal_keys(ends, keys):  # type: ignore[no-untyped-def]
    """Count the rows that have two responses with the same key; responses of row i: `ends[i]` to `ends[i + 1]`."""
    count = 0
    for row in range(len(ends) - 1):
        for i in range(ends[row], ends[row + 1]):
            for k in range(ends[row], i):
                if _are_equal(keys, i, k):
                    count += 1
    return count


@numba.njit(nogil=True, cache=True)
def _are_equal(strings, i, k):  # type: ignore[no-untyped-def]
    first, second = strings.offsets[i], strings.offsets[k]
    n = strings.offsets[i + 1] - first
    if strings.offsets[k + 1] - second != n:
        return False
    for j in range(n):  # noqa: SIM110  (numba has no generator expressions)
        if strings.data[first + j] != strings.data[second + j]:
            return False
    return True
