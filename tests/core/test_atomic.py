"""Files and folders are replaced whole, and nothing that somebody else wrote is ever lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from curate.core import atomic as folders
from curate.core.atomic import atomic_directory, atomic_file, open_output, refuse_overwrite, temporary_beside
from curate.core.errors import CurateError
from curate.reward.model_folder import NOUN, list_model_files


def write_model(target: Path, text: str = "weights") -> None:
    with atomic_directory(target, owned=list_model_files, noun=NOUN) as folder:
        (folder / "head.safetensors").write_text(text)
        (folder / "config.json").write_text(json.dumps({"format": "curate-embedding-reward/1"}))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_model_is_replaced_by_the_next_one(tmp_path: Path) -> None:
    write_model(tmp_path / "reward")
    write_model(tmp_path / "reward", "better")
    assert (tmp_path / "reward" / "head.safetensors").read_text() == "better"
    assert names(tmp_path) == ["reward"]
    assert oct((tmp_path / "reward").stat().st_mode & 0o777) == oct(0o777 & ~current_umask())


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_folder_that_holds_other_things_is_refused(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_model(models / "other-model")
    (models / "thesis.txt").write_text("years of work")
    before = sorted(models.rglob("*"))
    with pytest.raises(
        CurateError, match=r"models holds files that are not part of a reward model .*left alone"
    ):
        write_model(models)
    assert sorted(models.rglob("*")) == before


def test_what_was_added_to_a_model_is_not_lost(tmp_path: Path) -> None:
    write_model(tmp_path / "reward")
    (tmp_path / "reward" / "notes.md").write_text("mine")
    with pytest.raises(CurateError, match=r"notes\.md"):
        write_model(tmp_path / "reward")
    (tmp_path / "reward" / "notes.md").unlink()
    (tmp_path / "reward" / "data").symlink_to(tmp_path)
    with pytest.raises(CurateError, match=r"\(data\)"):
        write_model(tmp_path / "reward")


def test_files_of_a_backbone_are_those_it_lists_or_else_those_such_models_have(tmp_path: Path) -> None:
    about = {"format": "curate-backbone-reward/1"}
    for name in ("model.safetensors", "tokenizer.json", "model.gguf", "thesis.txt"):
        (tmp_path / name).touch()
    (tmp_path / "training.json").write_text(json.dumps(about))
    assert list_model_files(tmp_path) == {"training.json", "model.safetensors", "tokenizer.json"}
    (tmp_path / "training.json").write_text(json.dumps(about | {"files": ["training.json", "a.bin"]}))
    assert list_model_files(tmp_path) == {"training.json", "a.bin"}
    (tmp_path / "training.json").write_text('{"format": "of somebody else"}')
    assert list_model_files(tmp_path) == frozenset()


def test_hidden_neighbours_that_are_not_ours_stay(tmp_path: Path) -> None:
    (tmp_path / ".reward.mine").mkdir()
    (tmp_path / ".reward.mine" / "thesis.txt").write_text("years of work")
    (tmp_path / ".reward.note").write_text("mine")
    (tmp_path / ".reward.curate-tmp-abcdefgh").write_text("a file")
    (tmp_path / ".reward.curate-tmp-copy of it").mkdir()
    before = names(tmp_path)
    write_model(tmp_path / "reward")
    assert names(tmp_path) == sorted([*before, "reward"])
    assert (tmp_path / ".reward.mine" / "thesis.txt").read_text() == "years of work"


HALF = """
import os, sys, time
from pathlib import Path
from curate.core.atomic import atomic_directory
with atomic_directory(Path(sys.argv[1]), owned=lambda _: (), noun="x") as folder:
    (folder / "half").write_text("x")
    print("writing", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_goes_and_what_a_living_one_makes_stays(tmp_path: Path) -> None:
    target = tmp_path / "reward"
    with subprocess.Popen([sys.executable, "-c", HALF, target], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        (half,) = names(tmp_path)
        write_model(target)
        assert names(tmp_path) == [half, "reward"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    write_model(target)
    assert names(tmp_path) == ["reward"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_file_systems_that_cannot_exchange_are_served_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    if not exchanges:
        monkeypatch.setattr(folders, "_exchange_names", lambda *_: False)
    for text in ("first", "second"):
        write_model(tmp_path / "reward", text)
        assert (tmp_path / "reward" / "head.safetensors").read_text() == text
    assert names(tmp_path) == ["reward"]


def test_a_folder_that_was_moved_away_by_a_killed_process_comes_back(tmp_path: Path) -> None:
    left = tmp_path / ".reward.curate-tmp-abcdefgh"
    (left / "previous").mkdir(parents=True)
    (left / "previous" / "head").write_text("weights")
    with temporary_beside(tmp_path / "reward"):
        assert (tmp_path / "reward" / "head").read_text() == "weights"
    assert names(tmp_path) == ["reward"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(file) as made:
        made.write_text("half")
        raise ZeroDivisionError
    assert file.read_text() == "old"
    with atomic_file(file) as made:
        made.write_text("new")
    assert file.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_of_the_user_is_overwritten_only_by_force(tmp_path: Path) -> None:
    file = tmp_path / "curate.yaml"
    file.write_text("mine")
    with pytest.raises(CurateError, match=r"curate\.yaml exists already, .* --force"), open_output(file):
        pass
    with pytest.raises(CurateError, match="exists and is not a report"):
        refuse_overwrite(file, is_ours=lambda _: False, noun="a report")
    refuse_overwrite(file, is_ours=lambda _: True)
    with pytest.raises(CurateError, match="is a folder"):
        refuse_overwrite(tmp_path, force=True)
    assert file.read_text() == "mine"
    with open_output(file, force=True) as stream:
        stream.write(b"new")
    assert file.read_text() == "new"
    (tmp_path / "empty").touch()
    for name in ("empty", "fresh"):
        with open_output(tmp_path / name) as stream:
            stream.write(b"new")
        assert (tmp_path / name).read_text() == "new"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with open_output(tmp_path / "link") as stream:
        stream.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_pipes_and_devices_are_written_to(tmp_path: Path) -> None:
    with open_output(Path("/dev/null")) as stream:
        stream.write(b"x")
    assert Path("/dev/null").is_char_device()
    reader, writer = os.pipe()
    with open_output(Path(f"/dev/fd/{writer}")) as stream:
        stream.write(b"x")
    assert os.read(reader, 10) == b"x"
    os.close(reader)
    os.close(writer)


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CurateError, match="Cannot write"), open_output(tmp_path / "file" / "deep"):
        pass
