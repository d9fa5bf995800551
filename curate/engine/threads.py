"""The number of threads that torch may use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")


@contextlib.contextmanager
def limit_to_one_thread() -> Iterator[None]:
    """Run torch on one thread: the same input gives the same bits on any number of cores.

    Small operators gain little from more, and lose a factor of twenty when other processes want the cores:
    the threads of an operator wait for each other by spinning.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def map_on_cores(function: Callable[[T], U], items: Iterable[T], *, device: Any) -> Iterator[U]:
    """Yield `function` of each item, in their order.

    On a CPU, as many items are computed at a time as torch has threads, each on one thread. So the bits are the same on
    any number of cores, all cores are used, and no thread spins.
    """
    import torch

    if torch.device(device).type != "cpu":
        yield from map(function, items)
        return
    cores = torch.get_num_threads()
    with limit_to_one_thread(), ThreadPoolExecutor(cores) as pool:
        yield from pool.map(function, items)
