"""Calls by Dask: a `LocalCluster` of this machine, or the workers of a scheduler that runs already."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import Field

from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.kernels import thread_count
from curate.runner.base import Outcome, Runner, RunnerOptions, Task, call_function

T = TypeVar("T")
# Ctrl-C is for the command, which waits for what workers have been asked; a terminal sends it to them too.
_IGNORE_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"


class DaskOptions(RunnerOptions):
    """Options of `dask`."""

    address: str | None = Field(
        None, description="Address of a scheduler, as tcp://host:8786; null: workers of this machine alone."
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="Without an address: number of worker processes; null: one for each processor.",
    )
    resources: dict[str, float] = Field(
        default_factory=dict,
        description="What a call takes of its worker's resources, such as {GPU: 1}; workers of `address` state theirs.",
    )
    wait: float = Field(60.0, gt=0, description="Seconds to wait for the scheduler and its first worker.")


@dataclass(frozen=True, slots=True)
class _DaskTask(Task[T]):
    future: Any

    def result(self) -> T:
        from dask.distributed import KilledWorker

        try:
            outcome: Outcome[T] = self.future.result()
        except KilledWorker as error:
            raise CurateError(
                "`runner: dask`: every worker that took up a chunk of work has died, four in a row: give the workers "
                "more memory, or lower `judge.chunk`."
            ) from error
        except CancelledError as error:
            raise CurateError(
                f"`runner: dask`: the scheduler is gone ({error}): start it again, and run the same command to go on."
            ) from error
        return outcome.unwrap()


class DaskRunner(Runner):
    """Calls functions in the workers of Dask, each call in one of them; the scheduler repeats those of a dead one."""

    Options = DaskOptions

    def __init__(self, options: DaskOptions | None = None) -> None:
        super().__init__(options)
        require_extra("dask", "distributed", purpose="`runner: dask`")
        self._cluster: Any = None
        self._client: Any = None

    def start(self) -> int:
        import dask
        from dask.distributed import Client, LocalCluster

        given: DaskOptions = self.options
        # Shards go through the scheduler, which can send them to another worker; Dask would warn of their size.
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})
        if given.address is None:
            number = given.workers or thread_count()
            self._cluster = LocalCluster(
                n_workers=number,
                threads_per_worker=1,  # a model in a process is asked by one thread
                processes=True,
                dashboard_address="127.0.0.1:0",  # its default port may be in use
                resources=given.resources or None,
                preload=[_IGNORE_SIGINT],
            )
        try:
            self._client = Client(self._cluster or given.address, timeout=given.wait)
            self._client.wait_for_workers(1, timeout=given.wait)
        except (OSError, TimeoutError, ValueError) as error:
            self.close()
            raise CurateError(
                f"`runner.address`: no scheduler of Dask with a worker answers at {given.address} within "
                f"{given.wait:g} s ({error}): start `dask scheduler` and `dask worker`, or mend the address."
            ) from error
        return sum(self._client.nthreads().values())

    def submit(self, function: Callable[..., T], *arguments: Any) -> Task[T]:
        given = [task.future if isinstance(task, _DaskTask) else task for task in arguments]
        resources = self.options.resources or None
        return _DaskTask(
            self._client.submit(call_function, function, *given, pure=False, resources=resources)
        )

    def close(self) -> None:
        for part in (self._client, self._cluster):
            if part is not None:
                part.close()
