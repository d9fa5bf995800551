"""Lines of a text file by the thousand: a buffer and where its lines begin and end, without an object per line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from curate.ingest.inflate import DAMAGE

_BLOCK = 4 << 20  # bytes read at a time
_SPACE = 32  # white space is this and below

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Lines without their ends: line i is `content[starts[i] : ends[i]]`, and has the 1-based number `numbers[i]`."""

    content: bytes
    starts: Positions
    ends: Positions
    numbers: Positions

    def __len__(self) -> int:
        return len(self.starts)

    def cut(self, first: int, last: int) -> LineBlock:
        """Return the lines from `first` up to `last`; the buffer is shared."""
        lines = slice(first, last)
        return LineBlock(self.content, self.starts[lines], self.ends[lines], self.numbers[lines])

    @property
    def rows(self) -> list[bytes]:
        """The lines as objects of their own."""
        content = self.content
        return [
            content[start:end] for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        ]

    def view(self) -> memoryview:
        """Return the bytes from the first line to the end of the last, with what stands between them."""
        return memoryview(self.content)[self.starts[0] : self.ends[-1]]

    def select_visible(self) -> LineBlock:
        """Return the lines that are not blank. Most begin with a visible character, which settles it."""
        content = np.frombuffer(self.content, np.uint8)
        filled = self.starts < self.ends
        first = content[np.where(filled, self.starts, 0)]
        visible = filled & (first > _SPACE)
        for i in np.flatnonzero(filled & ~visible).tolist():
            visible[i] = not self.content[self.starts[i] : self.ends[i]].isspace()
        if visible.all():
            return self
        return LineBlock(self.content, self.starts[visible], self.ends[visible], self.numbers[visible])


def split_lines(stream: BinaryIO, *, limit: int) -> Iterator[LineBlock]:
    """Yield the lines of a stream, blank ones too; a line beyond the limit is cut, but stays longer than `limit`.

    Args:
        stream: Uncompressed bytes; what it gives before it fails is yielded.
        limit: Bytes of a line.
    """
    number = 1
    for content in _read_whole_lines(stream, limit):
        ends = _find_ends(content)
        starts = np.concatenate([[0], ends[:-1] + 1])
        yield LineBlock(content, starts, ends, np.arange(number, number + len(ends)))
        number += len(ends)


def _find_ends(content: bytes) -> Positions:
    """Find where the lines end. A search that jumps is quicker than to compare each byte, and needs no memory."""
    ends = []
    end = content.find(b"\n")
    while end >= 0:
        ends.append(end)
        end = content.find(b"\n", end + 1)
    if not content.endswith(b"\n"):
        ends.append(len(content))
    return np.array(ends, np.int64)


def _read_whole_lines(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    """Yield blocks that end where a line ends."""
    parts: list[
        bytes
    ] = []  # of the line that has not ended; joined once, so that a long line costs its length
    held = 0
    for block in _read_blocks(stream):
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join([*parts, memoryview(block)[:end]])
            parts, held = [block[end:]], len(block) - end
        elif held <= limit:
            parts.append(block)
            held += len(block)
    if held:
        yield b"".join(parts)


def _read_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield blocks, all but the last of a good size; before an error of the stream all that it gave."""
    parts: list[bytes] = []
    try:
        # Not `read`: before damage it gives less.
        while part := stream.read1(_BLOCK):  # type: ignore[attr-defined]
            parts.append(part)
            if sum(map(len, parts)) >= _BLOCK:
                yield b"".join(parts)
                parts = []
    except DAMAGE:
        if parts:
            yield b"".join(parts)
        raise
    if parts:
        yield b"".join(parts)
