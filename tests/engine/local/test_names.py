"""Names of people are what the model marks, as they are written in the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.core.errors import CurateError
from curate.engine.local.names import NameFinder
from tests.engine.local.name_model import write_name_model


def load(folder: Path, labels: tuple[str, ...] = ("PER",), confidence: float = 0.7) -> NameFinder:
    return NameFinder.load("names", revision="main", folder=folder, labels=labels, confidence=confidence)


def test_names_are_as_written_and_each_once(tmp_path: Path) -> None:
    write_name_model(tmp_path / "names")
    texts = [
        "Who is Ada Lovelace, and was ada in Paris? Ada Lovelace was.",
        " ",
        "",
        "Who was Grace?\nNot the lady",
    ]
    assert load(tmp_path).find_names(texts) == [["Ada Lovelace", "ada"], [], [], ["Grace"]]
    assert load(tmp_path, ("LOC",)).find_names(texts[:1]) == [["Paris"]]
    assert load(tmp_path, confidence=1).find_names(texts) == [[], [], [], []]


@pytest.mark.parametrize("words", [50, 62, 63, 300])
def test_long_texts_are_read_to_their_end(tmp_path: Path, words: int) -> None:
    write_name_model(tmp_path / "names", positions=140)
    text = "the " * words + "Ada Lovelace" + " the" * words + " Grace Hopper"
    assert load(tmp_path).find_names([text]) == [["Ada Lovelace", "Grace Hopper"]]


def test_other_models_are_refused(tmp_path: Path) -> None:
    write_name_model(tmp_path / "names")
    with pytest.raises(
        CurateError, match=r"marks LOC, O, PER, and none of the labels NAME: write what it calls"
    ):
        load(tmp_path, ("NAME",))
    with pytest.raises(CurateError, match="There is no model at"):
        NameFinder.load("./nothing", revision="main", folder=tmp_path, labels=["PER"], confidence=0)
