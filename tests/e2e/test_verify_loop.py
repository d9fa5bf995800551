"""The two-stage loop as a user lives it: killed, waiting for people, answered in a spreadsheet, and exported."""

from __future__ import annotations

import csv
import signal
import subprocess
from pathlib import Path

import pytest

from curate.config.project import load_config
from curate.lake.lake import Lake
from curate.lake.status import read_status
from tests.e2e.conftest import Start
from tests.e2e.test_run import finish, snapshot

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
LOOP = "\nverify:\n  loop: {turns: 1, budget: 24, through: offline}\n"


def answer(project: Path, curate: Start) -> int:
    """A person who always prefers what comes first; returns how many questions there were."""
    sheet = project / "ada.csv"
    finish(curate("verify", "export-csv", str(sheet), "--annotator", "ada", folder=project))
    with sheet.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    with sheet.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"verdict": "first"} for row in rows)
    finish(curate("verify", "import-csv", str(sheet), "--annotator", "ada", folder=project))
    return len(rows)


def test_the_loop_survives_a_kill_waits_and_ends(project: Path, curate: Start) -> None:
    with (project / "curate.yaml").open("a", encoding="utf-8") as file:
        file.write(LOOP)
    finish(curate("ingest", folder=project))
    cut_off = curate("verify", "loop", folder=project)
    try:
        cut_off.wait(timeout=8)
    except subprocess.TimeoutExpired:
        cut_off.send_signal(signal.SIGKILL)
    cut_off.communicate()
    assert "24 questions wait for people" in finish(curate("verify", "loop", folder=project))
    before = snapshot(project)
    assert "24 questions wait for people" in finish(curate("verify", "loop", folder=project))
    assert snapshot(project) == before
    assert answer(project, curate) == 24
    told = finish(curate("verify", "loop", folder=project))
    assert "Stage 2 is done" in told
    assert "gold model disagrees" in told
    finish(curate("export", folder=project))
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        assert lake.value("SELECT max(iteration) FROM preferences") == 2
        assert read_status(lake).reconciles
