"""`curate export --push`, `curate push` and the way back, as processes of their own, to a stand-in of the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.hub.standin import TOKEN, StandInHub

Run = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(hub: StandInHub, tmp_path: Path) -> Run:
    """Run a command in a project; the hub is the stand-in, without Xet."""
    settings = {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(ROOT),
    }

    def start(*arguments: str, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from curate.cli.app import main; main()", *arguments]
        done = subprocess.run(
            command, cwd=folder, env=os.environ | settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done

    return start


@pytest.mark.e2e
def test_a_project_goes_to_the_hub_and_comes_back(hub: StandInHub, run: Run, tmp_path: Path) -> None:
    project = tmp_path / "project"
    run("init", str(project), folder=tmp_path)
    for stage in ("ingest", "judge", "aggregate"):
        run(stage, folder=project)
    dry = run("export", "--push", "org/demo", "--dry-run", folder=project)
    assert "dry run: org/demo (a new repository) would get" in dry.stdout
    assert not hub.repositories
    pushed = run("export", "--push", "org/demo", folder=project)
    assert f"pushed to {hub.url}/datasets/org/demo" in pushed.stdout
    (tag,) = hub.repository("org/demo").tags
    assert f"tag {tag}" in pushed.stdout
    first = len(hub.repository("org/demo").commits)

    # The key of curate.yaml, and another state.
    document = yaml.safe_load((project / "curate.yaml").read_text())
    exported = pq.read_table(project / "export" / "preferences" / "data" / "train-00000.parquet")
    document["export"][0]["min_confidence"] = max(exported["confidence"].to_pylist())
    document["hub"] = {"push": {"export/preferences": "org/demo"}}
    (project / "curate.yaml").write_text(yaml.safe_dump(document))
    run("export", folder=project)
    again = run("push", folder=project)
    assert "pushed to" in again.stdout
    assert len(hub.repository("org/demo").commits) == first + 1
    assert "has this state already: nothing to upload" in run("push", folder=project).stdout
    refused = run("push", "export/preferences", "org/demo", "--public", folder=project)
    assert "has this state already" in refused.stdout

    # Back: the first state by its tag, though the branch has moved on.
    rows = json.loads(hub.files("org/demo", revision=tag)["manifest.json"])["tables"]["train"]["rows"]
    newest = json.loads(hub.files("org/demo")["manifest.json"])["tables"]["train"]["rows"]
    assert newest < rows
    script = (
        "import datasets, sys; rows = datasets.load_dataset('org/demo', revision=sys.argv[1], split='train');"
        "print(rows.num_rows, rows[0]['chosen'][0]['role'])"
    )
    settings = {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path / "other"),
    }
    loaded = subprocess.run(
        [sys.executable, "-c", script, tag],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.split() == [str(rows), "assistant"]
    for number, (revision, expected) in enumerate(((f"@{tag}", rows), ("", newest))):
        back = tmp_path / f"back-{number}"
        run("init", str(back), folder=tmp_path)
        run("ingest", "responses", f"hf://org/demo{revision}", "-f", "trl-preference", folder=back)
        counted = run(
            "sql", "SELECT sum(rows_in) AS n FROM runs WHERE stage = 'ingest'", "-f", "json", folder=back
        )
        assert json.loads(counted.stdout)[0]["n"] == expected


@pytest.mark.e2e
def test_what_cannot_be_pushed_is_said_before_anything_is_written(run: Run, tmp_path: Path) -> None:
    project = tmp_path / "project"
    run("init", str(project), folder=tmp_path)
    for arguments, sentence in (
        (("export", "--dry-run"), "are about --push"),
        (("export", "--push", "alone"), "is no name of a repository"),
        (("push",), "There is nothing to push: name a folder and a repository"),
        (("push", "export/preferences"), "Nobody has said where export/preferences goes"),
        (("push", "export/preferences", "org/x"), "neither an export of `curate` nor a model"),
    ):
        assert sentence in run(*arguments, folder=project, status=1).stderr
