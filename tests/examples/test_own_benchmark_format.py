"""`examples/own_parts/benchmark_format.*`: formats of one's own, as data and as code, through the command line."""

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
from curate.lake.lake import Lake

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_parts"
TRIVIA = [
    {
        "number": 1,
        "question": "2 + 2?",
        "right_answer": "four",
        "wrong_answers": ["five", "ten"],
        "topic": "math",
    },
    {
        "number": 2,
        "question": "3 + 3?",
        "right_answer": "it is six",
        "wrong_answers": ["five"],
        "topic": "math",
    },
    {"number": 3, "question": "Why?", "right_answer": 7, "wrong_answers": [], "topic": "other"},
]
READERS = [
    {"question": "Hi", "first": "good day", "second": "hi", "first_liked": 0.9},
    {"question": "Bye", "first": "farewell to you", "second": "bye", "first_liked": 0.2},
    {"question": "Hm", "first": "so", "second": "well", "first_liked": 0.55},
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, rows in (("trivia.jsonl", TRIVIA), ("readers.jsonl", READERS)):
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    for file in EXAMPLES.glob("benchmark_format.*"):
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_config(folder: Path, *benchmarks: dict[str, Any]) -> None:
    document = {
        "judge": {"judges": [{"name": "words", "kind": "rule", "rule": "length"}]},
        "evaluate": {"bootstrap": 0, "judges": ["words"], "benchmarks": list(benchmarks)},
    }
    (folder / "curate.yaml").write_text(yaml.safe_dump(document))


def evaluate(*words: str) -> str:
    result = CliRunner().invoke(app, ["evaluate", *words])
    assert result.exit_code == 0, result.output
    return result.output


def read_scores(folder: Path) -> dict[tuple[str, str], float]:
    with Lake.open(Config(workspace=str(folder / ".curate")).location, read_only=True) as lake:
        rows = lake.rows(
            "SELECT benchmark, subset, value FROM evaluations WHERE subject = 'words' AND metric = 'accuracy'"
        )
    return {(benchmark, subset): value for benchmark, subset, value in rows}


def test_formats_are_named_in_the_configuration(project: Path) -> None:
    own = {"kind": "./benchmark_format.py:ReaderVotes", "least": 0.6}
    write_config(
        project,
        {"name": "trivia", "source": "trivia.jsonl", "format": "./benchmark_format.yaml"},
        {"name": "readers", "source": "readers.jsonl", "format": own},
    )
    evaluate()
    scores = read_scores(project)
    assert scores["readers", "all"] == 0.5
    assert scores["trivia", "math"] == scores["trivia", "all"]
    with Lake.open(Config(workspace=str(project / ".curate")).location, read_only=True) as lake:
        details = lake.value("SELECT details FROM runs WHERE part = 'benchmark readers'")
        assert "readers are divided" in str(details)


def test_formats_are_named_on_the_command_line(project: Path) -> None:
    write_config(project)
    evaluate("--judge", "words", "-b", "trivia.jsonl", "-f", "./benchmark_format.yaml")
    assert ("trivia", "math") in read_scores(project)
