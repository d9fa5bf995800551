"""Taking in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate.config.ingest import Source
from curate.config.project import Config
from curate.ingest import ingest_judgments, ingest_responses
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from tests.ingest.samples import Take


@pytest.fixture
def take(lake: Lake, tmp_path: Path) -> Take:
    """`take("x.jsonl", content, **source)`: write the file and ingest it as responses (or `kind`)."""

    def ingest(file: str, content: bytes | None = None, /, **options: Any) -> Summary:
        path = tmp_path / file
        if content is not None:
            path.write_bytes(content)
        stage = ingest_judgments if options.get("kind") == "judgments" else ingest_responses
        config = Config()
        object.__setattr__(config, "_folder", tmp_path)
        return stage(lake, [Source(source=str(path), **options)], config)

    return ingest
