"""SECURITY.md names a test for each fault, and the tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = re.findall(r"^\| (\d+) \| .+ \| `(\S+)` \|$", (ROOT / "SECURITY.md").read_text(encoding="utf-8"), re.M)


def test_all_faults_are_in_the_table() -> None:
    assert len(ROWS) >= 35
    assert [int(number) for number, _ in ROWS] == list(range(1, len(ROWS) + 1))


@pytest.mark.parametrize(("number", "test"), ROWS)
def test_the_test_of_a_fault_exists(number: str, test: str) -> None:
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
