"""Rows of a .json file: one array of objects, one object over several lines, or JSON Lines under another suffix.

An array or such an object is read whole, so there is a limit to it; JSON Lines are streamed at any size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from curate.core.errors import CurateError
from curate.ingest import lines
from curate.ingest.chunks import ReadRow
from curate.ingest.inflate import DAMAGE, open_bytes

ARRAY_LIMIT = 512 << 20
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)


def read_json_rows(path: Path, *, limit: int) -> Iterator[tuple[int, ReadRow]]:
    """Yield the numbered rows of the file; `limit`: bytes of a row."""
    try:
        with open_bytes(path) as stream:
            head = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
            is_document = head.partition(b"\n")[0].strip() == b"{"
            content = head + stream.read(ARRAY_LIMIT) if is_document or head.startswith(b"[") else b""
    except DAMAGE as error:
        raise CurateError(f"{path} is damaged or no archive: {error}.") from error
    if is_document and len(content) < ARRAY_LIMIT and _is_document(content):
        yield 1, content
        return
    if not head.startswith(b"["):
        yield from lines.read_json_lines(path, limit=limit)
        return
    if len(content) >= ARRAY_LIMIT:
        raise CurateError(
            f"{path} is a JSON array of more than {ARRAY_LIMIT >> 20} MiB, which cannot be streamed: "
            "convert it with `jq -c '.[]'` to .jsonl."
        )
    rows: list[bytes] | None
    try:
        rows = list(map(bytes, msgspec.json.decode(content, type=list[msgspec.Raw])))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        rows = _split_array(
            content
        )  # one NaN, or one row that is too deep, is that row's fault, and not the file's
        if rows is None:
            raise CurateError(f"{path} begins as a JSON array, but is not valid JSON: {error}.") from error
    for number, row in enumerate(rows, 1):
        yield number, lines.reject_long_line(number, row, limit) if len(row) > limit else row


def _is_document(content: bytes) -> bool:
    """Tell whether a text is one object, and none whose values are the rows."""
    try:
        parsed = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return any(not bytes(value).startswith(b"{") for value in parsed.values())


def _split_array(content: bytes) -> list[bytes] | None:
    """Split an array into its items, whatever is in them; None where it does not end, or goes on after its end."""
    depth, start, rows = 0, 1, list[bytes]()
    for token in _TOKENS.finditer(content):
        match token[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
                if not depth:
                    rows.append(content[start : token.start()].strip())
                    return None if content[token.end() :].strip() else rows
            case b"," if depth == 1:
                rows.append(content[start : token.start()].strip())
                start = token.end()
    return None
