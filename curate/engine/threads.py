"""How many threads torch may use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: the same input gives the same bits on any number of cores.

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
