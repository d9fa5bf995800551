"""Rows that nobody meant to write: none of them ends a run, every one is counted, and the right ones come in right.

`CURATE_HOSTILE=2000` tries so many rows of each kind of file; without it a few are tried.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.config.ingest import Source
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.ingest import ingest_responses
from curate.ingest.recognition import describe_recognition, draw_rows, recognize_source
from curate.lake.lake import Lake, Location
from tests.ingest.samples import assert_reconciled

ROWS = int(os.environ.get("CURATE_HOSTILE", "120"))
IN_A_FILE = 20
NUMBERS = itertools.count()

TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        *("\ud83d", "a\x00b", "\ufeff", "\u2028", "[", '{"a": ', '["\\ud800"]', "NaN", "\x1b[31m", " "),
        *("'; DROP TABLE x", "=1+1"),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**40, -(10**400), 2**63, 0])
    | st.floats()
    | TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["prompt", "chosen", "rejected", "system", "images", "tools", "other"]) | TEXTS
CHANGES = st.dictionaries(KEYS, VALUES, min_size=1, max_size=3)


def nest(depth: int) -> str:
    return "[" * depth + "]" * depth


def damage(line: bytes, way: str) -> bytes:
    """Return a line of JSON in one of the ways in which files are broken."""
    return {
        "cut": line[: len(line) // 2],
        "twice": line + line,
        "same key": line[:-1] + b', "chosen": "other"}',
        "latin": line[:-1] + b', "other": "\xe9\xff"}',
        "deep": line[:-1] + f', "other": {nest(3000)}}}'.encode(),
        "many digits": line[:-1] + b', "other": ' + b"9" * 6000 + b"}",
        "mark": b"\xef\xbb\xbf" + line,
        "no object": b'"a text"',
        "nothing": b"{}",
    }[way]


WAYS = st.sampled_from(
    ["cut", "twice", "same key", "latin", "deep", "many digits", "mark", "no object", "nothing"]
)
HOSTILE = st.tuples(CHANGES, st.none() | WAYS)
FILES = st.lists(st.none() | HOSTILE, min_size=IN_A_FILE, max_size=IN_A_FILE)  # None: a right row


def make_row(number: int) -> dict[str, Any]:
    return {"prompt": f"Question {number}?", "chosen": f"Good {number}.", "rejected": f"Bad {number}."}


@pytest.fixture(scope="module")
def shared_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Path]]:
    folder = tmp_path_factory.mktemp("hostile")
    with Lake.open(Location.under(folder / "lake")) as lake:
        yield lake, folder


def take_in(lake: Lake, folder: Path, path: Path, rows: int, right: list[int]) -> bool:
    """Take a file in, and hold the lake against the right rows in it; False where the file is refused."""
    config = Config()
    object.__setattr__(config, "_folder", folder)
    try:
        recognition = recognize_source(Source(source=path.name, format="auto"), config)
        describe_recognition(recognition, config)
        if recognition.trial is not None:
            draw_rows(recognition.trial)
    except CurateError:
        pass  # a sentence, and no traceback
    try:
        summary = ingest_responses(lake, [Source(source=path.name, format="trl-preference")], config)
    except CurateError:  # the whole file is refused in a sentence: other rows of it say different things
        assert lake.value("SELECT count(*) FROM runs WHERE part = ?", [path.name]) == 0
        return False
    assert summary.counts.rows_in == rows
    dropped = lake.value("SELECT count(*) FROM quarantine WHERE source = ?", [path.name])
    assert dropped == summary.counts.rows_dropped
    query = """SELECT p.messages[-1].content[1].text, a.messages[-1].content[1].text,
            b.messages[-1].content[1].text, outcome
        FROM judgments JOIN prompts p USING (prompt_id) JOIN responses a ON a.response_id = response_a
        JOIN responses b ON b.response_id = response_b WHERE p.source = ?"""
    said = {
        (asked, *((b, a) if outcome == "b" else (a, b)))
        for asked, a, b, outcome in lake.rows(query, [path.name])
    }
    assert {tuple(make_row(number).values()) for number in right} <= said
    return True


def run_files(
    write: Callable[[Path, list[tuple[int, Any]]], int], shared: tuple[Lake, Path], suffix: str
) -> None:
    lake, folder = shared
    taken = []

    @settings(
        max_examples=max(ROWS // IN_A_FILE, 1),
        suppress_health_check=list(HealthCheck),
        database=None,
        deadline=None,
    )
    @given(FILES)
    def run(rows: list[Any]) -> None:
        numbered = [(next(NUMBERS), row) for row in rows]
        path = folder / f"{numbered[0][0]}{suffix}"
        try:
            written = write(path, numbered)
            right = [number for number, row in numbered if row is None]
            taken.append(take_in(lake, folder, path, written, right))
        finally:
            path.unlink(missing_ok=True)

    run()
    assert sum(taken) > len(taken) / 2  # a file that is refused as a whole shows little
    assert_reconciled(lake)


def write_json_lines(path: Path, rows: list[tuple[int, Any]]) -> int:
    lines = []
    for number, row in rows:
        changes, way = row or ({}, None)
        text = json.dumps({**make_row(number), **changes}, ensure_ascii=number % 2 == 0)
        line = text.encode("utf-8", "surrogatepass")
        lines.append(line if way is None else damage(line, way))
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return len(lines)


def write_csv(path: Path, rows: list[tuple[int, Any]]) -> int:
    """Write a table; values that are no text stand there as JSON. An odd cell may make two lines of one row."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["prompt", "chosen", "rejected", "other"])
    for number, row in rows:
        cells = {**make_row(number), "other": "x"}
        changes, way = row or ({}, None)
        for name, value in changes.items():
            if name in cells:
                cells[name] = value if isinstance(value, str) else json.dumps(value)
        writer.writerow([*cells.values()][: 3 if way == "cut" else 4])
    path.write_bytes(file.getvalue().encode("utf-8", "surrogatepass"))
    return len(rows)


