"""A lake written by version 0.1 (before the modules had their rooms) opens, migrates and says the same as before.

`version_0_1/` was made by that version's `curate ingest`, `judge`, `aggregate` from the files beside it;
`preferences.jsonl` is what `curate sql -f json "SELECT * EXCLUDE (run_id) FROM preferences ORDER BY ALL"` gave.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from curate.aggregate import aggregate_judgments
from curate.config.project import Config, load_config
from curate.judge import judge_responses
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.lake.status import read_status

OLD = Path(__file__).parent / "version_0_1"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    (tmp_path / ".curate").mkdir()
    (tmp_path / "lake").rename(tmp_path / ".curate" / "lake")
    return load_config(tmp_path / "curate.yaml")


def _preferences(lake: Lake) -> list[dict[str, Any]]:
    return lake.frame("SELECT * EXCLUDE (run_id) FROM preferences ORDER BY ALL").to_dicts()


def _expected() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (OLD / "preferences.jsonl").read_text().splitlines()]


def test_it_opens_for_reading_as_it_is(config: Config) -> None:
    with Lake.open(config.location, read_only=True) as lake:
        assert read_status(lake).reconciles
        rows = _preferences(lake)
    expected = _expected()
    assert [{name: row[name] for name in expected[0]} for row in rows] == expected


def test_it_migrates_and_gives_the_same_preferences(config: Config) -> None:
    with Lake.open(config.location) as lake:
        judged: Summary = judge_responses(lake, config)
        assert judged.skipped or judged.counts.rows_kept == 0  # nothing that was judged is judged again
        aggregate_judgments(lake, config)
        assert read_status(lake).reconciles
        rows = _preferences(lake)
    expected = _expected()
    assert len(rows) == len(expected) > 0
    for row, before in zip(rows, expected, strict=True):
        for name, value in before.items():
            if isinstance(value, float):
                assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name
            else:
                assert row[name] == value, name
