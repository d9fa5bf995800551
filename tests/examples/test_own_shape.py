"""`examples/own_parts/shape.yaml` and `shape.py`: shapes of one's own, taken in through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.lake.lake import Lake

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_parts"
VOTES = """question,left,right,preferred,reader
Why?,because,no,l,ann
Who?,me,you,same,bob
"""
SHEETS = [
    {"task": "Count to three", "sheet": "1 2 3\n---\n1 3\n---\n3"},
    {"task": "Say hello", "sheet": "hello"},
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "votes.csv").write_text(VOTES)
    (tmp_path / "sheets.jsonl").write_text("\n".join(map(json.dumps, SHEETS)))
    for file in EXAMPLES.glob("shape.*"):
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ingest(folder: Path, *sources: dict[str, Any]) -> str:
    (folder / "curate.yaml").write_text(yaml.safe_dump({"workspace": ".", "ingest": list(sources)}))
    result = CliRunner().invoke(app, ["ingest"])
    if isinstance(result.exception, CurateError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def read(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with Lake.open(Config(workspace=str(folder)).location, read_only=True) as lake:
        return lake.rows(query)


def test_a_shape_as_data(project: Path) -> None:
    ingest(project, {"source": "votes.csv", "format": "./shape.yaml"})
    votes = read(project, "SELECT annotator_id, kind, outcome = 'tie' FROM judgments ORDER BY 1")
    assert [(kind, tie) for _, kind, tie in votes] == [("human", False), ("human", True)]


def test_a_shape_as_code(project: Path) -> None:
    ingest(project, {"source": "sheets.jsonl", "format": "./shape.py:RankedSheet"})
    assert read(project, "SELECT count(*) FROM judgments WHERE kind = 'human'") == [(3,)]
    assert read(project, "SELECT reason FROM quarantine") == [("`sheet` holds no line `---`.",)]


def test_a_changed_shape_is_read_again(project: Path) -> None:
    source = {"source": "votes.csv", "format": "./shape.yaml"}
    ingest(project, source)
    ingest(project, source)
    query = "SELECT count(*) FROM runs WHERE stage = 'ingest' AND status = 'done'"
    assert read(project, query) == [(1,)]
    shape = (project / "shape.yaml").read_text()
    (project / "shape.yaml").write_text(f"{shape}\nignore: [reader]\n")
    ingest(project, source)
    assert read(project, query) == [(2,)]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("./nowhere.yaml", None, "nowhere.yaml', which cannot be read"),
        ("./mine.yaml", "promt: q", "did you mean `prompt`"),
        ("trl-prefrence", None, "did you mean `trl-preference`"),
    ],
)
def test_mistakes_are_named(project: Path, name: str, content: str | None, problem: str) -> None:
    if content is not None:
        (project / name).write_text(content)
    with pytest.raises(CurateError, match=problem):
        ingest(project, {"source": "votes.csv", "format": name})
