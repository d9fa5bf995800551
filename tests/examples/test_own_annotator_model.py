"""`examples/own_parts/annotator_model.py`: an annotator model of one's own, through the command line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import Config
from curate.lake.lake import Lake

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_parts"


def aggregate(folder: Path, annotator_model: Any) -> str:
    project = folder / "curate.yaml"
    project.write_text(yaml.safe_dump({"workspace": ".", "aggregate": {"annotator_model": annotator_model}}))
    result = CliRunner().invoke(app, ["aggregate", "-c", str(project)])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def read_labels(folder: Path) -> dict[str, float]:
    with Lake.open(Config(workspace=str(folder)).location, read_only=True) as lake:
        return {a + b: p for a, b, p in lake.rows("SELECT response_a, response_b, p_a FROM preferences")}


def test_a_model_in_a_file_labels_the_pairs(sample_lake: Lake, tmp_path: Path) -> None:
    sample_lake.close()
    own = tmp_path / "annotator_model.py"
    shutil.copy(EXAMPLES / own.name, own)
    aggregate(tmp_path, "./annotator_model.py:Agreement")
    labels = read_labels(tmp_path)
    with Lake.open(Config(workspace=str(tmp_path)).location, read_only=True) as lake:
        abilities = [
            ability for (ability,) in lake.rows("SELECT ability FROM annotators WHERE kind <> 'human'")
        ]
    assert labels
    assert abilities
    assert "nothing to do" in aggregate(tmp_path, "./annotator_model.py:Agreement")
    aggregate(tmp_path, {"kind": "./annotator_model.py:Agreement", "power": 50})
    assert read_labels(tmp_path) != labels


def test_a_missing_class_is_refused(sample_lake: Lake, tmp_path: Path) -> None:
    sample_lake.close()
    shutil.copy(EXAMPLES / "annotator_model.py", tmp_path)
    project = tmp_path / "curate.yaml"
    project.write_text("workspace: .\naggregate: {annotator_model: './annotator_model.py:Missing'}\n")
    result = CliRunner().invoke(app, ["aggregate", "-c", str(project)])
    assert result.exit_code == 1
    assert "no class Missing" in str(result.exception)
