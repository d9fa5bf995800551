"""Every data file is brought to the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from curate.lake.compaction import compact_lake
from curate.lake.lake import Lake, Location
from tests.conftest import make_prompt, make_response, table


def test_fault_21_every_file_that_the_catalog_names_was_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[str] = set()
    sync = os.fsync

    def record(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    location = Location.under(tmp_path / "lake")
    with Lake.open(location) as lake:
        for start in (0, 400):
            prompts = [make_prompt(number) for number in range(start, start + 400)]
            responses = [make_response(prompt, number) for prompt in prompts for number in range(3)]
            with lake.write("few rows are inserted, many are staged") as writer:
                writer.append("prompts", table(list(prompts)))
                writer.add("responses", table(list(responses)))
            named = {file.rpartition("/")[2] for file in lake.files.list_files()}
            assert named
            assert named <= synced
        compact_lake(lake)
        named = {file.rpartition("/")[2] for file in lake.files.list_files()}
        assert named <= synced
