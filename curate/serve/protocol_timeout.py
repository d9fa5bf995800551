"""An HTTP protocol for uvicorn that cuts clients who never finish the head of a request."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # from the first byte, or from the connection, to the end of the headers


class TimedProtocol(H11Protocol):
    """Uvicorn waits for headers without end; here a connection without a whole request is closed after a while."""

    head_seconds = HEAD_SECONDS
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock of a new connection."""
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and stop the clock once a request has begun."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    @property
    def _is_waiting(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _watch_head(self) -> None:
        if not self._is_waiting:
            self._stop_clock()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self._cut_client)

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut_client(self) -> None:
        self._timer = None
        if self._is_waiting and not self.transport.is_closing():
            self.transport.close()
