"""Lines of a text file, plain or compressed, as a stream that never holds more than one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from curate.core.errors import CurateError
from curate.ingest.chunks import ReadRow
from curate.ingest.inflate import DAMAGE, open_bytes
from curate.ingest.rejection import Rejection, shorten_raw

_BLOCK = 1 << 20
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: Path, *, limit: int) -> Iterator[tuple[int, bytes | Rejection]]:
    """Yield (1-based number, line) of every line that is not blank.

    Args:
        path: File, plain or compressed.
        limit: Bytes above which a line is rejected.

    Raises:
        CurateError: The compressed file is damaged; the lines before the damage have been yielded.
    """
    number = 0
    try:
        with open_bytes(path) as stream:
            for number, line in enumerate(_split_lines(stream, limit), 1):
                if number == 1:
                    line = _strip_mark(line, path)
                if len(line) > limit:
                    yield number, reject_long_line(number, line, limit)
                elif line and not line.isspace():
                    yield number, line
    except DAMAGE as error:
        raise _damage_error(path, number, error) from error


def _split_lines(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    """Yield lines without their ends; a line beyond the limit is cut, but stays longer than `limit`."""
    parts: list[
        bytes
    ] = []  # of the line that has not ended; joined once, so that a long line costs its length
    held = 0
    while block := stream.read1(_BLOCK):  # type: ignore[attr-defined]  # not `read`: before damage it gives less
        first, *others = block.split(b"\n")
        if held <= limit:
            parts.append(first)
            held += len(first)
        if others:
            yield b"".join(parts)
            *whole, rest = others
            yield from whole
            parts, held = [rest], len(rest)
    if held:
        yield b"".join(parts)


def read_json_lines(path: Path, *, limit: int) -> Iterator[tuple[int, ReadRow]]:
    """Yield the lines of a JSONL file, unless it is one JSON array."""
    rows = read_lines(path, limit=limit)
    first = next(rows, None)
    if first is None:
        return
    start = first[1].raw.encode() if isinstance(first[1], Rejection) else first[1].strip()
    if start.startswith(b"["):
        second = next(rows, None)
        if second is None or not start.endswith(b"]"):  # otherwise one bad row among others
            raise CurateError(
                f"{path} is one JSON array, but JSON Lines (one object per line) are wanted: "
                f"rename it to .json, or convert it with `jq -c '.[]'`."
            )
        yield first
        yield second
    elif start == b"{":
        inside = ", or `jq -c '.[]'` where it is one object whose values are the rows" * (
            path.suffix == ".json"
        )
        raise CurateError(
            f"{path} has objects that go over several lines, but JSON Lines (one object per line) are wanted: "
            f"convert it with `jq -c .`{inside}."
        )
    else:
        second = next(rows, None)
        if second is None and isinstance(first[1], bytes) and _is_object_of_rows(first[1]):
            raise CurateError(
                f"{path} is one object whose values are the rows, but JSON Lines (one object per line) are wanted: "
                "convert it with `jq -c '.[]'`."
            )
        yield first
        if second is not None:
            yield second
    yield from rows


def _is_object_of_rows(line: bytes) -> bool:
    """Tell whether a line is an object that holds nothing but objects: no row has neither a text nor a list."""
    try:
        parsed = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False  # the decoder of rows says what is wrong
    return isinstance(parsed, dict) and bool(parsed) and holds_rows(parsed)


def holds_rows(held: Mapping[str, Any]) -> bool:
    """Tell whether all values of an object are rows: objects that have most of their keys in common."""
    keys = [set(value) if isinstance(value, dict) else None for value in held.values()]
    rows = [names for names in keys if names is not None]
    return len(rows) == len(keys) > 0 and 2 * len(set.intersection(*rows)) >= len(set.union(*rows))


def _strip_mark(line: bytes, path: Path) -> bytes:
    if line.startswith(_UTF16):
        raise utf16_error(path)
    return line.removeprefix(_BOM)


def utf16_error(path: Path) -> CurateError:
    """Say that a file is UTF-16, and how to convert it."""
    return CurateError(f"{path} is UTF-16: convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`.")


def reject_long_line(number: int, line: bytes, limit: int) -> Rejection:
    """Reject a row that is longer than the limit."""
    reason = f"The line is longer than {limit >> 20} MiB (option `max_line_mib`)."
    return Rejection(number, "line too long", reason, shorten_raw(line))


def _damage_error(path: Path, number: int, error: Exception) -> CurateError:
    kind = {".gz": "gzip", ".zst": "Zstandard"}[path.suffix]
    if number == 0:
        return CurateError(f"{path} is not readable as {kind}: {error}.")
    return CurateError(
        f"{path} is damaged after line {number} ({error}): the whole lines before that are in the lake; "
        "fetch the file again and repeat."
    )
