"""How long each test takes: measured by `make times`, kept in times.tsv, and what `make check` leaves out by it.

One line a test function, with the processor time and the wall time of all its cases together. What a shared fixture
takes is divided among the tests that use it, whichever of them came first. Functions below `QUICK_SECONDS` have no
line: a new test is quick until it has been measured.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TABLE = Path(__file__).parent / "times.tsv"
QUICK_SECONDS = 0.2  # of processor time; together they take little
SLOW_SECONDS = 0.5  # from here on a function is marked `slow`, and left out by `make check`


class Seconds(NamedTuple):
    """Processor time, with that of processes that have ended, and wall time."""

    processor: float
    wall: float

    @classmethod
    def now(cls) -> Seconds:
        own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return cls(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, time.monotonic())

    def since(self, before: Seconds) -> Seconds:
        return Seconds(self.processor - before.processor, self.wall - before.wall)

    def plus(self, other: Seconds) -> Seconds:
        return Seconds(self.processor + other.processor, self.wall + other.wall)


NOTHING = Seconds(0, 0)


def name_function(test: str) -> str:
    """Return the name of a test without its parameters."""
    return test.partition("[")[0].partition("@")[0]


def read_times(table: Path = TABLE) -> dict[str, Seconds]:
    """Read the table: seconds by test function."""
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    return {function: Seconds(float(processor), float(wall)) for processor, wall, function in rows}


def write_times(times: dict[str, Seconds], table: Path) -> None:
    """Write the table without the quick functions, in the order of their names."""
    lines = [
        f"{seconds.processor:.1f}\t{seconds.wall:.1f}\t{function}\n"
        for function, seconds in sorted(times.items())
        if seconds.processor >= QUICK_SECONDS
    ]
    table.write_text("processor\twall\tfunction\n" + "".join(lines), encoding="utf-8")


def list_shared_fixtures(item: pytest.Item) -> list[str]:
    """Name the fixtures that a test shares with other tests."""
    definitions = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    return [name_fixture(found[-1]) for found in definitions.values() if found[-1].scope != "function"]


def name_fixture(definition: Any) -> str:
    return f"{definition.baseid}::{definition.argname}"


class TimesRecorder:
    """A plugin for `--record-times`: workers measure, and the process that collects their reports writes the table."""

    def __init__(self, table: Path) -> None:
        self._table = table
        self._mark = NOTHING
        self._fixtures: dict[str, Seconds] = {}  # made since the last report
        self._own: dict[str, Seconds] = {}  # by test
        self._shared: dict[str, Seconds] = {}  # by fixture
        self._users: dict[str, list[str]] = {}  # tests by fixture

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[Any]:
        self._mark = Seconds.now()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[Any]:
        before = Seconds.now()
        try:
            return (yield)
        finally:
            if fixturedef.scope != "function":
                self._fixtures[name_fixture(fixturedef)] = Seconds.now().since(before)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[Any]:
        report = yield
        passed, self._mark = Seconds.now().since(self._mark), Seconds.now()
        for seconds in self._fixtures.values():
            passed = passed.since(seconds)
        # Plain tuples: reports go from process to process.
        report.seconds, report.made = (
            tuple(passed),
            {name: tuple(made) for name, made in self._fixtures.items()},
        )
        self._fixtures = {}
        report.used = list_shared_fixtures(item) if report.when == "setup" else []
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add what a worker measured."""
        test = report.nodeid.partition("@")[0]  # xdist adds the group
        self._own[test] = self._own.get(test, NOTHING).plus(Seconds(*report.seconds))
        for fixture, seconds in report.made.items():
            self._shared[fixture] = self._shared.get(fixture, NOTHING).plus(Seconds(*seconds))
        for fixture in report.used:
            self._users.setdefault(fixture, []).append(test)

    def sum_functions(self) -> dict[str, Seconds]:
        """Add up the cases of each function, with their part of the shared fixtures."""
        total: dict[str, Seconds] = {}
        for test, seconds in self._own.items():
            function = name_function(test)
            total[function] = total.get(function, NOTHING).plus(seconds)
        for fixture, seconds in self._shared.items():
            users = self._users.get(fixture, [])
            for function, number in Counter(name_function(test) for test in users).items():
                part = number / len(users)
                total[function] = total[function].plus(Seconds(seconds.processor * part, seconds.wall * part))
        return total

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(
            session.config, "workerinput"
        ):  # a worker, whose reports go to the process that started it
            return
        measured = self.sum_functions()
        root = session.config.rootpath
        before = read_times(self._table) if self._table.is_file() else {}
        kept = {
            function: seconds
            for function, seconds in before.items()
            if function not in measured and (root / function.partition("::")[0]).is_file()
        }
        write_times(kept | measured, self._table)
