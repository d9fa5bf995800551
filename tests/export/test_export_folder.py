"""Folders are replaced whole, and nothing that is not an export is ever touched."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from curate.core import atomic as folders
from curate.core.errors import CurateError
from curate.export.folder import NOUN, is_intact, list_export_files

replacing = partial(folders.atomic_directory, owned=list_export_files, noun=NOUN)
refuse_foreign = partial(folders.refuse_foreign, owned=list_export_files, noun=NOUN)


def write_export(folder: Path, text: str = "rows") -> None:
    (folder / "data").mkdir()
    (folder / "data" / "rows").write_text(text)
    files = [{"path": "data/rows", "bytes": len(text)}]
    manifest = {"curate_export": 1, "fingerprint": "f", "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with replacing(target) as folder:
        write_export(folder)
        assert not target.exists()
    assert (target / "data" / "rows").read_text() == "rows"
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_a_failure_leaves_the_earlier_export(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with replacing(target) as folder:
        write_export(folder)
    with pytest.raises(ZeroDivisionError), replacing(target) as folder:
        write_export(folder, "newer")
        raise ZeroDivisionError
    assert (target / "data" / "rows").read_text() == "rows"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_free(tmp_path: Path) -> None:
    with replacing(tmp_path) as folder:
        write_export(folder)
    assert is_intact(tmp_path, "f")


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(CurateError, match=r"thesis\.tex"), replacing(target) as folder:
        write_export(folder)
    assert (target / "thesis.tex").read_text() == "years of work"


def test_files_added_to_an_export_are_not_lost(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with replacing(target) as folder:
        write_export(folder)
    (target / "data" / "notes.md").write_text("mine")
    with pytest.raises(CurateError, match=r"data/notes\.md"):
        refuse_foreign(target)


def test_a_manifest_of_something_else_is_foreign(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "a web app"}')
    with pytest.raises(CurateError, match=r"manifest\.json"):
        refuse_foreign(tmp_path)


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(CurateError, match="is a file"):
        refuse_foreign(tmp_path / "out")


def test_intact_means_this_export_with_all_its_files(tmp_path: Path) -> None:
    write_export(tmp_path)
    assert is_intact(tmp_path, "f")
    assert not is_intact(tmp_path, "another")
    (tmp_path / "data" / "rows").write_text("cut")
    assert not is_intact(tmp_path, "f")
    (tmp_path / "data" / "rows").unlink()
    assert not is_intact(tmp_path, "f")
    (tmp_path / "manifest.json").write_text("{")
    assert not is_intact(tmp_path, "f")
