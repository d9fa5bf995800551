"""The lock of all writers to a PostgreSQL catalog: an advisory lock that a session of its own holds.

It outlives the commit of the data transaction, which has another session, and ends with the process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import duckdb

from curate.core.sql_text import quote_text
from curate.lake.extensions import connect_duckdb
from curate.lake.lost_catalog import wait_for_catalog

_KEY = 0x63757261  # "cura"
# No limit of the server may end the session while a long transaction holds the lock.
_NO_LIMITS = (
    "SELECT set_config(''idle_in_transaction_session_timeout'', ''0'', true) AS idle, "
    "set_config(''statement_timeout'', ''0'', true) AS statement, set_config(''lock_timeout'', ''0'', true) AS waiting"
)


class CatalogLock:
    """Holds the lock; the connection stays open from one time to the next."""

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog
        self._session: duckdb.DuckDBPyConnection | None = None

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock; waits for other writers, and for a catalog that is away."""
        wait_for_catalog(self._catalog, self._take)
        try:
            yield
        finally:
            self._release()

    def verify_lock(self) -> None:
        """Raise duckdb.Error if the session that holds the lock is gone: then others may be writing."""
        assert self._session is not None
        self._query(self._session, "SELECT 1")

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _take(self) -> None:
        try:
            if self._session is None:
                self._session = connect_duckdb("postgres_scanner")
                self._session.execute(f"ATTACH {quote_text(self._catalog)} AS catalog (TYPE postgres)")
            self._session.execute("BEGIN")
            self._query(self._session, _NO_LIMITS)
            self._query(self._session, f"SELECT pg_advisory_xact_lock({_KEY})::text")
        except BaseException:
            self._release()
            self.close()
            raise

    def _release(self) -> None:
        # Always said: DuckDB ends the whole process if it closes a transaction whose server is gone.
        if self._session is not None:
            try:
                self._session.execute("ROLLBACK")
            except duckdb.Error:  # the lock is gone with its session
                self.close()

    @staticmethod
    def _query(session: duckdb.DuckDBPyConnection, query: str) -> None:
        session.execute(f"SELECT * FROM postgres_query('catalog', '{query}')").fetchall()
