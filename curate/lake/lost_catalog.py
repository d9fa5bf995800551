"""A PostgreSQL catalog that goes away: it is restarted, or the network is down for a while.

Reads and the taking of the lock begin again until the catalog is back. A transaction in flight is lost as a whole,
unless the catalog kept it; `curate.lake.lake:Lake.write` finds that out, so whoever made it may safely make it again.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

import duckdb

from curate.core.errors import CurateError
from curate.core.log_lines import write_log_line
from curate.core.secrets import scrub_text
from curate.lake.data_folder import hide_password

PATIENCE = 120.0  # seconds for a catalog that is away
_TRIES = 5  # of a transaction that was lost
_LOST = re.compile(
    r"Unable to connect to Postgres|server closed the connection|terminating connection|connection to server|"
    r"no connection to the server|could not (send|receive) data|SSL (SYSCALL|connection)|"
    # What comes after it in the same transaction, where DuckDB told the cause to nobody.
    r"Current transaction is aborted|"
    r"database system is (starting|shutting)|Failed to (execute|prepare) query \"(BEGIN|COMMIT|ROLLBACK)",
    re.IGNORECASE,
)
_WRONG = re.compile(
    r"authentication failed|does not exist|no pg_hba.conf entry|could not translate host name"
)
_Result = TypeVar("_Result")


class CatalogLostError(CurateError):
    """The connection to the catalog broke in a transaction, of which nothing was kept: it may be made again."""


def is_lost(error: BaseException) -> bool:
    """Tell whether an error of DuckDB says that the connection to PostgreSQL broke or cannot be made for now."""
    text = str(error)
    return isinstance(error, duckdb.Error) and bool(_LOST.search(text)) and not _WRONG.search(text)


def wait_for_catalog(catalog: str, ask: Callable[[], _Result], patience: float = PATIENCE) -> _Result:
    """Ask the catalog something, again while it is away.

    Args:
        catalog: Its address, for the error.
        ask: What may be asked twice: it reads, or is undone with its connection.
        patience: Seconds until it is given up.

    Raises:
        CurateError: It is away for longer.
    """
    end, pause = time.monotonic() + patience, 0.05
    while True:
        try:
            return ask()
        except duckdb.Error as error:
            if not is_lost(error):
                raise
            if time.monotonic() + pause > end:
                reason = scrub_text(" ".join(str(error).replace(catalog, hide_password(catalog)).split()))
                raise CurateError(
                    f"The catalog {hide_password(catalog)} has not answered for {patience:.0f} s, and what was "
                    f"committed before is kept: start it, and run the same command again ({reason})."
                ) from error
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, 2.0)


def repeat_when_lost(write: Callable[[], _Result]) -> _Result:
    """Write something that is one transaction, again if it was lost with the connection to the catalog."""
    for _ in range(_TRIES - 1):
        try:
            return write()
        except CatalogLostError:  # the next try waits for the lock, and so for the catalog
            write_log_line(
                "catalog",
                "The connection to the catalog broke: what it interrupted is done again.",
                level="warning",
            )
    return write()
