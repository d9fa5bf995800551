"""Paths of the machine become relative in what is shown to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.core.machine_paths import hide_paths, shorten_path


def test_paths_inside_the_project_and_the_home_become_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    text = f"see {tmp_path}/export/a.jsonl, {tmp_path} and {tmp_path}-other/x, /home/somebody/models/m, https://h{tmp_path}/x"
    assert hide_paths(text, tmp_path) == (
        f"see export/a.jsonl, . and {tmp_path}-other/x, ~/models/m, https://h{tmp_path}/x"
    )


@pytest.mark.parametrize(
    ("path", "short"),
    [
        ("/p/q/data/rows.jsonl", "data/rows.jsonl"),
        ("/p/q/data#train", "data#train"),
        ("/elsewhere/of/mine/rows.jsonl", "…/mine/rows.jsonl"),
        ("hf://owner/name#train", "hf://owner/name#train"),
        ("rows.jsonl", "rows.jsonl"),
    ],
)
def test_parts_of_work_are_named_without_the_machine(path: str, short: str) -> None:
    assert shorten_path(path, Path("/p/q")) == short


def test_no_home_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def find_none() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", find_none)
    assert hide_paths(f"{tmp_path}/a", tmp_path) == "a"
