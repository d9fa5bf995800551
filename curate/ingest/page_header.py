"""The size of a Parquet dictionary before it is read: a few kilobytes of file can stand for gigabytes of text.

A page begins with a Thrift struct in the compact protocol (https://github.com/apache/parquet-format, `PageHeader`). Its
first three fields are required 32-bit integers in this order: type, uncompressed size, compressed size.
"""

from __future__ import annotations

from typing import BinaryIO

import pyarrow.parquet as pq

_DICTIONARY_PAGE = 2
_FIELD = 0x15  # the next field id, of the type i32
_HEAD = 64  # bytes that hold three integers


def read_dictionary_size(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> int:
    """Return the bytes of a column chunk's dictionary once it is unpacked; 0 where it has none."""
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        start = min(start, chunk.dictionary_page_offset)
    file.seek(start)
    head = file.read(_HEAD)
    place, values = 0, []
    for _ in range(2):
        if place >= len(head) or head[place] != _FIELD:
            return 0  # no such page: the reader says what is wrong
        value, place = _read_integer(head, place + 1)
        values.append(value)
    return values[1] if values[0] == _DICTIONARY_PAGE else 0


def _read_integer(data: bytes, place: int) -> tuple[int, int]:
    """Read a zigzag varint; return it and the place behind it."""
    value = shift = 0
    while place < len(data):
        value |= (data[place] & 0x7F) << shift
        shift += 7
        place += 1
        if not data[place - 1] & 0x80:
            break
    return (value >> 1) ^ -(value & 1), place
