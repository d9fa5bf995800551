"""An HTTP protocol for uvicorn that cuts clients who never finish the head of a request, or never read an answer."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # from the first byte, or from the connection, to the end of the headers
READ_SECONDS = 20.0  # in which a client must have taken in some of an answer that waits for it


class TimedProtocol(H11Protocol):
    """Uvicorn waits for headers without end; here a connection without a whole request is closed after a while.

    So is one whose client takes in nothing of an answer, which would be kept for it in memory.
    """

    head_seconds = HEAD_SECONDS
    read_seconds = READ_SECONDS
    _timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock of a new connection."""
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and stop the clock once a request has begun."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._stop_clock()
        self._stop_read_clock()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the clock of an answer that is larger than what the client takes in."""
        super().pause_writing()
        if self._read_timer is None:
            self._watch_reader()

    def resume_writing(self) -> None:
        """Stop it, now that little of the answer is left."""
        self._stop_read_clock()
        super().resume_writing()

    def _watch_reader(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._read_timer = self.loop.call_later(self.read_seconds, self._cut_reader, left)

    def _cut_reader(self, before: int) -> None:
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()  # closing would wait until the client has read all of it
        else:
            self._watch_reader()

    def _stop_read_clock(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

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
