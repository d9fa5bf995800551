"""What each consumer is given: rows as it documents them, of the labels that the lake has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest
import yaml

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.data.json_columns import list_rows
from curate.data.preference_pairs import read_pairs
from curate.evaluate.benchmark_formats import BENCHMARK_FORMATS
from curate.evaluate.benchmark_reader import read_benchmark
from curate.export import write_export
from curate.export.consumers import CONSUMERS, find_consumer
from curate.lake.lake import Lake

SCHEMAS = yaml.safe_load((Path(__file__).parent / "consumer_schemas.yaml").read_text(encoding="utf-8"))
WITHOUT_TRANSCRIPTS = [name for name, consumer in CONSUMERS.items() if consumer.format != "judge-rl"]


def write(lake: Lake, out: Path, format: Any, **settings: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    entry = ExportEntry.model_validate({"path": str(out), "format": format, **settings})
    write_export(lake, Config(), entry)
    files = sorted((out / "data").glob("*.parquet"))
    rows = [row for file in files for row in list_rows(pq.read_table(file))]
    return rows, json.loads((out / "manifest.json").read_text(encoding="utf-8"))


def write_for(
    lake: Lake, out: Path, consumer: str, **settings: Any
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    found = find_consumer(consumer)
    return write(lake, out, found.choice, **{**found.settings, "min_confidence": 0.5, **settings})


@pytest.mark.parametrize("consumer", WITHOUT_TRANSCRIPTS)
def test_rows_are_as_the_consumer_documents_them(labelled_lake: Lake, tmp_path: Path, consumer: str) -> None:
    found = find_consumer(consumer)
    options = {"kind": "inspect", "model": "model-0"} if consumer == "inspect" else found.choice
    rows, manifest = write(
        labelled_lake, tmp_path / "out", options, **{**found.settings, "min_confidence": 0.5}
    )
    assert rows
    for row in rows:
        jsonschema.validate(row, SCHEMAS[found.format])
    counts = manifest["counts"]
    assert counts["in"] == counts["kept"] + sum(counts["dropped"].values())
    listed = {file["path"] for file in manifest["files"]} | {"manifest.json"}
    present = {
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert present == listed


def test_each_pair_is_the_same_in_every_shape(labelled_lake: Lake, tmp_path: Path) -> None:
    pairs = {
        (
            row["prompt"][0]["content"],
            row["chosen"][0]["content"],
            row["rejected"][0]["content"],
            row["margin"],
        )
        for row in write_for(labelled_lake, tmp_path / "trl", "trl")[0]
    }
    assert len(pairs) == 72
    without_margin = {pair[:3] for pair in pairs}
    swift, _ = write_for(labelled_lake, tmp_path / "swift", "ms-swift")
    assert {
        (
            row["messages"][0]["content"],
            row["messages"][1]["content"],
            row["rejected_response"],
            row["margin"],
        )
        for row in swift
    } == pairs
    factory, _ = write_for(labelled_lake, tmp_path / "factory", "llama-factory")
    axolotl, _ = write_for(labelled_lake, tmp_path / "axolotl", "axolotl")
    for rows in (factory, axolotl):
        assert {
            (row["messages"][0]["content"], row["chosen"]["content"], row["rejected"]["content"])
            for row in rows
        } == without_margin
    nemo, _ = write_for(labelled_lake, tmp_path / "nemo", "nemo-rl")
    assert {
        (row["context"][0]["content"], *(each["completion"][0]["content"] for each in row["completions"]))
        for row in nemo
    } == without_margin
    bench, _ = write_for(labelled_lake, tmp_path / "bench", "reward-bench")
    implicit, _ = write(
        labelled_lake, tmp_path / "implicit", {"kind": "trl-preference", "prompt": "implicit"}
    )
    for rows in (bench, implicit):
        assert {
            (row["chosen"][0]["content"], row["chosen"][1]["content"], row["rejected"][1]["content"])
            for row in rows
        } == without_margin


def test_a_margin_speaks_for_the_label_or_is_none(labelled_lake: Lake, tmp_path: Path) -> None:
    labelled_lake.rows(
        "UPDATE lake.preferences SET strength = -strength, status = 'verified' WHERE confidence > 0.75"
    )
    rows, _ = write_for(labelled_lake, tmp_path / "out", "trl")
    assert {row["margin"] for row in rows if row["strength"] < 0} == {0.0}
    assert all(row["margin"] == row["strength"] for row in rows if row["strength"] > 0)


@pytest.mark.parametrize("consumer", ["trl", "reward-bench", "reward-bench-2"])
def test_an_export_is_a_benchmark(labelled_lake: Lake, tmp_path: Path, consumer: str) -> None:
    rows, _ = write_for(labelled_lake, tmp_path / "out", consumer, jsonl=True)
    (file,) = (tmp_path / "out" / "data").glob("*.parquet")
    for source in ("out", str(file)):
        benchmark = read_benchmark(source, folder=tmp_path)
        assert len(benchmark.items) == len(rows)
        assert not benchmark.dropped


def test_a_margin_of_others_is_a_strength(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text(
        '{"prompt": "q", "chosen": "good", "rejected": "bad", "margin": 2.0}\n'
    )
    assert read_pairs(tmp_path / "pairs.jsonl").strength.tolist() == [2.0]


def test_single_answers_are_good_or_bad_and_what_is_neither_is_counted(
    labelled_lake: Lake, tmp_path: Path
) -> None:
    rows, manifest = write_for(labelled_lake, tmp_path / "out", "trl-kto")
    assert {(row["model"], row["label"]) for row in rows} == {("model-0", True), ("model-3", False)}
    assert len({row["response_id"] for row in rows}) == len(rows) == 24
    (lost,) = manifest["losses"].values()
    assert lost == 24
    assert "neither good nor bad" in (tmp_path / "out" / "README.md").read_text()
    for other in ("llama-factory-kto", "ms-swift-kto"):
        assert len(write_for(labelled_lake, tmp_path / other, other)[0]) == 24


def test_best_and_worst_and_best_alone(labelled_lake: Lake, tmp_path: Path) -> None:
    rows, manifest = write_for(labelled_lake, tmp_path / "west", "west-of-n")
    assert {(row["chosen_model"], row["rejected_model"]) for row in rows} == {("model-0", "model-3")}
    assert len(rows) == 12
    assert manifest["counts"]["dropped"] == {"not the best beside the worst": 60}
    labelled_lake.rows("UPDATE lake.rankings SET rank = 1, score = 0.0 WHERE rank = 2")
    best, manifest = write_for(labelled_lake, tmp_path / "best", "trl-sft")
    assert len(best) == 12
    assert manifest["losses"] == {"another response as good as the best": 12}


def test_pairs_of_the_policy_alone(labelled_lake: Lake, tmp_path: Path) -> None:
    rows, manifest = write_for(labelled_lake, tmp_path / "out", "trl", models=["model-0", "model-2"])
    assert {(row["chosen_model"], row["rejected_model"]) for row in rows} == {("model-0", "model-2")}
    assert manifest["counts"]["dropped"] == {"by another model": 60}
    with pytest.raises(CurateError, match="`models` chooses among pairs"):
        write_for(labelled_lake, tmp_path / "best", "trl-sft", models=["model-0"])


def test_a_benchmark_has_only_what_the_panel_is_sure_of(labelled_lake: Lake, tmp_path: Path) -> None:
    labelled_lake.rows(
        "UPDATE lake.preferences SET outcome = 'tie' WHERE prompt_id = (SELECT min(prompt_id) FROM lake.preferences)"
    )
    rows, manifest = write(labelled_lake, tmp_path / "out", {"kind": "reward-bench-2", "responses": 3})
    assert len(rows) == 11
    assert manifest["counts"]["dropped"] == {"the best response does not win against every other": 1}
    assert {tuple(row["models"]) for row in rows} == {("model-0", "model-1", "model-2")}
    reader = BENCHMARK_FORMATS.find("reward-bench-2", where="", folder=Path()).type
    item = reader("reward-bench-2").read_row(rows[0], "key")
    assert item.tiers == (1, 2, 2)
    with pytest.raises(CurateError, match="confidence below min_confidence: 11"):
        write(labelled_lake, tmp_path / "sure", "reward-bench-2", min_confidence=0.99)


def test_votes_of_each_annotator(labelled_lake: Lake, tmp_path: Path) -> None:
    rows, manifest = write(labelled_lake, tmp_path / "out", "annotator-votes")
    assert {row["annotator_id"] for row in rows} == {"good", "fair", "random"}
    assert manifest["counts"]["in"] == 3 * 72
    right = [row["chosen_model"] < row["rejected_model"] for row in rows if row["annotator_id"] == "good"]
    assert sum(right) / len(right) > 0.9
    assert set(manifest["counts"]["dropped"]) == {"says both"}


def test_documents_beside_the_tables(labelled_lake: Lake, tmp_path: Path) -> None:
    write_for(labelled_lake, tmp_path / "icai", "icai")
    document = json.loads((tmp_path / "icai" / "annotated_pairs.json").read_text())
    assert document["metadata"]["version"] == "2.0"
    assert document["metadata"]["default_annotator"] in document["annotators"]
    assert {about["name"] for about in document["annotators"].values()} == {
        "curate_label",
        "good",
        "fair",
        "random",
    }
    assert len(document["comparisons"]) == 72
    for comparison in document["comparisons"]:
        assert set(comparison["annotations"]) == set(document["annotators"])

    write_for(labelled_lake, tmp_path / "argilla", "argilla")
    assert len(json.loads((tmp_path / "argilla" / "records.json").read_text())) == 72
    settings = json.loads((tmp_path / "argilla" / ".argilla" / "settings.json").read_text())
    assert [question["name"] for question in settings["questions"]] == ["preferred"]

    write(labelled_lake, tmp_path / "inspect", {"kind": "inspect", "model": "model-1", "value": "rank"})
    lines = [json.loads(line) for line in (tmp_path / "inspect" / "train.jsonl").read_text().splitlines()]
    assert {line["id"] for line in lines} == {f"q{number}" for number in range(12)}
    assert {line["value"] for line in lines} == {2.0}

    write_for(labelled_lake, tmp_path / "factory", "llama-factory", splits={"train": 0.5, "test": 0.5})
    info = json.loads((tmp_path / "factory" / "dataset_info.json").read_text())
    assert set(info) == {"train", "test"}
    assert info["train"]["ranking"] is True


def test_what_a_sample_of_inspect_cannot_be_told_from_is_refused(labelled_lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="several responses of one sample"):
        write_for(labelled_lake, tmp_path / "out", "inspect")
    assert not (tmp_path / "out").exists()


def test_an_unknown_consumer_is_named_with_its_neighbour() -> None:
    with pytest.raises(CurateError, match="did you mean llama-factory"):
        find_consumer("lama-factory")


@pytest.mark.parametrize("form", ["verl", "annotator-votes", "reward-bench-2"])
def test_what_a_filter_drops_is_left_out(labelled_lake: Lake, tmp_path: Path, form: str) -> None:
    drop(labelled_lake, "SELECT 'prompt', prompt_id, prompt_id FROM lake.prompts WHERE key = 'q3'")
    _, manifest = write(labelled_lake, tmp_path / "out", form)
    assert manifest["counts"]["dropped"]["filter length"] > 0


@pytest.mark.parametrize("form", ["ranking", "best-of-n"])
def test_a_ranking_is_without_the_responses_that_a_filter_drops(
    labelled_lake: Lake, tmp_path: Path, form: str
) -> None:
    drop(
        labelled_lake, "SELECT 'response', response_id, prompt_id FROM lake.responses WHERE model = 'model-0'"
    )
    rows, _ = write(labelled_lake, tmp_path / "out", form)
    models = (
        {row["model"] for row in rows}
        if form == "best-of-n"
        else {m["model"] for r in rows for m in r["responses"]}
    )
    assert models == ({"model-1"} if form == "best-of-n" else {"model-1", "model-2", "model-3"})


def drop(lake: Lake, items: str) -> None:
    """Decide that a filter drops items (target, id, prompt_id)."""
    lake.rows(
        "INSERT INTO lake.filter_decisions BY NAME SELECT 'length' AS \"filter\", 'r' AS revision, target, item_id, "
        "prompt_id, 'drop' AS action, 'too long' AS reason, 'r' AS run_id "
        f"FROM ({items}) AS items (target, item_id, prompt_id)"
    )
