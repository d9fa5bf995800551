"""`curate run` on a project of pictures: taken in, judged by what is seen, trained on, measured, exported, reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.config.project import load_config
from curate.lake.lake import Lake
from tests.e2e.conftest import Start
from tests.image_project import write_image_project
from tests.seeing import SeeingServer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_a_project_of_pictures_runs_end_to_end(tmp_path: Path, curate: Start) -> None:
    with SeeingServer() as server:
        folder = write_image_project(tmp_path / "project", server.url, prompts=20)
        run = curate("run", folder=folder)
        out, err = run.communicate(timeout=800)
    assert run.returncode == 0, out + err
    config = load_config(folder / "curate.yaml")
    with Lake.open(config.location, read_only=True) as lake:
        failed = lake.rows("SELECT raw FROM judgments WHERE outcome = 'failed'")
        assert not failed
        assert lake.value("SELECT count(*) FROM judgments WHERE annotator_id = 'eye'") == 20 * 3 * 2
        scores = {
            (subject, metric): value
            for subject, metric, value in lake.rows(
                "SELECT subject, metric, value FROM evaluations WHERE benchmark = 'gold' AND subset = 'all'"
            )
        }
    assert scores["eye", "accuracy"] == 1.0
    assert scores["passes", "accuracy"] == 1.0
    assert any("reward" in subject for subject, _ in scores)
    page = (folder / "report.html").read_text()
    assert page.count('<img src="data:image/jpeg;base64,') >= 6
    assert (folder / "export/pairs").is_dir()
    assert (folder / "export/rankings").is_dir()
