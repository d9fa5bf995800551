"""Parts by name: ours, other packages', a file of the user's own, and YAML where a part is only data."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest

from curate.core import registry as module
from curate.core.errors import CurateError
from curate.core.registry import Registry, is_part_name


class Shape:
    pass


class DataShape(Shape):
    pass


SHAPES: Registry[Shape] = Registry(
    "shape", Shape, builtin={"mapped": f"{__name__}:DataShape"}, data_class=f"{__name__}:DataShape"
)


@SHAPES.register("square")
class Square(Shape):
    pass


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or module)
    monkeypatch.setattr(module, "_import_class", lambda path: globals()[path.rpartition(":")[2]])


def test_ours_by_name_without_importing_them(tmp_path: Path) -> None:
    assert SHAPES.names == ("mapped", "square")
    assert SHAPES.find("square", where="format", folder=tmp_path).type is Square
    assert SHAPES.find("mapped", where="format", folder=tmp_path).type is DataShape


def test_a_file_of_ones_own_is_identified_by_its_contents(tmp_path: Path) -> None:
    body = (
        "from curate.engine.registry import ConfiguredEngine\n\nclass Mine(ConfiguredEngine):\n    x = {}\n"
    )
    from curate.engine.registry import ENGINES

    (tmp_path / "one.py").write_text(body.format(1))
    (tmp_path / "two.py").write_text(body.format(2))
    one, two = (ENGINES.find(f"./{n}.py:Mine", where="kind", folder=tmp_path) for n in ("one", "two"))
    assert one.type.__name__ == "Mine"
    assert len({one.code, two.code, ""}) == 3


def test_yaml_where_a_part_is_only_data(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("prompt: question\n")
    part = SHAPES.find("./mine.yaml", where="format", folder=tmp_path)
    assert part.type is DataShape
    assert part.options == {"prompt": "question"}
    assert part.code


def test_an_entry_point_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_shapes.py").write_text(
        "from curate.judge.base import Judge\n\nclass Round(Judge):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = importlib.metadata.EntryPoint(name="round", value="acme_shapes:Round", group="curate.judge")

    def entries(*, group: str) -> list[Any]:
        return [entry] if group == "curate.judge" else []

    monkeypatch.setattr(module, "entry_points", entries)
    from curate.judge.registry import JUDGES

    assert JUDGES.find("round", where="kind", folder=tmp_path).type.__name__ == "Round"
    assert is_part_name("round", (), "judge")
    with pytest.raises(CurateError, match="round"):  # it is listed beside ours
        JUDGES.find("nothing-like-it", where="kind", folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (None, "`format` is missing: name a kind of shape"),
        ("squar", "`format` is 'squar', which is no kind of shape: did you mean `square`?"),
        ("./gone.py:Mine", "cannot be loaded: there is no"),
        ("./gone.yaml", "cannot be read"),
        ("./list.yaml", "holds no mapping"),
        ("./broken.py:Mine", "cannot be loaded: ZeroDivisionError"),
        ("json:loads", "json has no class loads that is derived from"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(name: object, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(CurateError, match=r".*") as caught:
        SHAPES.find(name, where="format", folder=tmp_path)
    assert sentence in str(caught.value)
