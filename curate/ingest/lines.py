"""Lines of a text file, plain or compressed, as a stream that holds few megabytes, or one line that is longer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from curate.core.errors import CurateError
from curate.ingest.chunks import ReadRow
from curate.ingest.inflate import DAMAGE, open_bytes
from curate.ingest.line_blocks import LineBlock, split_lines
from curate.ingest.rejection import Rejection, shorten_raw

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: Path, *, limit: int) -> Iterator[tuple[int, bytes | Rejection]]:
    """Yield (1-based number, line) of every line that is not blank; see `read_line_blocks`."""
    for item in read_line_blocks(path, limit=limit):
        yield from _list_lines(item)


def read_line_blocks(path: Path, *, limit: int) -> Iterator[LineBlock | Rejection]:
    """Yield the lines that are not blank, many at a time, and a rejection for each that is too long.

    Args:
        path: File, plain or compressed.
        limit: Bytes above which a line is rejected.

    Raises:
        CurateError: The compressed file is damaged; the lines before the damage have been yielded.
    """
    number = 0
    try:
        with open_bytes(path) as stream:
            for block in split_lines(stream, limit=limit + len(_BOM)):  # the mark does not count
                if number == 0:
                    block = _strip_mark(block, path)
                number += len(block)
                yield from _reject_long_lines(block, limit)
    except DAMAGE as error:
        raise _damage_error(path, number, error) from error


def _reject_long_lines(block: LineBlock, limit: int) -> Iterator[LineBlock | Rejection]:
    first = 0
    for i in np.flatnonzero(block.ends - block.starts > limit).tolist():
        yield from _list_visible(block.cut(first, i))
        yield reject_long_line(int(block.numbers[i]), block.cut(i, i + 1).rows[0], limit)
        first = i + 1
    yield from _list_visible(block.cut(first, len(block)))


def _list_visible(block: LineBlock) -> list[LineBlock]:
    visible = block.select_visible()
    return [visible] if len(visible) else []


def _list_lines(item: LineBlock | Rejection) -> Iterable[tuple[int, bytes | Rejection]]:
    if isinstance(item, Rejection):
        return [(item.line, item)]
    return zip(item.numbers.tolist(), item.rows, strict=True)


def read_json_lines(path: Path, *, limit: int) -> Iterator[tuple[int, ReadRow]]:
    """Yield the lines of a JSONL file; see `read_json_blocks`."""
    for item in read_json_blocks(path, limit=limit):
        yield from _list_lines(item)


def read_json_blocks(path: Path, *, limit: int) -> Iterator[LineBlock | Rejection]:
    """Yield the lines of a JSONL file, many at a time.

    Raises:
        CurateError: The file is JSON of another kind (one array, one object, or objects over several lines), or is
            damaged, as in `read_line_blocks`.
    """
    blocks = read_line_blocks(path, limit=limit)
    head: list[LineBlock | Rejection] = []
    damage: CurateError | None = None
    try:
        while sum(1 if isinstance(item, Rejection) else len(item) for item in head) < 2:
            head.append(next(blocks))
    except StopIteration:
        pass
    except CurateError as error:
        damage = error
    rows = islice((row for item in head for _, row in _list_lines(item)), 2)
    _check_lines(path, next(rows, None), has_more=damage is not None or next(rows, None) is not None)
    yield from head
    if damage is not None:
        raise damage
    yield from blocks


def _check_lines(path: Path, first: bytes | Rejection | None, *, has_more: bool) -> None:
    """Raise CurateError where a file, by its first line, is JSON but not one object a line."""
    if first is None:
        return
    start = first.raw.encode() if isinstance(first, Rejection) else first.strip()
    if start.startswith(b"["):
        if not has_more or not start.endswith(b"]"):  # otherwise one bad row among others
            raise CurateError(
                f"{path} is one JSON array, but JSON Lines (one object per line) are wanted: "
                f"rename it to .json, or convert it with `jq -c '.[]'`."
            )
    elif start == b"{":
        inside = ", or `jq -c '.[]'` where it is one object whose values are the rows" * (
            path.suffix == ".json"
        )
        raise CurateError(
            f"{path} has objects that go over several lines, but JSON Lines (one object per line) are wanted: "
            f"convert it with `jq -c .`{inside}."
        )
    elif not has_more and isinstance(first, bytes) and _is_object_of_rows(first):
        raise CurateError(
            f"{path} is one object whose values are the rows, but JSON Lines (one object per line) are wanted: "
            "convert it with `jq -c '.[]'`."
        )


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


def _strip_mark(block: LineBlock, path: Path) -> LineBlock:
    if block.content.startswith(_UTF16):
        raise utf16_error(path)
    if not block.content.startswith(_BOM):
        return block
    starts = block.starts.copy()
    starts[0] += len(_BOM)
    return replace(block, starts=starts)


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
