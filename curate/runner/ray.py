"""Calls by Ray: worker processes of this machine, or those of a cluster that runs already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import Field

from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.kernels import thread_count
from curate.runner.base import Outcome, Runner, RunnerOptions, Task, call_function

T = TypeVar("T")
_REPEATS = 3  # times that a call is made again when its worker dies


class RayOptions(RunnerOptions):
    """Options of `ray`."""

    address: str | None = Field(
        None, description="Address of a cluster, as host:6379 or `auto`; null: workers of this machine alone."
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="Without an address: number of worker processes; null: one for each processor.",
    )
    num_cpus: float = Field(1.0, gt=0, description="Processors that a call takes.")
    num_gpus: float = Field(0.0, ge=0, description="GPUs that a call takes.")


@dataclass(frozen=True, slots=True)
class _RayTask(Task[T]):
    reference: Any

    def result(self) -> T:
        import ray

        try:
            outcome: Outcome[T] = ray.get(self.reference)
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
            raise CurateError(
                f"`runner: ray`: a worker died each of {1 + _REPEATS} times that it took up this work: give the "
                "workers more memory, or lower `judge.chunk`."
            ) from error
        return outcome.unwrap()


class RayRunner(Runner):
    """Calls functions as tasks of Ray, which makes those of a dead worker again."""

    Options = RayOptions

    def __init__(self, options: RayOptions | None = None) -> None:
        super().__init__(options)
        require_extra("ray", "ray", purpose="`runner: ray`")
        self._owns_cluster = False
        self._call: Any = None

    def start(self) -> int:
        import ray

        given: RayOptions = self.options
        self._owns_cluster = not ray.is_initialized()
        if self._owns_cluster:
            number = given.workers or thread_count()
            own = {
                "num_cpus": number * given.num_cpus,
                "include_dashboard": False,
                "logging_level": "WARNING",
            }
            try:
                ray.init(given.address or "local", log_to_driver=False, **({} if given.address else own))
            except (ConnectionError, ValueError) as error:
                raise CurateError(
                    f"`runner.address`: no cluster of Ray answers at {given.address} ({error}): start one with "
                    "`ray start --head`, or mend the address."
                ) from error
        # Workers are kept for the next call, those with a GPU too, or each call would load its model anew.
        self._call = ray.remote(
            num_cpus=given.num_cpus, num_gpus=given.num_gpus, max_retries=_REPEATS, max_calls=0
        )(call_function)
        total = ray.cluster_resources()
        fits = [total.get("CPU", 0.0) / given.num_cpus]
        if given.num_gpus:
            fits.append(total.get("GPU", 0.0) / given.num_gpus)
        if min(fits) < 1:
            raise CurateError(
                f"`runner`: a call takes {given.num_cpus:g} processors and {given.num_gpus:g} GPUs, more than Ray has: "
                "lower `num_cpus` or `num_gpus`, or add machines."
            )
        return int(min(fits))

    def submit(self, function: Callable[..., T], *arguments: Any) -> Task[T]:
        given = [task.reference if isinstance(task, _RayTask) else task for task in arguments]
        return _RayTask(self._call.remote(function, *given))

    def close(self) -> None:
        if self._owns_cluster:
            import ray

            ray.shutdown()
