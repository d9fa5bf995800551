"""What `make check` leaves out, and how the table that decides it is made."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.times import (
    NOTHING,
    QUICK_SECONDS,
    SLOW_SECONDS,
    Seconds,
    TimesRecorder,
    name_function,
    read_times,
    write_times,
)

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(folder.parent.name for folder in (ROOT / "curate").glob("*/__init__.py"))
CONFTEST = """
import sys
from pathlib import Path

import pytest

sys.path.insert(0, {root!r})
from tests.times import TimesRecorder


def pytest_configure(config):
    config.pluginmanager.register(TimesRecorder(Path("times.tsv").resolve()))
"""
TESTS = """
import time

import pytest


def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.fixture(scope="module")
def costly():
    work(1.2)


def test_first(costly): ...


@pytest.mark.parametrize("case", ["a@b", "b[c]", "c"])
def test_cases(costly, case):
    work(0.4)


def test_quick(): ...
"""


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_has_quick_tests(package: str) -> None:
    slow = {name for name, seconds in read_times().items() if seconds.processor >= SLOW_SECONDS}
    tests = [
        f"{file.relative_to(ROOT).as_posix()}::{node.name}"
        for file in (ROOT / "tests" / package).rglob("test_*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    quick = [name for name in tests if name not in slow]
    assert len(quick) >= max(1, min(8, len(tests) / 3)), (
        f"make check has {len(quick)} of {len(tests)} functions"
    )


@pytest.mark.parametrize("workers", [[], ["--numprocesses", "2", "--dist", "loadgroup"]])
def test_a_shared_fixture_is_divided_among_its_tests(tmp_path: Path, workers: list[str]) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.format(root=str(ROOT)))
    (tmp_path / "test_sample.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    write_times({"test_sample.py::test_quick": Seconds(9, 9)}, tmp_path / "times.tsv")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    times = read_times(tmp_path / "times.tsv")
    assert set(times) == {"test_sample.py::test_first", "test_sample.py::test_cases"}
    if not workers:  # workers may make the fixture once each
        assert times["test_sample.py::test_first"].processor == pytest.approx(0.3, abs=0.15)
    assert times["test_sample.py::test_cases"].processor >= 1.2 + 3 * 0.3 - 0.1
    assert times["test_sample.py::test_cases"].wall >= times["test_sample.py::test_cases"].processor - 0.2


def test_the_table_keeps_what_was_not_run_and_drops_files_that_are_gone(tmp_path: Path) -> None:
    table = tmp_path / "times.tsv"
    (tmp_path / "test_kept.py").touch()
    write_times({"test_kept.py::test_a": Seconds(2, 3), "test_gone.py::test_b": Seconds(2, 3)}, table)

    class Session:
        class config:  # noqa: N801
            rootpath = tmp_path

    TimesRecorder(table).pytest_sessionfinish(Session)  # type: ignore[arg-type]
    assert read_times(table) == {"test_kept.py::test_a": Seconds(2, 3)}


def test_what_is_quick_has_no_line(tmp_path: Path) -> None:
    table = tmp_path / "times.tsv"
    quick, measured = Seconds(QUICK_SECONDS / 2, 9), Seconds(QUICK_SECONDS, 9)
    write_times({"test_a.py::test_quick": quick, "test_a.py::test_measured": measured}, table)
    assert read_times(table) == {"test_a.py::test_measured": measured}


def test_slow_functions_are_marked_and_the_longest_groups_come_first(request: pytest.FixtureRequest) -> None:
    times = read_times()
    groups: dict[str, float] = {}
    functions = set()
    for item in request.session.items:
        function = name_function(item.nodeid)
        seconds = times.get(function, NOTHING)
        is_slow = seconds.processor >= SLOW_SECONDS
        assert (item.get_closest_marker("slow") is not None) == is_slow, item.nodeid
        group = item.get_closest_marker("xdist_group").args[0]  # type: ignore[union-attr]
        groups[group] = groups.get(group, 0) + (0 if function in functions else seconds.wall)
        functions.add(function)
    is_whole = not (request.config.getoption("keyword") or request.config.getoption("markexpr"))
    if len(groups) > 1 and is_whole:  # what was deselected counts in the order
        assert list(groups.values()) == sorted(groups.values(), reverse=True)
