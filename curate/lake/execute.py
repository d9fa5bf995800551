"""Execute SQL without the import of pandas that DuckDB would make for it.

DuckDB compares each parameter with pandas.NaT, and asks of each table of Python's whether it is a frame of pandas. It
imports pandas for that where it is installed: .4 s of nearly every command. Where nobody has imported pandas, nothing
can be of its kinds.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

import duckdb


class _PandasGuard(MetaPathFinder):
    """Refuses to find pandas in a thread that executes SQL, and in DuckDB's own threads meanwhile."""

    def __init__(self) -> None:
        self._executing: set[int] = set()

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname == "pandas" and self._executing and self._refuses(threading.get_ident()):
            raise ModuleNotFoundError("pandas is not needed for SQL", name="pandas")
        return None

    def _refuses(self, thread: int) -> bool:
        # DuckDB reads a frame of polars through pyarrow.dataset, which imports pandas, in threads Python did not start.
        return thread in self._executing or all(thread != other.ident for other in threading.enumerate())

    def __enter__(self) -> None:
        self._executing.add(threading.get_ident())

    def __exit__(self, *_: object) -> None:
        self._executing.discard(threading.get_ident())


_GUARD = _PandasGuard()
sys.meta_path.insert(0, _GUARD)


def execute(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()
) -> duckdb.DuckDBPyConnection:
    """Execute a query; the result is that of `connection.execute`.

    Args:
        connection: The connection.
        query: One statement, or several without parameters.
        parameters: What stands for `?` or `$1`, in their order.
    """
    if "pandas" in sys.modules:
        return connection.execute(query, list(parameters))
    with _GUARD:
        return connection.execute(query, list(parameters))