def write_parquet(path: Path, rows: list[tuple[int, Any]]) -> int:
    """Write a table with a column of numbers, one of bytes, one of lists and one of JSON text."""
    table: dict[str, list[Any]] = {name: [] for name in ("prompt", "chosen", "rejected")}
    numbers, raw, texts = [], [], []
    for number, row in rows:
        changes, _ = row or ({}, None)
        for name, value in make_row(number).items():
            changed = changes.get(name, value)
            text = changed if isinstance(changed, str) or changed is None else json.dumps(changed)
            table[name].append(text and text.encode("utf-8", "replace").decode())
        other = changes.get("other")
        numbers.append(float(other) if isinstance(other, float) else None)
        raw.append(str(other).encode("utf-8", "surrogatepass"))
        texts.append(json.dumps(other))
    columns = {name: pa.array(values, pa.large_string()) for name, values in table.items()}
    columns |= {"number": pa.array(numbers), "raw": pa.array(raw, pa.binary()), "meta": pa.array(texts)}
    columns["list"] = pa.array([[text] for text in texts])
    pq.write_table(pa.table(columns), path)
    return len(rows)


def test_hostile_lines_of_json(shared_lake: tuple[Lake, Path]) -> None:
    run_files(write_json_lines, shared_lake, ".jsonl")


def test_hostile_tables_of_text(shared_lake: tuple[Lake, Path]) -> None:
    run_files(write_csv, shared_lake, ".csv")


def test_hostile_parquet(shared_lake: tuple[Lake, Path]) -> None:
    run_files(write_parquet, shared_lake, ".parquet")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.jsonl", b""),
        ("blank.jsonl", b"\n \n\n"),
        ("empty.csv", b""),
        ("header.csv", b"prompt,chosen,rejected\n"),
        ("empty.json", b""),
        ("no_rows.json", b"[]"),
        ("number.json", b"7"),
        ("empty.parquet", b""),
        ("mark.csv", b"\xff\xfe"),
        ("zeros.jsonl", b"\x00" * 100),
        ("quote.csv", b'prompt,chosen,rejected\n"never closed'),
        ("broken.jsonl.gz", b"\x1f\x8b"),
    ],
)
def test_files_with_nothing_in_them(name: str, content: bytes, shared_lake: tuple[Lake, Path]) -> None:
    lake, folder = shared_lake
    (folder / name).write_bytes(content)
    config = Config()
    object.__setattr__(config, "_folder", folder)
    for format in ("auto", "trl-preference"):
        try:
            if format == "auto":
                assert recognize_source(Source(source=name, format=format), config).certainty == "refused"
            else:
                ingest_responses(lake, [Source(source=name, format=format)], config)
        except CurateError:
            continue  # a sentence, and no traceback
    assert_reconciled(lake)
