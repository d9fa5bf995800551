"""Bad input: each kind gives a quarantine row with line and reason, or one clear error; nothing else breaks."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import zstandard

from curate.config.ingest import Source
from curate.core.errors import CurateError
from curate.lake.lake import Lake
from tests.ingest.samples import Take, assert_reconciled, lines, native, rejected

ANSWER = {"id": "r0", "text": "yes"}

ROWS: dict[str, tuple[Any, str]] = {
    "broken JSON": (b'{"id": "x", \n', "not valid JSON: expecting property name"),
    "two objects on a line": (b'{"a": 1} {"b": 2}\n', "not valid JSON: extra data at character 10"),
    "single quotes": (b"{'id': 'x'}\n", "not valid JSON"),
    "NaN": (lines(native(meta={"x": 1})).replace(b'"x": 1', b'"x": NaN'), "NaN is not JSON"),
    "number out of range": (lines(native(meta={"x": 1})).replace(b'"x": 1', b'"x": 1e999'), "1e999 is out of range"),
    "endless digits": (b'{"id": ' + b"9" * 5000 + b"}\n", "an integer has too many digits"),
    "endless nesting": (b"[" * 100_000 + b"\n", "nested too deeply"),
    "control character": (b'{"id": "a\tb"}\n', "invalid control character"),
    "an array as row": (b'["x"]\n', "an array, not a JSON object"),
    "a string as row": (b'"x"\n', "a string, not a JSON object"),
    "null as row": (b"null\n", "null, not a JSON object"),
    "not UTF-8": (lines(native()).replace(b"What", b"Wh\xe4t"), "Byte 27 of the line is not UTF-8"),
    "id missing": (native(id=None), "`id` is missing"),
    "id empty": (native(id=""), "`id` is empty"),
    "id a number": (native(id=7), "`id` is a number, but should be a string"),
    "prompt missing": (native(prompt=None), "`prompt` is missing"),
    "prompt empty": (native(prompt=""), "`prompt` is empty"),
    "prompt blank": (native(prompt=" \n\t"), "`prompt` is empty"),
    "prompt a number": (native(prompt=5), "`prompt` is a number, but should be a string or an array"),
    "prompt without messages": (native(prompt=[]), "`prompt` is empty"),
    "prompt of blank messages": (native(prompt=[{"role": "user", "content": " "}]), "`prompt` is empty"),
    "unknown role": (native(prompt=[{"role": "robot", "content": "x"}]), "`prompt[0].role` is 'robot', but must be"),
    "message without role": (native(prompt=[{"content": "x"}]), "`prompt[0].role` is missing"),
    "message without content": (native(prompt=[{"role": "user"}]), "prompt[0]: a message has `content`, or else"),
    "message content a number": (
        native(prompt=[{"role": "user", "content": 1}]),
        "`prompt[0].content` is a number, but should be a string or an array",
    ),
    "image without address": (
        native(prompt=[{"role": "user", "content": [{"type": "image"}]}]),
        "a part of type image needs `uri`",
    ),
    "responses missing": (native(responses=None), "`responses` is missing"),
    "no responses": (native(responses=[]), "`responses` is empty"),
    "responses an object": (native(responses={"a": 1}), "`responses` is an object, but should be an array"),
    "response a string": (native(responses=["x"]), "`responses[0]` is a string, but should be an object"),
    "text missing": (native(responses=[ANSWER, {"id": "r1"}]), "responses[1]: a response has either `text`"),
    "text null": (native(responses=[{"id": "r1", "text": None}]), "responses[0]: a response has either `text`"),
    "text a number": (native(responses=[{"id": "r1", "text": 1}]), "`responses[0].text` is a number"),
    "response id missing": (native(responses=[{"text": "x"}]), "`responses[0].id` is missing"),
    "duplicate response ids": (native(responses=[ANSWER, ANSWER]), "two responses have the id 'r0'"),
    "model a number": (native(responses=[{**ANSWER, "model": 3}]), "`responses[0].model` is a number"),
    "unknown key": (native(promt="x"), "`promt` is no known key"),
    "unknown key of a response": (native(responses=[{**ANSWER, "txt": "x"}]), "`responses[0].txt` is no known key"),
    "reference a list": (native(reference=["x"]), "`reference` is an array, but should be a string"),
    "meta a list": (native(meta=[1]), "`meta` is an array, but should be an object"),
    "NUL character": (native(responses=[{"id": "r", "text": "a\0b"}]), "`responses[0].text` holds a NUL character"),
    "NUL in a key of meta": (native(meta={"a\0": 1}), "`meta, a key` holds a NUL character"),
    "lone surrogate": (native(responses=[{"id": "r", "text": "\ud800"}]), "text` holds a lone surrogate"),
    "lone surrogate in the id": (native(id="\udfff"), "`id` holds a lone surrogate"),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_a_bad_row_is_quarantined_whole_and_its_neighbours_are_kept(
    case: str, lake: Lake, take: Take
) -> None:
    row, reason = ROWS[case]
    bad = row if isinstance(row, bytes) else lines(row)
    summary = take("data.jsonl", lines(native(1), b"\n", bad, native(2)))

    assert (summary.counts.rows_in, summary.counts.rows_kept, summary.counts.rows_dropped) == (3, 2, 1)
    ((line, found),) = rejected(lake)
    assert line == 3  # the blank line counts
    assert reason in found
    assert found.endswith(".")
    assert lake.value("SELECT count(*) FROM prompts") == 2
    assert lake.value("SELECT length(raw) FROM quarantine") > 0
    assert_reconciled(lake)


SOUND: dict[str, bytes] = {
    "byte-order mark": b"\xef\xbb\xbf" + lines(native()),
    "CRLF": lines(native()).replace(b"\n", b"\r\n"),
    "no newline at the end": lines(native()).rstrip(),
    "blank lines": b"\n  \n" + lines(native()) + b"\r\n\n",
    "one response": lines(native(responses=[ANSWER])),
    "empty response": lines(native(responses=[{"id": "r", "text": ""}, {"id": "s", "text": " \n"}])),
    "escaped backslash before u0000": lines(native(prompt="write \\u0000 in C")),
    "surrogate pair": lines(native(prompt="\U0001f600?")),
    "empty message among others": lines(
        native(prompt=[{"role": "system", "content": ""}, {"role": "user", "content": "x"}])
    ),
    "nulls for what is optional": lines(native() | {"reference": None, "meta": None}),
    "a number of 30 digits in meta": lines(native(meta={"n": 10**30})),
}


@pytest.mark.parametrize("case", SOUND)
def test_unusual_rows_that_are_sound_are_kept(case: str, lake: Lake, take: Take) -> None:
    counts = take("data.jsonl", SOUND[case]).counts
    assert (counts.rows_in, counts.rows_kept) == (1, 1)
    assert rejected(lake) == []


FILES: dict[str, tuple[str, bytes | None, str]] = {
    "missing file": ("none.jsonl", None, "There is no file .*none.jsonl"),
    "glob without match": ("*.nothing", None, "No file matches"),
    "unknown suffix": ("data.txt", b"x", "has a suffix that curate cannot read; supported are JSON Lines"),
    "zip archive": ("data.zip", b"PK\x03\x04", "has a suffix that curate cannot read"),
    "not gzip": ("data.jsonl.gz", b"plainly not", "is not readable as gzip"),
    "not Zstandard": ("data.jsonl.zst", b"plainly not", "is not readable as Zstandard"),
    "UTF-16": ("data.jsonl", "{}\n".encode("utf-16"), "is UTF-16: convert it"),
    "an array on one line": ("data.jsonl", b'[{"id": "x"}]', "is one JSON array"),
    "an array over many lines": ("data.jsonl", b'[\n{"id": "x"},\n{"id": "y"}\n]\n', "is one JSON array"),
    "a broken array": ("data.json", b'[{"id": "x"}, ', "begins as a JSON array, but is not valid JSON"),
    "not Parquet": ("data.parquet", b"plainly not", "is not readable as Parquet"),
    "wrong columns in CSV": (
        "data.csv",
        b"question,answer\r\na,b\r\n",
        "has the columns `answer`, `question`, but format 'native' of responses needs `id`, `prompt`, `responses`",
    ),
    "CSV without header": ("data.csv", b"", "has the columns none"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_cannot_be_read_is_one_clear_error(case: str, lake: Lake, take: Take) -> None:
    name, content, message = FILES[case]
    with pytest.raises(CurateError, match=message) as caught:
        take(name, content)
    assert "\n" not in str(caught.value)
    assert lake.value("SELECT count(*) FROM runs") == 0


def test_a_folder_that_is_no_data_set_is_named(tmp_path: Path, take: Take) -> None:
    with pytest.raises(CurateError, match=r"is a folder, but not one written by `datasets`.*\*\.jsonl"):
        take(".")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_of_a_truncated_archive_the_whole_lines_are_kept(suffix: str, lake: Lake, take: Take) -> None:
    content = lines(*(native(i, prompt=f"{i * 7919 % 1000} " * 50) for i in range(4000)))
    compress = gzip.compress if suffix == ".gz" else zstandard.ZstdCompressor().compress
    archive = compress(content)
    with pytest.raises(CurateError, match=r"is damaged after line \d+ .*fetch the file again"):
        take(f"data.jsonl{suffix}", archive[: len(archive) * 9 // 10], chunk=500)
    partial = lake.value("SELECT count(*) FROM prompts")
    assert 0 < partial < 4000
    assert_reconciled(lake)

    counts = take(f"data.jsonl{suffix}", archive, chunk=500).counts
    assert (counts.rows_duplicate, counts.rows_kept) == (partial, 4000 - partial)


def test_a_line_beyond_the_limit_is_not_read(lake: Lake, take: Take) -> None:
    huge = lines(native(3, prompt="x" * (5 << 20)))
    counts = take("data.jsonl", lines(native(1), huge, native(2)), max_line_mib=1).counts
    assert counts.rows_kept == 2
    assert rejected(lake) == [(2, "The line is longer than 1 MiB (option `max_line_mib`).")]
    assert lake.value("SELECT length(raw) FROM quarantine") == 2000


def test_a_line_of_50_mb_is_a_row_like_others(lake: Lake, take: Take) -> None:
    counts = take("data.jsonl", lines(native(1), native(2, prompt="x" * 50_000_000))).counts
    assert counts.rows_kept == 2
    assert lake.value("SELECT max(length(messages[1].content[1].text)) FROM prompts") == 50_000_000


def test_bad_csv_rows_are_quarantined(lake: Lake, take: Take) -> None:
    header = b"id,prompt,responses\r\n"
    good = b'q1,"two\r\nlines","[{""id"": ""r"", ""text"": ""x""}]"\r\n'
    cases = [
        (b"q2,p\r\n", "The row has 2 cells, but the header has 3."),
        (b"q3,p,{\r\n", "`responses` is text, but not valid JSON."),
        (b'q4,p\xff,"[]"\r\n', "`prompt` is not UTF-8 (option `encoding`)."),
        (b"q5,,[]\r\n", "`prompt` is missing (1 more)."),
        (b'q6,p"x,"[]"x\r\n', "The row is not valid CSV: ',' expected after '\"'."),
    ]
    counts = take("data.csv", header + good + b"".join(row for row, _ in cases)).counts
    assert (counts.rows_in, counts.rows_kept) == (6, 1)
    assert rejected(lake) == [(line, reason) for line, (_, reason) in enumerate(cases, 4)]
    assert_reconciled(lake)


def test_reasons_are_counted_by_kind(take: Take) -> None:
    bad = [native(i, id="") for i in range(3)] + [native(9, responses=[])]
    counts = take("data.jsonl", lines(*bad)).counts
    assert counts.dropped == {"empty id": 3, "no responses": 1}


def test_a_preset_for_judgments_is_refused() -> None:
    with pytest.raises(ValueError, match="is for responses"):
        Source(source="x", kind="judgments", format="hh-rlhf")
