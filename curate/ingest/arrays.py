"""Rows of a .json file: one array of objects, or JSON Lines under another suffix.

An array is read whole, so there is a limit to it; JSON Lines are streamed at any size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from curate.core.errors import CurateError
from curate.ingest import lines
from curate.ingest.chunks import ReadRow
from curate.ingest.inflate import DAMAGE, open_bytes

ARRAY_LIMIT = 512 << 20


def read_json_rows(path: Path, *, limit: int) -> Iterator[tuple[int, ReadRow]]:
    """Yield the numbered rows of the file; `limit`: bytes of a line, where the file holds JSON Lines."""
    try:
        with open_bytes(path) as stream:
            head = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
            content = head + stream.read(ARRAY_LIMIT) if head.startswith(b"[") else b""
    except DAMAGE as error:
        raise CurateError(f"{path} is damaged or no archive: {error}.") from error
    if not head.startswith(b"["):
        yield from lines.read_json_lines(path, limit=limit)
        return
    if len(content) >= ARRAY_LIMIT:
        raise CurateError(
            f"{path} is a JSON array of more than {ARRAY_LIMIT >> 20} MiB, which cannot be streamed: "
            "convert it with `jq -c '.[]'` to .jsonl."
        )
    try:
        rows = list(map(bytes, msgspec.json.decode(content, type=list[msgspec.Raw])))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        try:
            rows = _split_array(content)  # one NaN is that row's fault, and not the file's
        except (ValueError, RecursionError):
            raise CurateError(f"{path} begins as a JSON array, but is not valid JSON: {error}.") from error
    yield from enumerate(rows, 1)


def _split_array(content: bytes) -> list[bytes]:
    """Split an array into its items, with numbers that are not JSON (NaN) in them; ValueError where it is none."""
    text, decoder = content.decode(), json.JSONDecoder()
    place, rows = _skip_blanks(text, 1), list[bytes]()
    while True:
        _, end = decoder.raw_decode(text, place)
        rows.append(text[place:end].encode("utf-8", "surrogatepass"))
        place = _skip_blanks(text, end)
        if text[place : place + 1] == "]" and not text[place + 1 :].strip():
            return rows
        if text[place : place + 1] != ",":
            raise ValueError(f"no comma at character {place}")
        place = _skip_blanks(text, place + 1)


def _skip_blanks(text: str, place: int) -> int:
    while text[place : place + 1] in (" ", "\n", "\r", "\t"):
        place += 1
    return place
