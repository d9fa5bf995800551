"""Small files that stand for very much: memory and time stay bounded, and the rows around them come in."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from curate.config.ingest import Source
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.ingest.arrays import read_json_rows
from curate.ingest.decoders import make_responses_decoder
from curate.ingest.inputs import locate_inputs
from curate.ingest.lines import read_lines
from curate.ingest.page_header import read_dictionary_size
from curate.ingest.parquet_rows import read_parquet_rows
from curate.ingest.rejection import Rejection, RowError
from curate.ingest.shapes import open_shape
from curate.ingest.tables import read_csv_rows

MIB = 1 << 20


def pack(texts: list[str], places: list[int]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(texts))


def write(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=1 << 30)
    return path


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """100 rows, of which all but the third stand for 60 MiB each, in a few kilobytes."""
    places = [1 if number == 2 else 0 for number in range(100)]
    table = pa.table(
        {"prompt": pack(["x" * (60 * MIB), "small"], places), "id": [str(n) for n in range(100)]}
    )
    return write(tmp_path / "bomb.parquet", table)


def test_fault_26_a_dictionary_takes_no_more_than_its_own_size(bomb: Path) -> None:
    assert bomb.stat().st_size < 10_000
    code = f"""
import resource
from pathlib import Path
from curate.ingest.parquet_rows import read_parquet_rows
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kinds = [type(row).__name__ for _, row in read_parquet_rows(Path({str(bomb)!r}), lambda names: None, limit=1 << 20)]
assert kinds.count("Rejection") == 99 and kinds[2] == "dict", kinds
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 700  # MiB; it was more than 6,000


def test_rows_below_the_limit_come_in_one_by_one(bomb: Path) -> None:
    rows = read_parquet_rows(bomb, lambda names: None, limit=64 * MIB)
    number, row = next(rows)
    assert number == 1
    assert isinstance(row, dict)
    assert len(row["prompt"]) == 60 * MIB
    assert next(rows)[0] == 2
    assert next(rows) == (3, {"prompt": "small", "id": "2"})


def test_lists_of_repeated_values_are_measured_before_they_are_written_out(tmp_path: Path) -> None:
    counts, texts = [3, 2_000_000, 0, 2], pack(["y" * 2_000, "z"], [0] * 2_000_003 + [1, 1])
    offsets = pa.array([0, *[sum(counts[: n + 1]) for n in range(4)]], pa.int32())
    table = pa.table({"completions": pa.ListArray.from_arrays(offsets, texts)})
    path = write(tmp_path / "lists.parquet", table)
    assert path.stat().st_size < 100_000
    rows = dict(read_parquet_rows(path, lambda names: None, limit=MIB))
    assert rows[1] == {"completions": ["y" * 2_000] * 3}
    assert isinstance(rows[2], Rejection)
    assert (rows[2].kind, rows[2].line) == ("line too long", 2)
    assert rows[3] == {"completions": []}
    assert rows[4] == {"completions": ["z", "z"]}


def test_what_is_packed_more_tightly_than_text_is_refused(tmp_path: Path) -> None:
    table = pa.table({"prompt": pack(["x" * (1100 * MIB)], [0, 0])})
    path = write(tmp_path / "huge.parquet", table)
    with pytest.raises(CurateError, match=r"column prompt unpacks 1,100 MiB"):
        list(read_parquet_rows(path, lambda names: None, limit=64 * MIB))


def test_plain_files_are_read_as_before(tmp_path: Path) -> None:
    rows = [
        {"id": str(n), "prompt": None if n % 7 == 0 else f"p{n}", "meta": '{"a": [1]}', "n": n,
         "responses": [{"text": f"t{n}", "model": "m"}] * (n % 3)}
        for n in range(1, 1001)
    ]  # fmt: skip
    for version, dictionary in (("1.0", True), ("2.6", False)):
        pq.write_table(
            pa.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=300, version=version,
            use_dictionary=dictionary, data_page_version=version[:2] + "0",
        )  # fmt: skip
        found = list(read_parquet_rows(tmp_path / "rows.parquet", lambda names: None, limit=MIB))
        assert [number for number, _ in found] == list(range(1, 1001))
        assert [row for _, row in found] == [row | {"meta": {"a": [1]}} for row in rows]


