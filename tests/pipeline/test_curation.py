"""The chain of stages without an orchestrator, and what an orchestrator may put around each stage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from curate.cli.init import create_project
from curate.config.project import load_config
from curate.judge import answer_chunk
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.pipeline.curation import StageWork, run_curation


def test_each_stage_goes_through_the_callers_hands_in_order(tmp_path: Path) -> None:
    create_project(tmp_path / "project")
    config = load_config(tmp_path / "project" / "curate.yaml")
    called, chunks = [], []

    def call_stage(name: str, work: StageWork, lake: Lake) -> Summary:
        called.append(name)
        return work(lake)

    def ask_chunk(lake: Lake, panel: Any, work: Any, /, **options: Any) -> Any:
        chunks.append(work.judge)
        return answer_chunk(lake, panel, work, **options)

    with Lake.open(config.location) as lake:
        summaries = run_curation(lake, config, call_stage=call_stage, ask_chunk=ask_chunk)
        again = run_curation(lake, config)
    stages = ["ingest", "filter", "judge", "aggregate", "export", "evaluate", "report"]
    assert called == [summary.stage for summary in summaries] == stages
    assert sorted(chunks) == ["bleu", "length", "repetition"]
    assert not any(summary.skipped for summary in summaries if summary.stage != "evaluate")
    assert all(summary.skipped for summary in again)


def test_no_module_of_the_package_imports_the_flows() -> None:
    root = Path(__file__).parents[2]
    texts = {file: file.read_text(encoding="utf-8") for file in (root / "curate").rglob("*.py")}
    importing = [
        str(file) for file, text in texts.items() if re.search(r"^\s*(from|import) flows", text, re.M)
    ]
    assert importing == []
