"""What cards and croissant.json say: in the hub's words, readable by `datasets`, and never broken by data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.config.validation import validate_options
from curate.core.errors import CurateError
from curate.export import write_export
from curate.export.hub_features import list_features
from curate.export.rows import PreferenceConversationRow, RankingConversationRow, RankingRow, TrlPreferenceRow
from curate.lake.lake import Lake
from curate.records import TABLES, arrow_schema


def read_front(folder: Path) -> tuple[dict[str, Any], str]:
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


@pytest.mark.parametrize(
    "record",
    [TrlPreferenceRow, PreferenceConversationRow, RankingRow, RankingConversationRow, *TABLES.values()],
    ids=lambda record: record.__name__,
)
def test_features_are_those_that_datasets_writes(record: Any) -> None:
    import datasets

    schema = arrow_schema(record)
    assert list_features(schema) == datasets.Features.from_arrow_schema(schema)._to_yaml_list()


def test_front_matter_in_the_words_of_the_hub(export: Path) -> None:
    import datasets
    from huggingface_hub import DatasetCardData

    front, text = read_front(export)
    assert front["annotations_creators"] == ["machine-generated"]
    assert front["language_creators"] == ["found", "machine-generated"]
    assert front["source_datasets"] == ["original"]
    assert front["size_categories"] == ["n<1K"]
    assert front["task_categories"] == ["text-generation"]
    assert front["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}
    ]
    (info,) = front["dataset_info"]
    assert info["splits"] == [{"name": "train", "num_bytes": info["dataset_size"], "num_examples": 72}]
    assert info["dataset_size"] > 72 * 100
    assert info["download_size"] == (export / "data" / "train-00000.parquet").stat().st_size
    assert DatasetCardData(**front).to_dict()["pretty_name"] == "Preference pairs"
    loaded = datasets.load_dataset(str(export), split="train")
    assert loaded.num_rows == 72
    assert loaded.features == datasets.Features._from_yaml_list(info["features"])
    assert re.search(r"^\| sample \|.* 12 \|$", text, re.M)


def test_languages_and_people(labelled_lake: Lake, tmp_path: Path) -> None:
    labelled_lake.rows("UPDATE lake.judgments SET kind = 'human' WHERE annotator_id = 'good'")
    biases = "position_bias = 0.125, length_bias = -0.5"
    labelled_lake.rows(f"UPDATE lake.annotators SET {biases} WHERE annotator_id = 'fair'")
    folder = tmp_path / "out"
    entry = ExportEntry(path=str(folder), license="cc-by-4.0", language=["en", "de"], creator="A Lab | <b>")
    write_export(labelled_lake, Config(), entry)
    front, text = read_front(folder)
    assert front["language"] == ["en", "de"]
    assert front["annotations_creators"] == ["machine-generated", "other"]
    assert "| fair | llm | +0.125 | -0.500 |" in text
    document = json.loads((folder / "croissant.json").read_text())
    assert document["inLanguage"] == ["en", "de"]
    assert document["creator"]["name"] == "A Lab | <b>"
    assert document["license"] == "https://spdx.org/licenses/cc-by-4.0"
    assert document["rai:dataBiases"] == ["fair (llm): position bias +0.125, length bias -0.500"]
    assert document["rai:annotationsPerItem"] == "144 judgments of people in the whole lake"
    with pytest.raises(CurateError, match="language"):
        validate_options(ExportEntry, {"path": "out", "language": ["English"]})


def test_croissant_names_every_file_and_column(export: Path) -> None:
    document = json.loads((export / "croissant.json").read_text())
    manifest = json.loads((export / "manifest.json").read_text())
    digests = {file["path"]: file["sha256"] for file in manifest["files"]}
    files = [item for item in document["distribution"] if item["@type"] == "cr:FileObject"]
    assert {file["contentUrl"]: file["sha256"] for file in files} == {
        path: digest for path, digest in digests.items() if path.endswith(".parquet")
    }
    assert "croissant.json" in digests
    (records,) = document["recordSet"]
    assert [field["@id"] for field in records["field"]] == [
        f"train/{field.name}" for field in arrow_schema(TrlPreferenceRow)
    ]
    assert document["conformsTo"] == [
        "http://mlcommons.org/croissant/1.1",
        "http://mlcommons.org/croissant/RAI/1.0",
    ]
    assert document["version"] == f"{manifest['snapshot']}.0.0"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib, in mlcroissant
def test_croissant_is_valid_and_its_records_are_the_rows(export: Path) -> None:
    mlcroissant = pytest.importorskip(
        "mlcroissant", reason="mlcroissant is not installed: pip install 'curate[dev]'"
    )
    dataset = mlcroissant.Dataset(str(export / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    rows = list(dataset.records("train"))
    table = pa.parquet.read_table(export / "data" / "train-00000.parquet")
    assert [row["train/prompt_id"].decode() for row in rows] == table["prompt_id"].to_pylist()
    assert [row["train/chosen"][0]["train/chosen/content"].decode() for row in rows] == [
        chosen[0]["content"] for chosen in table["chosen"].to_pylist()
    ]


def test_sources_and_reasons_cannot_break_the_card(labelled_lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_export(labelled_lake, Config(), ExportEntry(path=str(folder)))
    labelled_lake.rows(
        "INSERT INTO lake.runs BY NAME SELECT * REPLACE ('ingest' AS stage, 'hf://org/set@v1#train' AS part, "
        '\'{"dropped": {"no response: <b>x</b>\\n| y": 3}}\' AS details) FROM lake.runs LIMIT 1'
    )
    labelled_lake.rows("UPDATE lake.prompts SET source = 'a: |\n---\n# b'")
    folder = tmp_path / "hostile"
    write_export(labelled_lake, Config(), ExportEntry(path=str(folder)))
    front, text = read_front(folder)
    assert front["source_datasets"] == ["extended|org/set"]
    assert r"| ingest | no response: &lt;b&gt;x&lt;/b&gt; \| y | 3 |" in text
    assert re.search(r"^\| a: \\\| --- \\# b \|.* 12 \|$", text, re.M)
