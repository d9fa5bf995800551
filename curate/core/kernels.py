"""Numeric kernels: compiled and cached by numba, run on slices of prompts in threads.

Kernels release the GIL and run in ordinary threads, one slice of prompts at a time. numba's own `prange`
would double the compile time, balance badly when a few prompts are large, and abort the process when two
threads of a flow call it at once (workqueue layer) or when a process that used it forks (OpenMP layer).
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from curate.core.log_lines import write_log_line

Function = TypeVar("Function", bound=Callable[..., object])

SLICES_PER_THREAD = 8


def compile_kernel(function: Function) -> Function:
    """Compile a function with numba at its first call, and keep the machine code on disk.

    numba knows a stale cache by the file of the function alone, so a kernel calls only kernels of its own
    module.
    """
    import numba

    _announce_compilation()
    options = {"nogil": True, "error_model": "numpy"}
    try:
        compiled: Function = numba.njit(cache=True, **options)(function)
    except (
        RuntimeError
    ):  # neither the package nor the user's cache folder can be written: compile in each process
        compiled = numba.njit(**options)(function)
    return compiled


@functools.cache
def _announce_compilation() -> None:
    """Have one line written when numba begins to compile: a newcomer's first labels wait for it."""
    from numba.core import event

    class Announcement(event.Listener):  # type: ignore[misc]  # numba has no types
        is_made = False

        def on_start(self, event: object) -> None:
            if not self.is_made:
                self.is_made = True
                write_log_line(
                    "compile",
                    "compiling numeric kernels: up to half a minute, the first time on this machine",
                )

        def on_end(self, event: object) -> None:
            """Say nothing: the stage's own progress goes on."""

    event.register("numba:compile", Announcement())


def thread_count(threads: int | None = None) -> int:
    """The number asked for, else the number of processors that this process may use."""
    if threads is not None:
        return max(1, threads)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def over_slices(
    work: Callable[[int, int], object],
    cost: NDArray[np.int64] | NDArray[np.float64],
    *,
    threads: int | None = None,
) -> None:
    """Call `work(first, last)` on slices that cover `0 … len(cost)-1`, of about equal cost, from several threads.

    `cost[i]` is what item i costs, in any unit; it only balances the slices. Results must not depend on the
    slicing.
    """
    workers = thread_count(threads)
    if workers == 1 or len(cost) < 2:
        work(0, len(cost))
        return
    total = np.cumsum(cost, dtype=np.float64)
    marks = np.linspace(0.0, float(total[-1]), workers * SLICES_PER_THREAD + 1)[1:-1]
    bounds = np.unique(np.concatenate(([0], np.searchsorted(total, marks), [len(cost)]))).tolist()
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work, first, last) for first, last in itertools.pairwise(bounds)]:
            done.result()
