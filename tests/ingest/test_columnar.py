"""The columnar way against the row-wise one: the same ids and tables for what it takes, nothing that is wrong."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.core.identity import content_id
from curate.ingest.blake2 import blake2b_128
from curate.ingest.columnar import read_columns
from curate.ingest.columns import build_columns, concatenate_columns
from curate.ingest.hashing import hash_prompts, hash_responses
from curate.ingest.line_blocks import LineBlock
from curate.ingest.native import make_native_responses_decoder
from curate.ingest.rejection import RowError
from curate.lake.lake import Lake
from tests.ingest.samples import Take, lines, native, rejected
from tests.ingest.test_bad_input import ROWS, SOUND

DECODE = make_native_responses_decoder()
escapes = st.sampled_from(
    ["", '"', "\\", "\n", "\r\t\b\f", "\x1f\x7f", "é“\U0001f600", "x" * 31, "y" * 40 + '"' + "z" * 40]
)
words = st.text(max_size=40) | st.lists(escapes, max_size=6).map("".join)
plain_rows = st.fixed_dictionaries(
    {
        "id": words,
        "prompt": words,
        "responses": st.lists(
            st.fixed_dictionaries({"id": words, "text": words}, optional={"model": words | st.none()}),
            max_size=3,
        ),
    },
    optional={"reference": words | st.none(), "meta": st.none() | st.just({"a": 1}), "other": st.none()},
)


@settings(max_examples=60)
@given(st.binary(max_size=700))
def test_blake2b(data: bytes) -> None:
    words = np.zeros(16 * (len(data) // 128 + 1), np.uint64)
    words.view(np.uint8)[: len(data)] = np.frombuffer(data, np.uint8)
    state = np.empty(8, np.uint64)
    blake2b_128(words, len(data), state)
    assert state[:2].tobytes() == blake2b(data, digest_size=16).digest()


@settings(max_examples=100)
@given(st.lists(st.tuples(words, words | st.none(), words), max_size=5), st.integers(0, 2))
def test_ids_from_buffers_are_content_ids(rows: list[tuple[str, str | None, str]], skip: int) -> None:
    """`skip`: of sliced arrays the buffers begin before the first value."""
    columns = [pa.array([row[i] for row in rows], pa.string())[skip:] for i in range(3)]
    rows = rows[skip:]
    keys, optional, texts = columns
    ids, names = hash_prompts(keys, optional, texts)
    prompts = [content_id(key, extra, [["user", [["text", text, None, None]]]]) for key, extra, text in rows]
    assert [bytes(name).decode() for name in names] == prompts
    assert [f"{high:016x}{low:016x}" for high, low in ids.tolist()] == prompts

    owner = np.arange(len(rows))
    _, names = hash_responses(names, owner, keys, optional, texts)
    assert [bytes(name).decode() for name in names] == [
        content_id(prompt, key, extra, [["text", text, None, None]])
        for prompt, (key, extra, text) in zip(prompts, rows, strict=True)
    ]


def make_block(content: list[bytes]) -> LineBlock:
    """The lines as `read_line_blocks` gives them, but that a line here may hold what would end it."""
    ends = np.cumsum([len(line) + 1 for line in content]) - 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    return LineBlock(b"\n".join(content), starts, ends, np.arange(len(content)) + 1)


def agree(content: list[bytes]) -> bool:
    """Whether the columnar way takes the lines; when it does, it must give what the row-wise way gives."""
    found = read_columns(make_block(content), source="s", split="x")
    if found is None:
        return False
    expected = build_columns(
        [DECODE(line) for line in content], source="s", split="x"
    )  # raises if a row is unsound
    assert found.prompts.equals(expected.prompts)
    assert found.responses.equals(expected.responses)
    assert (found.prompt_ids == expected.prompt_ids).all()
    assert (found.response_ids == expected.response_ids).all()
    assert (found.owner == expected.owner).all()
    found.prompts.validate(full=True)
    found.responses.validate(full=True)
    return True


@settings(max_examples=200)
@given(st.lists(plain_rows, min_size=1, max_size=3), st.booleans())
def test_columns_are_those_of_the_rows(rows: list[dict[str, Any]], ascii_only: bool) -> None:
    content = [json.dumps(row, ensure_ascii=ascii_only).encode() for row in rows]
    try:
        for line in content:
            DECODE(line)
    except RowError:
        assert not agree(content)
    else:
        agree(content)


@settings(max_examples=300)
@given(st.data())
def test_damaged_lines_are_never_taken_for_sound_ones(data: st.DataObject) -> None:
    """Bytes replaced, removed and doubled anywhere: what the columnar way still takes, the row-wise one does too."""
    content = lines(native(1), native(2, reference="é"), native(3)).splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        which = data.draw(st.integers(0, 2))
        line = content[which]
        at, size = data.draw(st.integers(0, len(line))), data.draw(st.integers(0, 6))
        piece = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"}", b"{", b"]", b'"', b"\\ud800", b"\xed\xa0\x80"])
        )
        content[which] = (line[:at] + piece + line[at + size :]).replace(b"\n", b" ")
    agree([line for line in content if line.strip()] or [b"{}"])


def test_plain_rows_go_the_columnar_way() -> None:
    assert agree(lines(*(native(i) for i in range(10))).splitlines())
    assert agree(lines(native(reference="x"), native(1)).splitlines())
    assert agree(lines(native(), native(1)).replace(b"\n", b" \r\n").splitlines())
    assert not agree(lines(native(meta={"a": 1})).splitlines())
    assert not agree(lines(native(prompt=[{"role": "user", "content": "x"}])).splitlines())


SNEAKY: dict[str, list[bytes]] = {
    "two objects on one line, one object on two": [b'{"id":"a"}{"id":"b"}', b'{"id":', b'"c"}'],
    "the same with braces at both ends": [
        lines(native(1)).strip() + lines(native(2)).strip(),
        b'{"id":"q","prompt":"p","responses":[{"id":"a","text":"x"}',
        b'{"id":"b","text":"y"}]}',
    ],
    "a key twice": [b'{"id":"a","id":"b","prompt":"p","responses":[{"id":"r","text":"x"}]}'],
    "low surrogate alone": [lines(native(prompt="PLACE")).strip().replace(b"PLACE", b"\\udc00")],
    "high surrogate alone": [lines(native(prompt="PLACE")).strip().replace(b"PLACE", b"\\ud800x")],
    "NUL": [lines(native(prompt="PLACE")).strip().replace(b"PLACE", b"a\\u0000")],
    "raw NUL": [lines(native(prompt="PLACE")).strip().replace(b"PLACE", b"a\x00")],
    "overlong UTF-8": [lines(native(prompt="PLACE")).strip().replace(b"PLACE", b"\xc0\x80")],
    "comment": [lines(native()).strip().replace(b'"id"', b'/* x */ "id"', 1)],
    "trailing comma": [lines(native()).strip()[:-1] + b",}"],
    "null response": [b'{"id":"a","prompt":"p","responses":[null]}'],
}


@pytest.mark.parametrize("case", [*SNEAKY, *ROWS])
def test_nothing_wrong_is_taken(case: str) -> None:
    if case in SNEAKY:
        content = SNEAKY[case]
    else:
        row = ROWS[case][0]
        content = (row if isinstance(row, bytes) else lines(row)).splitlines()
    assert read_columns(make_block(content), source="s", split=None) is None
    more = make_block([*lines(native(7)).splitlines(), *content])
    assert read_columns(more, source="s", split=None) is None


@pytest.mark.parametrize("case", SOUND)
def test_what_is_sound_gives_the_same_either_way(case: str) -> None:
    agree([line for line in SOUND[case].removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()])


def test_pieces_are_put_together() -> None:
    rows = [DECODE(line) for line in lines(*(native(i) for i in range(7))).splitlines()]
    whole = build_columns(rows, source="s", split=None)
    joined = concatenate_columns(
        [build_columns(rows[:3], source="s", split=None), build_columns(rows[3:], source="s", split=None)]
    )
    assert joined.prompts.equals(whole.prompts)
    assert joined.owner.tolist() == whole.owner.tolist()
    assert joined.response_ids.tolist() == whole.response_ids.tolist()


def test_a_large_file_with_bad_rows_goes_both_ways(lake: Lake, take: Take) -> None:
    rows: list[Any] = [native(i) for i in range(9000)]
    rows[100] = native(100, prompt="")
    rows[5000] = b"broken\n"
    rows[8999] = native(8999, prompt=[{"role": "user", "content": "as messages"}], meta={"a": [1]})
    rows += [native(i) for i in range(0, 9000, 1000)]
    counts = take("data.jsonl", lines(*rows), chunk=6000).counts
    assert (counts.rows_in, counts.rows_kept, counts.rows_dropped) == (
        9009,
        8999,
        2,
    )  # number 5000 is sound the second time
    assert [line for line, _ in rejected(lake)] == [101, 5001]
    assert lake.rows("SELECT count(*), count(DISTINCT response_id) FROM responses") == [(17998, 17998)]
    query = "SELECT prompt_id, messages[1].content[1].text FROM prompts WHERE key IN ('q1', 'q8000')"
    for prompt, text in lake.rows(query):
        key = "q1" if text == "What is 1 plus 1?" else "q8000"
        assert prompt == content_id(key, None, [["user", [["text", text, None, None]]]])
