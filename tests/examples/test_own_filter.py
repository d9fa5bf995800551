"""`examples/own_parts/filter.py`: a filter of one's own, run through the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import Config
from curate.lake.lake import Lake

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_parts"


def test_a_filter_in_a_file_decides(sample_lake: Lake, tmp_path: Path) -> None:
    sample_lake.close()
    shutil.copy(EXAMPLES / "filter.py", tmp_path)
    own = {"kind": "./filter.py:Shouting", "name": "shouting", "most": 0.01, "of": "prompt"}
    path = tmp_path / "curate.yaml"
    path.write_text(yaml.safe_dump({"workspace": ".", "filter": [own]}))
    result = CliRunner().invoke(app, ["filter", "-c", str(path)])
    assert result.exit_code == 0, result.output
    with Lake.open(Config(workspace=str(tmp_path)).location, read_only=True) as lake:
        rows = lake.rows('SELECT DISTINCT "filter", target, reason FROM filter_decisions')
        assert rows == [("shouting", "prompt", "shouts")]
        assert lake.value("SELECT count(*) FROM filter_decisions") == 12


def test_a_wrong_option_is_refused(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "filter.py", tmp_path)
    path = tmp_path / "curate.yaml"
    path.write_text(yaml.safe_dump({"filter": [{"kind": "./filter.py:Shouting", "moist": 1}]}))
    result = CliRunner().invoke(app, ["filter", "-c", str(path)])
    assert result.exit_code != 0
    assert "did you mean `most`?" in str(result.exception)
