"""Lines by the block against lines one by one: the same lines, numbers, rejections and chunks."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.core.errors import CurateError
from curate.ingest import chunks, line_blocks
from curate.ingest.chunks import Chunk, ReadRow, cut_chunks, cut_line_chunks, list_rows
from curate.ingest.lines import read_json_lines, read_line_blocks, read_lines
from curate.ingest.rejection import Rejection

LIMIT = 40
pieces = st.sampled_from(
    [
        b"",
        b" ",
        b"\r",
        b"\t \x0b",
        b'{"a": 1}',
        b' {"a": 1} ',
        b"\x1c",
        b"\x00",
        b"\xff",
        b"x" * LIMIT,
        b"y" * 41,
        b" " * 60,
    ]
)
files = st.lists(pieces | st.binary(max_size=50), max_size=12).map(b"\n".join)


def list_expected(content: bytes) -> Iterator[tuple[int, ReadRow | None]]:
    """The lines of a file, as plainly as it can be said; None: too long."""
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if len(line) > LIMIT:
            yield number, None
        elif line.strip():
            yield number, line


@settings(max_examples=300)
@given(files, st.booleans(), st.integers(1, 30))
def test_blocks_hold_the_lines_of_the_file(content: bytes, has_mark: bool, size: int) -> None:
    content = b"\xef\xbb\xbf" * has_mark + content.lstrip(b"\xff\xfe")
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_blocks, "_BLOCK", size)
        path = Path(folder) / "x.jsonl"
        path.write_bytes(content)
        found = [
            (number, None if isinstance(line, Rejection) else line)
            for number, line in read_lines(path, limit=LIMIT)
        ]
    assert found == list(list_expected(content))


def describe(chunk: Chunk) -> tuple[object, ...]:
    rows = list(list_rows(chunk.pieces))
    return chunk.index, chunk.start, chunk.end, chunk.last, len(chunk), rows


@settings(max_examples=200)
@given(files, st.integers(1, 6), st.integers(1, 100), st.integers(20, 200))
def test_chunks_of_blocks_are_those_of_rows(content: bytes, size: int, weight: int, block: int) -> None:
    """A run that was killed goes on by the numbers of chunks: they must not depend on how lines were read."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_blocks, "_BLOCK", block)
        patch.setattr(chunks, "CHUNK_BYTES", weight)
        path = Path(folder) / "x.jsonl"
        path.write_bytes(content.lstrip(b"\xff\xfe"))
        by_rows = list(map(describe, cut_chunks(read_lines(path, limit=LIMIT), size=size)))
        by_blocks = list(map(describe, cut_line_chunks(read_line_blocks(path, limit=LIMIT), size=size)))
    assert by_blocks == by_rows
    assert by_rows[-1][3] is True


def test_what_a_stream_gave_before_it_failed_is_kept() -> None:
    class Failing(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            part = super().read1(5)
            if not part:
                raise EOFError("it ends in the middle")
            return part

    lines = []
    with pytest.raises(EOFError):
        for block in line_blocks.split_lines(Failing(b"one\ntwo\nthr"), limit=LIMIT):
            lines += block.rows
    assert lines == [b"one", b"two"]


def test_the_only_line_before_damage_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    whole = gzip.compress(b'{"a": 1}\n' + random.Random(0).randbytes(100_000).replace(b"\n", b" "))
    path.write_bytes(whole[: len(whole) // 2])
    rows = read_json_lines(path, limit=1 << 20)
    assert next(rows) == (1, b'{"a": 1}')
    with pytest.raises(CurateError, match="damaged after line 1"):
        next(rows)
