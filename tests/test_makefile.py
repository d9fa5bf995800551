"""`make setup` looks at the Python that it is given before it makes anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The suite runs under make itself, whose variables would make this make a part of that one.
ALONE = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
NEEDED = ("Makefile", "pyproject.toml", "constraints.txt")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not on this machine")


def set_up(folder: Path, version: tuple[int, int]) -> subprocess.CompletedProcess[str]:
    """Run `make setup` in a copy of the project with a Python that takes itself for `version` and makes no venv."""
    for name in NEEDED:
        shutil.copy(ROOT / name, folder)
    python = folder / "python"
    code = f"import sys; sys.version_info = (*{version}, 0, 'final', 0); exec(sys.argv[2])"
    python.write_text(
        f'#!/bin/sh\nif [ "$1" = -c ]; then exec {sys.executable} -c "{code}" "$@"; fi\necho "ran $*"; exit 3\n'
    )
    python.chmod(0o755)
    command = ["make", "setup", f"PYTHON={python}"]
    return subprocess.run(command, cwd=folder, env=ALONE, capture_output=True, text=True)


@pytest.mark.parametrize("version", [(3, 9), (3, 10), (3, 14), (4, 0)])
def test_another_python_is_refused_in_one_sentence_and_no_venv_is_made(
    tmp_path: Path, version: tuple[int, int]
) -> None:
    done = set_up(tmp_path, version)
    assert done.returncode != 0
    sentence, *rest = done.stderr.splitlines()
    assert sentence.startswith("curate needs Python 3.11, 3.12 or 3.13")
    assert "is {}.{}: ".format(*version) in sentence
    assert all(line.startswith("make: ***") for line in rest)
    assert "ran" not in done.stdout
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_a_python_that_will_do_makes_the_venv(tmp_path: Path, version: tuple[int, int]) -> None:
    assert "ran -m venv .venv" in set_up(tmp_path, version).stdout


def test_the_package_says_the_same() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^requires-python = ">=3\.11,<3\.14"$', project, re.MULTILINE)


@pytest.mark.parametrize(("fast", "needed"), [("", True), ("1", False)])
def test_only_the_whole_suite_needs_a_browser(fast: str, needed: bool) -> None:
    command = ["make", "--dry-run", "--always-make", "test", f"FAST={fast}"]
    plan = subprocess.run(command, cwd=ROOT, env=ALONE, capture_output=True, text=True, check=True).stdout
    assert ("tests.browser" in plan) == needed
    if needed:  # before anything long
        assert plan.index("tests.browser") < min(plan.index("mypy"), plan.index("vllm-requirements"))
