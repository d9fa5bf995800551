"""The command line tells mistakes in one sentence, with exit code 1 and no traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from curate import __version__
from curate.cli import main


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert call(monkeypatch, "init", str(tmp_path / "p")) == 0
    monkeypatch.chdir(tmp_path / "p")
    return tmp_path / "p"


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.strip() == f"curate {__version__}"


def test_start_up_imports_nothing_heavy() -> None:
    import subprocess

    heavy = [
        "torch",
        "transformers",
        "prefect",
        "datasets",
        "numba",
        "sentence_transformers",
        "altair",
        "scipy",
        "sklearn",
        "pandas",
    ]
    code = f"import sys, curate.cli; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "-c", "nowhere.yaml"], "There is no nowhere.yaml"),
        (["status"], "There is no lake at"),
        (["sql", "SELECT 1"], "There is no lake at"),
        (["report"], "There is no lake at"),
        (["init", "."], "exists already"),
        (["export", "x", "--format", "csv"], "`format` is 'csv'"),
    ],
)
def test_mistakes_are_one_sentence(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert call(monkeypatch, *arguments) == 1
    error = capsys.readouterr().err
    assert message in " ".join(error.split())
    assert "Traceback" not in error


def test_sql_and_status_after_ingest(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "ingest") == 0
    capsys.readouterr()
    assert call(monkeypatch, "sql", "SELECT count(*) AS n FROM responses", "--format", "csv") == 0
    assert call(monkeypatch, "sql", "DELETE FROM prompts") == 1
    assert "read-only" in capsys.readouterr().err
    assert call(monkeypatch, "status", "--json") == 0
    assert '"reconciles": true' in capsys.readouterr().out