def test_the_size_of_a_dictionary_is_read_from_its_page(tmp_path: Path) -> None:
    table = pa.table({"a": pack(["x" * 5000, "y" * 300], [0, 1, 0]), "b": [1, 2, 3]})
    path = write(tmp_path / "x.parquet", table)
    group = pq.read_metadata(path).row_group(0)
    with path.open("rb") as file:
        assert read_dictionary_size(file, group.column(0)) == 5308
    pq.write_table(table, path, use_dictionary=False)
    with path.open("rb") as file:
        assert read_dictionary_size(file, pq.read_metadata(path).row_group(0).column(0)) == 0


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_fault_32_a_line_beyond_the_limit_costs_its_length(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"long.jsonl{suffix}"
    body = b'{"a": 1}\n' + b"x" * (300 * MIB) + b'\n{"b": 2}\n'
    if suffix == ".gz":
        path.write_bytes(gzip.compress(body, 1))
    else:
        path.write_bytes(zstandard.compress(body, 1) if suffix else body)
    del body
    started = time.process_time()
    lines = dict(read_lines(path, limit=64 * MIB))
    assert time.process_time() - started < 15  # limit × length took more than a minute
    assert lines[1] == b'{"a": 1}'
    assert isinstance(lines[2], Rejection)
    assert lines[3] == b'{"b": 2}'


def test_lines_are_cut_where_they_end_whatever_the_blocks(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    body = b"".join(b"%d:" % n + b"a" * (n * 7919 % 400_000) + b"\n" for n in range(40)) + b"last"
    path.write_bytes(body)
    assert [line for _, line in read_lines(path, limit=MIB)] == body.split(b"\n")
    short = dict(read_lines(path, limit=200_000))
    assert {n: not isinstance(line, Rejection) for n, line in short.items()} == {
        n: len(line) <= 200_000 for n, line in enumerate(body.split(b"\n"), 1)
    }


def test_a_line_of_a_table_beyond_the_limit_leaves_its_neighbours(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    long = "y" * (200 * MIB)
    text = f'a,b\n1,2\n{long},4\n"5\n{long}""\n6",7\n8,9\n'
    path.write_bytes(gzip.compress(text.encode(), 1))
    del text, long
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = list(read_csv_rows(path, lambda names: None, keep_empty=frozenset(), limit=2 * MIB))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10 < 300
    good = [row for _, row in rows if not isinstance(row, Rejection)]
    assert good == [{"a": "1", "b": "2"}, {"a": "8", "b": "9"}]
    assert [row.kind for _, row in rows if isinstance(row, Rejection)] == ["line too long", "line too long"]


def test_zstandard_unpacks_in_small_steps(tmp_path: Path) -> None:
    path = tmp_path / "zeros.jsonl.zst"
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    with path.open("wb") as file:
        for _ in range(64):
            file.write(compressor.compress(bytes(16 * MIB)))
        file.write(compressor.flush())
    assert path.stat().st_size < 200_000
    code = f"""
import resource
from pathlib import Path
from curate.ingest.inflate import open_bytes
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = 0
with open_bytes(Path({str(path)!r})) as stream:
    while block := stream.read1(1 << 20):
        total += len(block)
print(total >> 20, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    size, memory = map(int, done.stdout.split())
    assert size == 1024
    assert memory < 250


def test_fault_34_what_is_no_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    config = Config()
    object.__setattr__(config, "_folder", tmp_path)
    for name, kind in (("pipe.jsonl", "a FIFO"), ("/dev/zero", "a device"), ("/dev/null", "a device")):
        with pytest.raises(CurateError, match=f"is {kind}, not a file"):
            locate_inputs(Source(source=name), config)
    (tmp_path / "good.jsonl").write_bytes(io.BytesIO(b"{}\n").getvalue())
    assert [item.name for item in locate_inputs(Source(source="*.jsonl"), config)] == ["good.jsonl"]


def read_shape(name: str, row: dict[str, Any]) -> Any:
    return make_responses_decoder(Source(source="x.jsonl", format=name), name="x")(json.dumps(row).encode())


def test_a_chat_whose_answers_would_fill_the_disk_is_rejected() -> None:
    """Each answer has all turns before it as its prompt: n turns make n² of them."""
    turn = [{"role": "user", "content": "Thanks!"}, {"role": "assistant", "content": "You are welcome."}]
    chat = {"model": "m", "turn": 1, "language": "English", "conversation": turn * 20}
    assert len(read_shape("chat-log", chat)) == 20
    with pytest.raises(RowError, match="cut the chat into several"):
        read_shape("chat-log", chat | {"conversation": turn * 1000})
    long = {"role": "user", "content": "Thanks! " + "x" * 1_000_000}
    with pytest.raises(RowError, match="cut the chat into several"):
        read_shape("chat-log", chat | {"conversation": [long, turn[1]] * 20})


@pytest.mark.parametrize(
    ("shape", "row"),
    [
        ("alpaca", {"instruction": [{"role": "user", "content": [{"type": ["text"]}]}], "output": "An oak."}),
        ("oasst-trees", {"prompt": {"text": "Name a tree.", "role": "prompter", "replies": 0.5}}),
    ],
)
def test_a_value_of_another_type_is_the_fault_of_its_row(shape: str, row: dict[str, Any]) -> None:
    with pytest.raises(RowError):
        read_shape(shape, row)


def test_a_tree_that_is_too_deep_leaves_the_others() -> None:
    def make_message(name: str, parent: str | None, role: str) -> bytes:
        row = {"message_id": name, "parent_id": parent, "text": name, "role": role, "rank": 0}
        return json.dumps(row).encode()

    rows = [make_message("a", None, "prompter"), make_message("b", "a", "assistant")]
    rows += [make_message("d0", None, "prompter")]
    rows += [make_message(f"d{depth}", f"d{depth - 1}", "assistant") for depth in range(1, 5000)]
    read = list(open_shape("oasst-messages").gather_rows(iter(enumerate(rows, 1))))
    assert [number for number, row in read if not isinstance(row, Rejection)] == [1]
    assert [row.kind for _, row in read if isinstance(row, Rejection)] == ["nested too deeply"]


def test_a_row_of_an_array_that_is_too_deep_or_too_long_leaves_its_neighbours(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    deep = "[" * 50_000 + "]" * 50_000
    path.write_text(f'[{{"a": "],"}}, {{"a": {deep}}}, {{"a": "{"x" * 999}"}}, {{"a": NaN}}, {{"b": 1}} ]')
    rows = dict(read_json_rows(path, limit=200_000))
    assert (rows[1], rows[5], len(rows)) == (b'{"a": "],"}', b'{"b": 1}', 5)
    path.write_text(f'[{{"a": 1}}, {{"a": "{"x" * 999}"}}]')
    kept, rejected = dict(read_json_rows(path, limit=500)).values()
    assert kept == b'{"a": 1}'
    assert isinstance(rejected, Rejection)
    for broken in ('[{"a": NaN}', '[{"a": NaN}] x', '[{"a": NaN}]]'):
        path.write_text(broken)
        with pytest.raises(CurateError, match="not valid JSON"):
            list(read_json_rows(path, limit=500))
