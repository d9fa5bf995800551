"""`curate run` with a joint reward model: it learns from rankings, and judges the responses to a prompt together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from curate.config.project import load_config
from curate.lake.lake import Lake
from tests.conftest import MakeModel
from tests.e2e.conftest import make_project

pytestmark = pytest.mark.e2e

CONFIG = """
ingest:
  - {{source: responses-1.jsonl}}
  - {{source: responses-2.jsonl}}
judge:
  judges:
    - {{name: length, kind: rule, rule: length}}
    - {{name: repetition, kind: rule, rule: repetition}}
train:
  order: average:2
  backbone:
    model: {model}
    forward: joint
    loss: {{kind: ranking}}
    max_length: 512
    row_tokens: 1024
    batch_tokens: 2048
    held_out: 0.4
evaluate:
  benchmarks: [{{name: gold, source: gold.jsonl}}]
export:
  - {{path: export/rankings, format: ranking}}
"""


def test_it_trains_on_rankings_and_judges_prompts_whole(make_model: MakeModel, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", CONFIG.format(model=make_model()))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", "from curate.cli.app import main; main()", "run"]
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, env=environment, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "turn around" in done.stdout + done.stderr  # the order's effect, of two orders
    training_set = project / ".curate" / "training-set"
    assert {"responses", "rankings"} <= set(pl.read_parquet(training_set / "**" / "*.parquet").columns)
    about = json.loads((project / "models" / "reward" / "training.json").read_text())
    assert about["settings"]["forward"] == "joint"
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        rows = lake.rows(
            "SELECT form, outcome = 'abstain', count(*), count(p_a) FROM judgments "
            "WHERE annotator_id = 'reward-model' GROUP BY ALL ORDER BY ALL"
        )
    said = {abstained: (form, number, with_p) for form, abstained, number, with_p in rows}
    assert said[False][0] == "pairwise"
    assert 0 < said[False][1] == said[False][2]  # held-out prompts
    assert said[True][1] > 0  # prompts of the training
