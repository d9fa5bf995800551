"""`examples/own_parts/export_format.py`: an export format of one's own, from curate.yaml and the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from curate.aggregate import aggregate_judgments
from curate.cli.app import app
from curate.config.export import EXPORT_FORMAT_NAMES
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.export.formats import EXPORT_FORMATS
from curate.lake.lake import Lake

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_parts"
NAME = "./export_format.py:Margins"


@pytest.fixture
def project(sample_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    aggregate_judgments(sample_lake, Config())
    sample_lake.close()
    shutil.copy(EXAMPLES / "export_format.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export(folder: Path, *words: str, entries: list[dict[str, Any]]) -> str:
    (folder / "curate.yaml").write_text(yaml.safe_dump({"workspace": ".", "export": entries}))
    result = CliRunner().invoke(app, ["export", *words])
    if isinstance(result.exception, CurateError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_format_is_named_in_the_configuration_with_its_options(project: Path) -> None:
    entries = [
        {"path": "all", "format": NAME, "jsonl": True},
        {"path": "some", "format": {"kind": NAME, "least": 1.0}},
    ]
    export(project, entries=entries)
    whole = pl.read_parquet(project / "all" / "data" / "*.parquet")
    some = pl.read_parquet(project / "some" / "data" / "*.parquet")
    assert whole.columns == ["prompt", "good", "bad", "margin"]
    assert 0 < len(some) < len(whole)
    assert some["margin"].min() >= 1.0  # type: ignore[operator]
    manifest = json.loads((project / "some" / "manifest.json").read_text())
    assert manifest["format"] == NAME
    assert manifest["counts"]["dropped"]["scores too close"] == len(whole) - len(some)
    assert manifest["counts"]["kept"] == len(some)
    card = (project / "some" / "README.md").read_text()
    assert "Prompts with a good and a bad answer" in card


def test_a_format_is_named_on_the_command_line(project: Path) -> None:
    export(project, "out", "-f", NAME, entries=[])
    assert len(pl.read_parquet(project / "out" / "data" / "*.parquet")) > 0


def test_a_changed_format_is_written_again(project: Path) -> None:
    export(project, "out", "-f", NAME, entries=[])
    first = json.loads((project / "out" / "manifest.json").read_text())["fingerprint"]
    (project / "other").mkdir()
    source = (project / "export_format.py").read_text()
    (project / "other" / "export_format.py").write_text(source + "\n# changed\n")
    export(project, "out", "-f", "./other/export_format.py:Margins", entries=[])
    assert json.loads((project / "out" / "manifest.json").read_text())["fingerprint"] != first


def test_a_row_with_other_columns_is_an_error_that_names_the_format(project: Path) -> None:
    broken = (project / "export_format.py").read_text().replace('"bad": rejected', '"worse": rejected')
    (project / "broken.py").write_text(broken)
    with pytest.raises(CurateError, match=r"broken\.py:Margins' wrote a row that is no MarginRow"):
        export(project, "out", "-f", "./broken.py:Margins", entries=[])
    assert not (project / "out").exists()


def test_rankings_and_misspelt_names(project: Path) -> None:
    (project / "ranks.py").write_text(RANKS)
    export(project, "ranks", "-f", "./ranks.py:Best", entries=[])
    rows = pl.read_parquet(project / "ranks" / "data" / "*.parquet")
    assert set(rows["rank"]) == {1}
    with pytest.raises(CurateError, match="did you mean `ranking`"):
        export(project, entries=[{"path": "x", "format": "rankin"}])


def test_the_configuration_knows_the_formats() -> None:
    assert set(EXPORT_FORMAT_NAMES) == set(EXPORT_FORMATS.names)


RANKS = """
from curate.export.formats import RowFormat
from curate.records import Record

class BestRow(Record):
    text: str
    rank: int

class Best(RowFormat):
    "The best answers."
    rows = "rankings"
    Row = BestRow

    def write_rows(self, rows):
        for row in rows:
            for response in row["responses"]:
                if response["rank"] == 1:
                    yield {"text": response["text"], "rank": response["rank"]}
"""
