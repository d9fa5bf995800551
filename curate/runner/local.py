"""The runner of one machine: every call is made at once, in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from curate.runner.base import Runner, Task

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Made(Task[T]):
    value: T

    def result(self) -> T:
        return self.value


class LocalRunner(Runner):
    """Calls functions in this process, one after another."""

    def start(self) -> int:
        return 0

    def submit(self, function: Callable[..., T], *arguments: Any) -> Task[T]:
        return _Made(function(*(task.value if isinstance(task, _Made) else task for task in arguments)))
