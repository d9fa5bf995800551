"""The notebook of examples/notebook: well formed, short, and its outputs are what its cells give."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "notebook"


@pytest.fixture
def notebook() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / "quickstart.ipynb").read_text(encoding="utf-8"))
    return content


def test_its_outputs_are_what_its_cells_give(
    notebook: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    execute_notebook = runpy.run_path(str(FOLDER / "execute.py"))["execute_notebook"]
    again = execute_notebook(notebook)
    for cell, new in zip(notebook["cells"], again["cells"], strict=True):
        assert new.get("outputs") == cell.get("outputs"), (
            "the outputs are of another version: run examples/notebook/execute.py in an empty folder"
        )


def test_it_is_a_notebook_of_format_4(notebook: dict[str, Any]) -> None:
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        assert cell["cell_type"] in {"code", "markdown"}
        assert all(isinstance(line, str) for line in cell["source"])
        assert ("outputs" in cell) == ("execution_count" in cell) == (cell["cell_type"] == "code")
    assert any(cell.get("outputs") for cell in notebook["cells"])
    assert "/home" not in json.dumps(notebook)
    assert "/tmp" not in json.dumps(notebook)
