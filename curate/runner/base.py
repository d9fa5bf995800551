"""The contract of a runner: it calls functions, here or elsewhere, and gives back what they return."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from pydantic import Field

from curate.core.errors import CurateError
from curate.core.section import Section

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class RunnerOptions(Section):
    """Options of every runner; each kind adds its own."""

    shards: int | None = Field(
        None,
        ge=1,
        description="Parts into which the aggregation cuts its prompts, for the workers to compute; null: it is "
        "computed in this process. The labels are the same.",
    )


class Task(Protocol[T_co]):
    """A call of a function, which may not have ended. Another call may take it as an argument."""

    def result(self) -> T_co:
        """Wait for the end of the call, and return what the function has returned.

        Raises:
            CurateError: The function has raised it, or the workers do not live long enough.
        """


class Runner(ABC):
    """An engine that calls functions. A worker that dies loses its calls in flight: they are made again elsewhere.

    So a function must be one that may be called twice. It belongs to a module, since workers import it by its name.
    Making a runner starts nothing: workers start with the first question for them.

    Attributes:
        Options: What curate.yaml can set beside the name of the runner.
    """

    Options: ClassVar[type[RunnerOptions]] = RunnerOptions

    def __init__(self, options: Any = None) -> None:
        self.options: Any = self.Options() if options is None else options
        self._workers: int | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def workers(self) -> int:
        """Number of calls that are made at the same time; 0: in this process, one after another."""
        with self._lock:
            if self._workers is None:
                self._workers = self.start()
            return self._workers

    @abstractmethod
    def start(self) -> int:
        """Start the workers, or connect to them, and return how many calls they make at the same time.

        Raises:
            CurateError: Nobody answers.
        """

    @abstractmethod
    def submit(self, function: Callable[..., T], *arguments: Any) -> Task[T]:
        """Begin a call; `workers` has been read before.

        Args:
            function: Function of a module.
            *arguments: Values that can be pickled, and tasks, in whose place the function gets what they return.
        """

    def close(self) -> None:
        """Stop the workers that this runner has started; calls in flight end. It may be closed again."""
        return


class Outcome(Generic[T]):
    """The value of a call, or the mistake of the user that it has met, which is no failure of the engine."""

    def __init__(self, value: T | None, error: CurateError | None = None) -> None:
        self.value, self.error = value, error

    def unwrap(self) -> T:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # without an error there is one


def call_function(function: Callable[..., T], *arguments: Any) -> Outcome[T]:
    """Call a function in a worker. Outcomes among the arguments, of earlier calls, become their values."""
    try:
        values = [value.unwrap() if isinstance(value, Outcome) else value for value in arguments]
        return Outcome(function(*values))
    except CurateError as error:
        return Outcome(None, error)
