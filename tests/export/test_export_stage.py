"""The export as a whole: what it selects, that it can be made again, and that it destroys nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.data.conversation import text_answer
from curate.data.json_columns import list_rows
from curate.data.preference_pairs import read_pairs
from curate.export import write_export, write_exports
from curate.export.formats import list_row_types
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.records import Message, Part, Prompt, Response, plain_text
from tests.conftest import table

CONFIG = Config()


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def manifest_of(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return document


def rows_of(folder: Path, name: str = "train") -> list[dict[str, Any]]:
    return pl.read_parquet(folder / "data" / f"{name}-*.parquet").to_dicts()


def conversations_of(folder: Path) -> list[dict[str, Any]]:
    return [
        row for file in sorted(folder.glob("data/train-*.parquet")) for row in list_rows(pq.read_table(file))
    ]


def set_pairs(lake: Lake, assignments: str, where: str) -> None:
    lake.rows(f"UPDATE lake.preferences SET {assignments} WHERE {where}")


def test_pairs_say_which_response_is_better(labelled_lake: Lake, tmp_path: Path) -> None:
    result = write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "out")))
    rows = rows_of(tmp_path / "out")
    assert result.rows == len(rows) == 72
    for row in rows:
        assert row["chosen_model"] < row["rejected_model"]  # the sample's truth
        assert row["strength"] > 0
        assert row["confidence"] == pytest.approx(0.5 + row["strength"] / 10)
        (prompt,), (chosen,), (rejected,) = row["prompt"], row["chosen"], row["rejected"]
        assert prompt["role"] == "user"
        assert prompt["content"].startswith("Question ")
        assert chosen["role"] == rejected["role"] == "assistant"
        number = int(row["chosen_model"][-1])
        assert chosen["content"].count("Let me explain.") == number
    texts = dict(labelled_lake.rows("SELECT response_id, messages[1].content[1].text FROM responses"))
    assert all(texts[row["chosen_id"]] == row["chosen"][0]["content"] for row in rows)
    assert all(texts[row["rejected_id"]] == row["rejected"][0]["content"] for row in rows)


def test_rankings_have_one_row_per_prompt(labelled_lake: Lake, tmp_path: Path) -> None:
    labelled_lake.rows("UPDATE lake.rankings SET rank = 1 WHERE rank = 2")
    write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "out"), format="ranking"))
    rows = rows_of(tmp_path / "out")
    assert [row["prompt_id"] for row in rows] == sorted({row["prompt_id"] for row in rows})
    assert len(rows) == 12
    for row in rows:
        ids = [response["response_id"] for response in row["responses"]]
        assert ids == sorted(ids)
        by_model = {each["model"]: rank for each, rank in zip(row["responses"], row["rankings"], strict=True)}
        assert by_model == {"model-0": 1, "model-1": 1, "model-2": 3, "model-3": 4}
        assert sorted(row["scores"]) == [-3, -2, -1, 0]


def test_raw_tables_hold_every_row_and_no_run(labelled_lake: Lake, tmp_path: Path) -> None:
    write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "out"), format="parquet"))
    for name in ("prompts", "responses", "judgments", "preferences", "rankings", "annotators"):
        written = pl.read_parquet(tmp_path / "out" / "data" / f"{name}-*.parquet")
        assert written.height == labelled_lake.value(f"SELECT count(*) FROM {name}"), name
        assert "run_id" not in written.columns
    judgments = pl.read_parquet(tmp_path / "out" / "data" / "judgments-*.parquet")
    expected = labelled_lake.frame(
        "SELECT * EXCLUDE (run_id, part) FROM judgments ORDER BY prompt_id, judgment_id"
    )
    assert judgments.equals(expected)


def test_raw_tables_need_no_aggregation(sample_lake: Lake, tmp_path: Path) -> None:
    write_export(sample_lake, CONFIG, ExportEntry(path=str(tmp_path / "out"), format="parquet"))
    assert rows_of(tmp_path / "out", "preferences") == []
    assert len(rows_of(tmp_path / "out", "judgments")) == 432


@pytest.mark.parametrize("form", ["trl-preference", "ranking"])
def test_training_formats_need_preferences(sample_lake: Lake, tmp_path: Path, form: Any) -> None:
    entry = ExportEntry(path=str(tmp_path / "out"), format=form)
    with pytest.raises(CurateError, match="run `curate aggregate` first"):
        write_export(sample_lake, CONFIG, entry)
    run = StageRun(sample_lake, "aggregate", config_hash="c")
    with run.chunk("iteration-0", fingerprint="f", status="done"):
        pass  # which has found no pair
    with pytest.raises(CurateError, match="no prompt has two responses that anybody has compared"):
        write_export(sample_lake, CONFIG, entry)


def test_what_is_left_out_is_counted_by_reason(labelled_lake: Lake, tmp_path: Path) -> None:
    pairs = labelled_lake.rows("SELECT prompt_id, response_a, response_b FROM preferences ORDER BY ALL")
    changes = {
        "status = 'discarded'": pairs[0:3],
        "outcome = 'tie'": pairs[3:7],
        "status = 'routed'": pairs[7:9],
        "confidence = 0.51": pairs[9:10],
        "confidence = 0.52, status = 'verified'": pairs[10:11],
        "status = 'flipped'": pairs[11:12],
        "confidence = 0.9": pairs[11:],
    }
    for assignment, chosen in changes.items():
        ids = ", ".join(f"('{p}', '{a}', '{b}')" for p, a, b in chosen)
        set_pairs(labelled_lake, assignment, f"(prompt_id, response_a, response_b) IN ({ids})")
    entry = ExportEntry(path=str(tmp_path / "out"), min_confidence=0.55)
    result = write_export(labelled_lake, CONFIG, entry)
    assert result.counts.dropped == {
        "discarded": 3,
        "tie": 4,
        "waits for people": 2,
        "confidence below min_confidence": 1,
    }
    rows = rows_of(tmp_path / "out")
    assert len(rows) == result.counts.rows_kept == 72 - 10
    assert {row["confidence"] for row in rows} == {
        0.52,
        0.9,
    }  # a verified pair stays, whatever its confidence
    assert manifest_of(tmp_path / "out")["counts"]["dropped"] == result.counts.dropped
    with_routed = write_export(
        labelled_lake, CONFIG, entry.model_copy(update={"path": str(tmp_path / "more"), "routed": True})
    )
    assert with_routed.counts.rows_kept == 64


def test_equal_texts_and_other_splits_are_left_out(labelled_lake: Lake, tmp_path: Path) -> None:
    first = labelled_lake.value("SELECT min(prompt_id) FROM prompts")
    labelled_lake.rows(f"UPDATE lake.prompts SET split = 'test' WHERE prompt_id <> '{first}'")
    labelled_lake.rows(f"UPDATE lake.prompts SET split = 'train' WHERE prompt_id = '{first}'")
    labelled_lake.rows(
        "UPDATE lake.responses SET messages = (SELECT messages FROM responses WHERE model = 'model-0' "
        f"AND prompt_id = '{first}') WHERE model = 'model-1' AND prompt_id = '{first}'"
    )
    result = write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "out"), split="train"))
    assert result.counts.dropped == {"both responses have the same text": 1, "in another split": 66}
    assert result.rows == 5


def test_rankings_are_filtered_by_their_pairs(labelled_lake: Lake, tmp_path: Path) -> None:
    prompts = [row[0] for row in labelled_lake.rows("SELECT prompt_id FROM prompts ORDER BY 1")]
    set_pairs(labelled_lake, "status = 'discarded'", f"prompt_id = '{prompts[0]}'")
    set_pairs(labelled_lake, "confidence = 0.5", f"prompt_id = '{prompts[1]}'")
    set_pairs(labelled_lake, "confidence = 0.5, status = 'verified'", f"prompt_id = '{prompts[2]}'")
    labelled_lake.rows(f"UPDATE lake.rankings SET rank = 1 WHERE prompt_id = '{prompts[3]}'")
    entry = ExportEntry(path=str(tmp_path / "out"), format="ranking", min_confidence=0.6)
    result = write_export(labelled_lake, CONFIG, entry)
    assert result.counts.dropped == {"discarded": 1, "confidence below min_confidence": 1, "tie": 1}
    assert {row["prompt_id"] for row in rows_of(tmp_path / "out")} == {prompts[2], *prompts[4:]}


def test_an_empty_export_is_refused_with_the_reasons(labelled_lake: Lake, tmp_path: Path) -> None:
    entry = ExportEntry(path=str(tmp_path / "out"), min_confidence=0.99)
    with pytest.raises(CurateError, match="confidence below min_confidence: 72"):
        write_export(labelled_lake, CONFIG, entry)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["trl-preference", "ranking", "parquet"])
def test_a_snapshot_exports_the_same_bytes_for_ever(
    labelled_lake: Lake, tmp_path: Path, form: Any, aggregate: Callable[..., None]
) -> None:
    snapshot = labelled_lake.snapshot()
    entry = ExportEntry(path=str(tmp_path / "one"), format=form, license="MIT", jsonl=True)
    write_export(labelled_lake, CONFIG, entry)
    aggregate(labelled_lake, iteration=1)
    labelled_lake.rows("DELETE FROM lake.judgments WHERE annotator_id = 'random'")
    with Lake.open(labelled_lake.location, snapshot=snapshot) as past:
        write_export(past, CONFIG, entry.model_copy(update={"path": str(tmp_path / "two")}))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    write_export(labelled_lake, CONFIG, entry.model_copy(update={"path": str(tmp_path / "three")}))
    assert files_of(tmp_path / "one") != files_of(tmp_path / "three")


def test_equal_content_gives_equal_rows_whatever_the_runs(
    labelled_lake: Lake, tmp_path: Path, aggregate: Callable[..., None]
) -> None:
    write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "one")))
    aggregate(labelled_lake, run_id="another run")
    write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "two")))
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    assert one["data/train-00000.parquet"] == two["data/train-00000.parquet"]
    assert manifest_of(tmp_path / "one")["tables"] == manifest_of(tmp_path / "two")["tables"]


def test_the_manifest_names_every_file_and_row(labelled_lake: Lake, tmp_path: Path) -> None:
    write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "out"), jsonl=True))
    manifest, files = manifest_of(tmp_path / "out"), files_of(tmp_path / "out")
    named = {file["path"]: file for file in manifest["files"]}
    assert set(files) - {"manifest.json"} == set(named)
    for path, file in named.items():
        assert hashlib.sha256(files[path]).hexdigest() == file["sha256"]
        assert len(files[path]) == file["bytes"]
    lines = files["jsonl/train-00000.jsonl"]
    assert [json.loads(line) for line in lines.splitlines()] == rows_of(tmp_path / "out")
    assert manifest["tables"]["train"] == {
        "rows": 72,
        "row_hash": hashlib.blake2b(lines, digest_size=16).hexdigest(),
    }
    assert manifest["config_hash"] == CONFIG.digest


def test_done_work_is_not_done_again(
    labelled_lake: Lake, tmp_path: Path, aggregate: Callable[..., None]
) -> None:
    entries = [ExportEntry(path=str(tmp_path / "out"))]
    first = write_exports(labelled_lake, CONFIG, entries=entries)
    assert (first.skipped, first.counts.rows_in, first.counts.rows_kept) == (False, 72, 72)
    runs, inode = labelled_lake.value("SELECT count(*) FROM runs"), (tmp_path / "out").stat().st_ino
    aggregate(labelled_lake, run_id="the same again")
    assert write_exports(labelled_lake, CONFIG, entries=entries).skipped
    assert labelled_lake.value("SELECT count(*) FROM runs") == runs
    assert (tmp_path / "out").stat().st_ino == inode
    set_pairs(labelled_lake, "confidence = 0.7", "confidence > 0.7")
    assert not write_exports(labelled_lake, CONFIG, entries=entries).skipped
    assert (
        labelled_lake.rows(
            "SELECT part, rows_in, rows_kept, status FROM runs WHERE stage = 'export' ORDER BY started_at"
        )
        == [(str(tmp_path / "out"), 72, 72, "done")] * 2
    )


def test_a_damaged_export_is_made_again(labelled_lake: Lake, tmp_path: Path) -> None:
    entry = ExportEntry(path=str(tmp_path / "out"))
    write_export(labelled_lake, CONFIG, entry)
    (tmp_path / "out" / "data" / "train-00000.parquet").write_bytes(b"cut")
    assert not write_export(labelled_lake, CONFIG, entry).skipped
    assert len(rows_of(tmp_path / "out")) == 72


def test_no_export_goes_among_the_files_of_the_lake(labelled_lake: Lake) -> None:
    data = Path(labelled_lake.location.data)
    before = files_of(data)
    for path in (data, data / "main" / "pairs"):
        with pytest.raises(CurateError, match="would lie in the folder of the lake's own data"):
            write_export(labelled_lake, CONFIG, ExportEntry(path=str(path)))
    assert files_of(data) == before


def test_no_entries_is_nothing_to_do(labelled_lake: Lake) -> None:
    summary = write_exports(labelled_lake, CONFIG)
    assert (summary.skipped, summary.note) == (True, "no exports")


def test_an_unknown_iteration_is_named(labelled_lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="iteration 3, but the lake has 0"):
        write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "out"), iteration=3))


def test_the_last_iteration_is_taken(
    labelled_lake: Lake, tmp_path: Path, aggregate: Callable[..., None]
) -> None:
    aggregate(labelled_lake, iteration=1)
    write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "last")))
    write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "first"), iteration=0))
    assert {row["iteration"] for row in rows_of(tmp_path / "last")} == {1}
    assert {row["iteration"] for row in rows_of(tmp_path / "first")} == {0}


def test_rows_go_over_many_groups_and_shards(
    labelled_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "one"), jsonl=True))
    monkeypatch.setattr("curate.export.shards.ROWS_PER_GROUP", 10)
    monkeypatch.setattr("curate.export.shards.GROUPS_PER_SHARD", 3)
    write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / "many"), jsonl=True))
    assert rows_of(tmp_path / "many") == rows_of(tmp_path / "one")
    manifests = manifest_of(tmp_path / "one"), manifest_of(tmp_path / "many")
    assert manifests[0]["tables"] == manifests[1]["tables"]
    assert [file["rows"] for file in manifests[1]["files"]] == [30, 30, 30, 30, 12, 12, None, None]


@pytest.fixture
def pictured_lake(lake: Lake, aggregate: Callable[..., None]) -> Lake:
    """One prompt with an image, and two answers to it."""
    content = (Part(type="image", uri="a.png", sha256="0f"), Part(text="What is it?"))
    prompt = Prompt(prompt_id="p", messages=(Message(role="user", content=content),), source="s")
    responses = [
        Response(response_id=f"r{i}", prompt_id="p", model=f"m-{i}", messages=text_answer(f"{i}"))
        for i in range(2)
    ]
    with lake.write("x") as writer:
        writer.append("prompts", table([prompt]))
        writer.append("responses", table([*responses]))
    aggregate(lake)
    return lake


@pytest.mark.parametrize("form", ["trl-preference", "ranking"])
def test_images_stay_in_their_places(pictured_lake: Lake, tmp_path: Path, form: Any) -> None:
    entry = ExportEntry(path=str(tmp_path / "out"), format=form, jsonl=True)
    write_export(pictured_lake, CONFIG, entry)
    (row,) = conversations_of(tmp_path / "out")
    (turn,) = row["prompt"]
    assert [part["type"] for part in turn["content"]] == ["image", "text"]
    assert (turn["content"][0]["uri"], turn["content"][0]["sha256"]) == ("a.png", "0f")
    assert row["images"] == ["a.png"]
    (line,) = (tmp_path / "out" / "jsonl" / "train-00000.jsonl").read_text().splitlines()
    list_row_types(conversations=True)[form].model_validate_json(line)
    assert list(row) == list(list_row_types(conversations=True)[form].model_fields)
    assert json.loads(line) == row
    assert write_export(pictured_lake, CONFIG, entry).skipped
    for part in ("data", "jsonl"):
        pairs = read_pairs(tmp_path / "out" / part)
        (message,) = pairs.contexts[0]
        assert (message.role, plain_text(message.content)) == ("user", "[image a.png]\nWhat is it?")
        assert [(part.type, part.uri, part.sha256) for part in message.content] == [
            ("image", "a.png", "0f"),
            ("text", None, None),
        ]
        assert sorted(pairs.texts) == ["0", "1"]


def test_a_path_is_relative_to_the_configuration(labelled_lake: Lake, tmp_path: Path) -> None:
    config = Config()
    object.__setattr__(config, "_folder", tmp_path)
    result = write_export(labelled_lake, config, ExportEntry(path="exports/pairs"))
    assert result.path == tmp_path / "exports" / "pairs"
    assert labelled_lake.value("SELECT part FROM runs") == "exports/pairs"


def test_quotes_in_paths_are_no_trouble(
    sample_lake: Lake, tmp_path: Path, aggregate: Callable[..., None]
) -> None:
    aggregate(sample_lake)
    write_export(sample_lake, CONFIG, ExportEntry(path=str(tmp_path / 'it\'s "quoted"')))
    assert len(rows_of(tmp_path / 'it\'s "quoted"')) == 72


@pytest.mark.parametrize(
    "form",
    [
        "trl-preference",
        "tree-preference",
        "ranking",
        "best-of-n",
        "trl-unpaired",
        "annotated-pairs",
        "annotator-votes",
        "verl",
        "parquet",
    ],
)
def test_slices_change_no_byte(
    labelled_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    for name, size, most in (("whole", 1_000, 0), ("sliced", 10, -1), ("ids", 10, 1_000_000)):
        monkeypatch.setattr("curate.export.slices._BYTES_AT_ONCE", most)
        monkeypatch.setattr("curate.export.slices.ROWS_PER_SLICE", size)
        write_export(labelled_lake, CONFIG, ExportEntry(path=str(tmp_path / name), format=form))
    whole, sliced = files_of(tmp_path / "whole"), files_of(tmp_path / "sliced")
    ids = files_of(tmp_path / "ids")
    assert whole.keys() == sliced.keys() == ids.keys()
    rows = {path: data for path, data in whole.items() if path.startswith("data/")}  # pages name the snapshot
    assert rows
    assert {path: sliced[path] for path in rows} == {path: ids[path] for path in rows} == rows


def test_slices_go_along_the_batches_of_prompts(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However an export is cut, it has one file a batch of prompts, and new prompts stand in files of their own."""
    message = (
        "[{{'role': '{}', 'content': [{{'type': 'text', 'text': {}, 'uri': NULL, 'sha256': NULL, 'mime_type': NULL}}], "
        "'reasoning': NULL, 'tool_calls': [], 'tool_call_id': NULL, 'name': NULL, 'is_target': NULL}}]"
    )
    for first, last in ((0, 4_096), (4_096, 5_120)):  # two whole batches, and half of one
        numbers = f"range({first}, {last}) AS numbers (i)"
        lake.rows(
            f"INSERT INTO lake.prompts BY NAME SELECT md5('p' || i) AS prompt_id, "
            f"{message.format('user', 'i::VARCHAR')} AS messages, 'made' AS source, i::VARCHAR AS key FROM {numbers}"
        )
        lake.rows(
            f"INSERT INTO lake.responses BY NAME SELECT md5('r' || i || j) AS response_id, md5('p' || i) AS prompt_id, "
            f"'m' || j AS model, {message.format('assistant', 'i || chr(10) || j')} AS messages "
            f"FROM {numbers}, range(2) AS models (j)"
        )
        lake.rows(
            "INSERT INTO lake.preferences SELECT a.prompt_id, a.response_id, b.response_id, 0.8, 1.4, 'a', 'accepted', "
            "0.8, 6, 0.0, NULL, 0, 'r' FROM responses AS a JOIN responses AS b ON a.prompt_id = b.prompt_id AND "
            "a.response_id < b.response_id JOIN prompts ON prompts.prompt_id = a.prompt_id "
            f"WHERE prompts.key::INT >= {first}"
        )
        monkeypatch.setattr("curate.export.slices._BYTES_AT_ONCE", -1)
        for name, size in (("whole", 100_000), ("sliced", 700)):
            monkeypatch.setattr("curate.export.slices.ROWS_PER_SLICE", size)
            write_export(lake, CONFIG, ExportEntry(path=str(tmp_path / f"{name}-{last}")))
        whole, sliced = files_of(tmp_path / f"whole-{last}"), files_of(tmp_path / f"sliced-{last}")
        paths = [path for path in whole if path.startswith("data/")]
        assert len(paths) == -(-last // 2_048)
        assert {path: sliced[path] for path in paths} == {path: whole[path] for path in paths}
    before, after = files_of(tmp_path / "sliced-4096"), files_of(tmp_path / "sliced-5120")
    for path in ("data/train-00000.parquet", "data/train-00001.parquet"):
        assert after[path] == before[path]
