"""Where work is done: in this process, or by the workers of an engine that exists. One runner a file.

`runner` of curate.yaml names one. A runner of one's own is a class derived from `Runner`, named as `./mine.py:Mine`. A
runner is imported when it is asked for, so that its engine is needed only where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate.config.project import Config
from curate.config.validation import validate_options
from curate.core.registry import Registry, split_choice
from curate.runner.base import Runner

RUNNERS: Registry[Runner] = Registry(
    "runner",
    Runner,  # type: ignore[type-abstract]
    builtin={
        "local": "curate.runner.local:LocalRunner",
        "dask": "curate.runner.dask:DaskRunner",
        "ray": "curate.runner.ray:RayRunner",
    },
)


def open_runner(config: Config) -> Runner:
    """Open the runner of a project: start its workers, or connect to them. It is to be closed.

    Raises:
        CurateError: There is no such runner, it has no such option, its packages are missing, or nobody answers.
    """
    return _make_runner(config.runner, config.resolve("."))


def _make_runner(choice: str | Mapping[str, Any], folder: Path) -> Runner:
    name, options = split_choice(choice)
    registered = RUNNERS.find(name, where="runner", folder=folder)
    return registered.type(validate_options(registered.type.Options, options, where="runner"))
