"""`examples/own_parts/judge.py`: a judge of one's own, asked through the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import Config
from curate.lake.lake import Lake

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_parts"


def test_a_judge_in_a_file_judges_the_pairs(sample_lake: Lake, tmp_path: Path) -> None:
    sample_lake.close()
    shutil.copy(EXAMPLES / "judge.py", tmp_path)
    judges = [{"name": "on-topic", "kind": "./judge.py:OnTopic", "least": 2}]
    project = tmp_path / "curate.yaml"
    project.write_text(yaml.safe_dump({"workspace": ".", "judge": {"judges": judges}}))
    result = CliRunner().invoke(app, ["judge", "-c", str(project)])
    assert result.exit_code == 0, result.output
    with Lake.open(Config(workspace=str(tmp_path)).location, read_only=True) as lake:
        query = "SELECT count(*), count(*) FILTER (outcome IN ('a', 'b', 'tie')) FROM judgments WHERE annotator_id = ?"
        count, decided = lake.rows(query, ["on-topic"])[0]
        assert count == 12 * 6
        assert decided > 0
