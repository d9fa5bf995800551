"""The same rows from every kind of file, and what a run remembers of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from curate.config.ingest import Source
from curate.config.project import Config, load_config
from curate.core.errors import CurateError
from curate.ingest import hub, ingest_responses, ingest_sources
from curate.lake.lake import Lake
from tests.ingest.samples import Take, lines, native, rejected

ROWS = [native(i, reference=f"{2 * i}") for i in range(5)]


def _csv() -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(ROWS[0])
    writer.writerows([[json.dumps(v) if isinstance(v, list) else v for v in row.values()] for row in ROWS])
    return text.getvalue().encode("utf-8-sig")


def _parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


FILES: dict[str, bytes] = {
    "a.jsonl": lines(*ROWS),
    "a.ndjson": lines(*ROWS),
    "a.jsonl.gz": gzip.compress(lines(*ROWS[:2]))
    + gzip.compress(lines(*ROWS[2:])),  # two members, as `cat` makes
    "a.jsonl.zst": zstandard.compress(lines(*ROWS[:2])) + zstandard.compress(lines(*ROWS[2:])),
    "a.json": json.dumps(ROWS, indent=2).encode(),
    "lines.json": lines(*ROWS),
    "a.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "a.csv": _csv(),
    "a.csv.gz": gzip.compress(_csv()),
    "a.parquet": _parquet(),
}


def keys(lake: Lake) -> set[tuple[Any, ...]]:
    return set(
        lake.rows(
            """SELECT p.key, p.messages[1].content[1].text, p.reference, r.key, r.model, r.messages[1].content[1].text
            FROM prompts p JOIN responses r USING (prompt_id)"""
        )
    )


EXPECTED = {
    (row["id"], row["prompt"], row["reference"], each["id"], each["model"], each["text"])
    for row in ROWS
    for each in row["responses"]
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_the_same_rows(name: str, lake: Lake, take: Take) -> None:
    counts = take(name, FILES[name]).counts
    assert (counts.rows_in, counts.rows_kept) == (5, 5)
    assert keys(lake) == EXPECTED
    assert lake.rows("SELECT DISTINCT source FROM prompts") == [(name,)]


def test_the_same_rows_in_another_file_are_duplicates(lake: Lake, take: Take) -> None:
    for number, name in enumerate(FILES):
        counts = take(name, FILES[name]).counts
        assert counts.rows_duplicate == (5 if number else 0), name
    assert lake.value("SELECT count(*) FROM prompts") == 5


def test_datasets_folders(lake: Lake, take: Take, tmp_path: Path) -> None:
    one = datasets.Dataset.from_list(ROWS)
    one.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict(train=one.select([0, 1]), test=one.select([2])).save_to_disk(str(tmp_path / "both"))
    assert take("both").counts.rows_kept == 3
    found = lake.rows("SELECT split, count(*) FROM prompts GROUP BY split ORDER BY split")
    assert found == [("test", 1), ("train", 2)]
    assert take("one", name="mine").counts.rows_duplicate == 3
    assert keys(lake) == EXPECTED
    assert take("one", name="mine").skipped
    with pytest.raises(CurateError, match="has no split 'dev', only train, test"):
        take("both", split="dev")


def test_a_hub_address_says_clearly_that_it_cannot_be_reached(lake: Lake) -> None:
    with pytest.raises(CurateError, match=r"Cannot read hf://owner/name.*download the data set") as caught:
        ingest_responses(lake, [Source(source="hf://owner/name", split="train")], Config())
    assert "\n" not in str(caught.value)
    with pytest.raises(CurateError, match="is no hub address: write hf://"):
        ingest_responses(lake, [Source(source="hf://name")], Config())


def test_hub_rows_are_streamed(tmp_path: Path) -> None:
    """`datasets` reads a local folder in the same way as a hub repository."""
    (tmp_path / "train.jsonl").write_bytes(lines(*ROWS))
    seen: list[list[str]] = []
    rows = list(hub.stream_rows(str(tmp_path), None, None, "train", lambda names: seen.append(list(names))))
    assert [number for number, _ in rows] == [1, 2, 3, 4, 5]
    assert [row["id"] for _, row in rows if isinstance(row, dict)] == [row["id"] for row in ROWS]
    assert all("id" in names for names in seen)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("hf://o/n", ("o/n", None, None)),
        ("hf://o/n/c", ("o/n", "c", None)),
        ("hf://o/n@v1", ("o/n", None, "v1")),
        ("hf://o/n/c@refs/pr/1", ("o/n", "c", "refs/pr/1")),
    ],
)
def test_hub_addresses(
    address: str, expected: tuple[str | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []
    monkeypatch.setattr(
        hub, "_resolve_revision", lambda name, revision: asked.append((name, revision)) or "sha"
    )
    (part,) = hub.list_splits(address, "train")
    name, _, revision = expected
    assert asked == [(name, revision)]
    assert (part.name, part.split, part.revision) == (name, "train", "sha")


def test_wrong_parquet_columns_are_one_error(take: Take) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"prompt": ["x"], "good": ["y"], "bad": ["z"]}), sink)
    message = (
        r"has the columns `bad`, `good`, `prompt`, but format 'trl-preference' .* needs `chosen`, `rejected`"
    )
    with pytest.raises(CurateError, match=message):
        take("x.parquet", sink.getvalue(), format="trl-preference")
    counts = take("x.parquet", format="trl-preference", fields={"chosen": "good", "rejected": "bad"}).counts
    assert counts.rows_kept == 1


def test_nulls_and_nul_characters_in_parquet(lake: Lake, take: Take) -> None:
    sink = io.BytesIO()
    rows = [*ROWS, native(7, prompt="a\0b"), {**native(8), "id": None}]
    pq.write_table(pa.Table.from_pylist(rows), sink)
    assert take("x.parquet", sink.getvalue()).counts.rows_kept == 5
    assert rejected(lake) == [
        (6, "`prompt` holds a NUL character, which the lake's files cannot store."),
        (7, "`id` is null, but should be a string."),
    ]


def test_an_unchanged_input_is_not_read_again(lake: Lake, take: Take, tmp_path: Path) -> None:
    assert not take("a.jsonl", lines(*ROWS)).skipped
    snapshot = lake.snapshot()
    again = take("a.jsonl")
    assert again.skipped
    assert again.counts.rows_in == 0
    assert lake.snapshot() == snapshot
    os.utime(tmp_path / "a.jsonl", (1, 1))
    assert take("a.jsonl").counts.rows_duplicate == 5
    assert take("a.jsonl", name="other settings").counts.rows_duplicate == 5


def test_mended_rows_leave_the_quarantine(lake: Lake, take: Take) -> None:
    content = lines(*ROWS, native(7, responses=[]), native(8), {}, native(9), {})
    assert take("a.jsonl", content, chunk=2).counts.rows_dropped == 3
    counts = take("a.jsonl", lines(*ROWS, native(7), native(8), {}), chunk=2).counts
    assert (counts.rows_kept, counts.rows_duplicate, counts.rows_dropped) == (1, 6, 1)
    assert [line for line, _ in rejected(lake)] == [8]


def test_globs_and_the_configuration(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number, row in enumerate(ROWS):
        (tmp_path / "data" / f"{number}.jsonl").write_bytes(lines(row))
    statement = {"prompt": "q0", "a": "r0", "b": "r1", "annotator": "x", "kind": "human", "winner": "b"}
    (tmp_path / "said.jsonl").write_bytes(lines(statement))
    (tmp_path / "curate.yaml").write_text(
        "ingest:\n- {source: said.jsonl, kind: judgments}\n- {source: 'data/*.jsonl', split: train}\n"
    )
    config = load_config(tmp_path / "curate.yaml")
    assert ingest_sources(lake, config).counts.rows_kept == 6
    parts = [part for (part,) in lake.rows("SELECT part FROM runs ORDER BY started_at, part")]
    assert parts == [*(f"data/{number}.jsonl" for number in range(5)), "said.jsonl"]
    assert lake.rows("SELECT DISTINCT split FROM prompts") == [("train",)]
    assert lake.value("SELECT count(*) FROM judgments") == 1
    assert ingest_sources(lake, config).skipped


def test_missing_files_are_found_before_anything_is_read(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(*ROWS))
    sources = [Source(source=str(tmp_path / name)) for name in ("a.jsonl", "missing.jsonl")]
    with pytest.raises(CurateError, match="There is no file"):
        ingest_responses(lake, sources, Config())
    assert lake.value("SELECT count(*) FROM prompts") == 0


def test_progress_is_told(lake: Lake, tmp_path: Path) -> None:
    import contextlib
    from collections.abc import Iterator

    from curate.core.progress import Advance

    told: list[Any] = []

    @contextlib.contextmanager
    def track(label: str, total: int | None) -> Iterator[Advance]:
        told.append((label, total))
        yield told.append

    path = tmp_path / "a.parquet"
    path.write_bytes(FILES["a.parquet"])
    ingest_responses(lake, [Source(source=str(path), chunk=2)], Config(), track=track)
    assert told == [(f"ingest {path}", 5), 2, 2, 1]
