"""`examples/own_parts/routing.py`: a routing strategy of one's own, planned with through the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml
from typer.testing import CliRunner

from curate.aggregate import aggregate_judgments
from curate.cli.app import app
from curate.config.project import Config
from curate.lake.lake import Lake

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_parts"


def test_questions_are_planned_by_a_strategy_in_a_file(sample_lake: Lake, tmp_path: Path) -> None:
    aggregate_judgments(sample_lake, Config())
    sample_lake.close()
    shutil.copy(EXAMPLES / "routing.py", tmp_path)
    mix = {"uncertainty": 0.5, "./routing.py:SplitVotes": {"share": 0.5, "judges": 2}}
    project = tmp_path / "curate.yaml"
    project.write_text(yaml.safe_dump({"workspace": ".", "verify": {"plan": {"mix": mix}}}, sort_keys=False))
    result = CliRunner().invoke(app, ["verify", "plan", "--budget", "20", "-c", str(project)])
    assert result.exit_code == 0, result.output
    printed = " ".join(result.output.split())
    assert "20 questions planned (4 random, 8 uncertainty, 8 ./routing.py:SplitVotes)" in printed
    with Lake.open(Config(workspace=str(tmp_path)).location, read_only=True) as lake:
        query = "SELECT count(*) FROM verify_tasks WHERE strategy = './routing.py:SplitVotes'"
        assert lake.value(query) == 8
