"""Runners: the registry, what a missing package or address says, calls that wait for calls, errors of users."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.config.project import RUNNER_NAMES, Config, load_config
from curate.core import extras
from curate.core.errors import CurateError
from curate.runner import RUNNERS, Runner, open_runner

PACKAGES = {"dask": "distributed", "ray": "ray"}


def is_missing(name: str) -> bool:
    return name in PACKAGES and importlib.util.find_spec(PACKAGES[name]) is None


def every_runner() -> list[object]:
    return [
        pytest.param(
            name, marks=pytest.mark.skipif(is_missing(name), reason=f"{PACKAGES.get(name)} is not installed")
        )
        for name in RUNNER_NAMES
    ]


@pytest.fixture(params=every_runner())
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    options = {} if request.param == "local" else {"workers": 1}
    with open_runner(Config.model_validate({"runner": {"kind": request.param, **options}})) as opened:
        yield opened


def add_numbers(first: int, second: int) -> int:
    return first + second


def read_process(_: int) -> int:
    return os.getpid()


def refuse_number(number: int) -> int:
    raise CurateError(f"The number {number} is wrong: give another one.")


def test_a_call_takes_the_results_of_other_calls(runner: Runner) -> None:
    assert runner.workers == (0 if type(runner).__name__ == "LocalRunner" else 1)
    first = runner.submit(add_numbers, 1, 2)
    assert runner.submit(add_numbers, first, runner.submit(add_numbers, first, 4)).result() == 10
    assert (runner.submit(read_process, 1).result() == os.getpid()) == (runner.workers == 0)


def test_a_mistake_of_the_user_comes_back_as_it_is(runner: Runner) -> None:
    assert runner.workers >= 0
    with pytest.raises(CurateError, match=r"^The number 7 is wrong: give another one\.$"):
        runner.submit(add_numbers, 1, runner.submit(refuse_number, 7)).result()


def test_the_names_in_the_settings_are_those_of_the_registry() -> None:
    assert sorted(RUNNER_NAMES) == sorted(RUNNERS.names)


def test_a_missing_package_is_one_sentence_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    for name in ("dask", "ray"):
        with pytest.raises(
            CurateError, match=rf"`runner: {name}` needs .*: run `pip install 'curate\[{name}\]'`\."
        ):
            open_runner(Config.model_validate({"runner": name}))


@pytest.mark.parametrize(
    ("runner", "message"),
    [
        ("dusk", "did you mean `dask`"),
        ("{workers: 2}", "needs its name as `kind`"),
        ("{kind: local, worker: 2}", "worker"),
    ],
)
def test_a_wrong_runner_is_refused(tmp_path: Path, runner: str, message: str) -> None:
    (tmp_path / "curate.yaml").write_text(f"runner: {runner}\n")
    with pytest.raises(CurateError, match=message):
        open_runner(load_config(tmp_path / "curate.yaml"))


@pytest.mark.skipif(is_missing("dask"), reason="distributed is not installed")
def test_an_address_where_nobody_answers_is_refused() -> None:
    choice = {"kind": "dask", "address": "tcp://127.0.0.1:9", "wait": 1}
    with (
        open_runner(Config.model_validate({"runner": choice})) as runner,
        pytest.raises(CurateError, match=r"127\.0"),
    ):
        _ = runner.workers


def test_a_runner_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from curate.runner.local import LocalRunner\nclass Mine(LocalRunner):\n    pass\n"
    )
    (tmp_path / "curate.yaml").write_text("runner: ./mine.py:Mine\n")
    with open_runner(load_config(tmp_path / "curate.yaml")) as runner:
        assert (type(runner).__name__, runner.workers) == ("Mine", 0)
