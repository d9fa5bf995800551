"""Sources of a lake from before rows named their inputs: they are known by the names of their data sets."""

from __future__ import annotations

import shutil
from pathlib import Path

from curate.config.project import load_config
from curate.lake.check.run import check_lake
from curate.lake.lake import Lake
from curate.pipeline.forgetting import find_source, forget_target
from curate.pipeline.forgetting.receipt import check_receipt, read_receipt
from tests.pipeline.forgetting.projects import list_holders

OLD = Path(__file__).parents[2] / "lake" / "version_0_1"


def test_a_source_of_an_older_lake_is_forgotten_and_erased(tmp_path: Path) -> None:
    shutil.copytree(OLD / "lake", tmp_path / ".curate" / "lake")
    shutil.copy(OLD / "curate.yaml", tmp_path)
    config = load_config(tmp_path / "curate.yaml")
    with Lake.open(config.location) as lake:
        (name,) = {source for (source,) in lake.rows("SELECT source FROM prompts")}
        text = lake.value("SELECT memory.response_text(messages) FROM responses ORDER BY 1 DESC LIMIT 1")
        assert len(text) >= 12
        result = forget_target(lake, config, find_source(lake, name), erase=True)
        for table in ("prompts", "responses", "judgments", "preferences", "verify_tasks"):
            assert lake.value(f"SELECT count(*) FROM {table}") == 0, table
        assert "nor in its catalog" in check_receipt(lake, read_receipt(result.receipt))
    assert check_lake(config.location).findings == []
    assert list_holders(tmp_path, text) == []
