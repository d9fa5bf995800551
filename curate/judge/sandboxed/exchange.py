"""One end of the exchange between the process of the tests and the process of the code: requests and replies as lines.

    {"do": "call", "args": [f, [1, 2], {}], "shared": [...]}        # a request: what to do, with what
    {"value": 3, "shared": [...], "printed": "..."}                 # its reply, or {"raise": error, ...}

While an end waits for a reply it serves the requests of the other end: code may call a function of the tests that it
was given. On the side of the tests nothing is served but what its `guard` lets through.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

from .operations import OPERATIONS
from .values import Codec, ProtocolError

_LONGEST = 16 << 20  # bytes of a message


class Lost(BaseException):
    """The other side has ended, or breaks the protocol; tests cannot catch this error."""


class Exchange:
    """An end of the exchange.

    `broken`: reason why the tests cannot have passed, or None; `n_requests`: operations that this side has asked for.
    """

    def __init__(
        self,
        side: str,
        *,
        reads: int,
        writes: int,
        proxy: Callable[[Exchange, int, dict[str, Any]], Any],
    ) -> None:
        self.codec = Codec(side, lambda number, about: proxy(self, number, about))
        self.broken: str | None = None
        self.n_requests = 0
        self.guard: Callable[[str, list[Any]], None] = lambda name, arguments: None  # refuses by raising
        self.allow: Callable[[str, tuple[Any, ...]], None] = lambda name, arguments: (
            None
        )  # so, for own requests
        self.print: Callable[[str], None] = lambda text: None  # what the other side has printed
        self.printed: Callable[[], str] = str  # what this side has printed since the last reply
        self._reads, self._writes = reads, writes
        self._buffer = bytearray()
        self._turn = threading.RLock()

    def request(self, name: str, *arguments: Any) -> Any:
        """Ask the other side for an operation, and return its result."""
        with self._turn:
            self._check_state()
            self.allow(name, arguments)
            self.n_requests += 1
            self.send_message({"do": name, "args": arguments})
            while "do" in (message := self.receive_message()):
                self.answer_request(message)
            self.codec.forget_containers()
            raised, value = message.get("raise"), message.get("value")
        if raised is None:
            return value
        if not isinstance(raised, BaseException):
            raise self.mark_lost("the code's process sent an error that is none")
        if isinstance(raised, (StopIteration, StopAsyncIteration, GeneratorExit)) and name not in (
            "next",
            "send",
        ):
            # Raised within a `map` of the tests it would end the tests' loop in silence.
            raise RuntimeError(f"{type(raised).__name__} was raised outside of an iteration")
        raise raised

    def answer_request(self, message: dict[str, Any]) -> None:
        """Do an operation that the other side asks for, and reply."""
        try:
            name, arguments = message["do"], list(message["args"])
            self.guard(name, arguments)
            reply = {"value": OPERATIONS[name](*arguments)}
        except Lost:
            raise
        except BaseException as error:
            if (self.codec.side == "tests" and not isinstance(error, Exception)) or isinstance(
                error, AssertionError
            ):
                self.broken = (
                    self.broken or f"{type(error).__name__} in a function of the tests that the code called"
                )
            reply = {"raise": error}
        try:
            self.send_message(reply)
        except (RecursionError, MemoryError, ValueError) as error:
            self.send_message({"raise": type(error)("a value could not be sent")})
        self.codec.forget_containers()

    def send_message(self, fields: dict[str, Any]) -> None:
        """Send the fields of a message."""
        name = fields.get("do")
        message = self.codec.encode_all({key: value for key, value in fields.items() if key != "do"})
        message |= {"printed": self.printed()} if name is None else {"do": name}
        data = memoryview(json.dumps(message).encode() + b"\n")
        try:
            while data:
                data = data[os.write(self._writes, data) :]
        except OSError:
            raise self.mark_lost("") from None

    def receive_message(self) -> dict[str, Any]:
        """Return the next message with its values decoded."""
        try:
            message = json.loads(self._read_line())
            self.print(str(message.get("printed", "")))
            self.codec.update_containers(message)
            fields = {key: value for key, value in message.items() if key not in ("shared", "printed")}
            return {key: value if key == "do" else self.codec.decode(value) for key, value in fields.items()}
        except (
            ProtocolError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            ImportError,
        ) as e:
            raise self.mark_lost(f"the code's process broke the protocol: {e}") from e
        except (RecursionError, MemoryError) as error:
            raise self.mark_lost(f"a value of the code is too large: {type(error).__name__}") from error

    def _read_line(self) -> bytes:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > _LONGEST:
                raise self.mark_lost("a value of the code is too large to be sent")
            if not (data := os.read(self._reads, 1 << 16)):
                raise self.mark_lost("")
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def mark_lost(self, reason: str) -> Lost:
        """Note that nothing counts from now on; an empty reason: the other process has ended."""
        if self.broken is None:
            self.broken = reason
        return Lost(self.broken)

    def _check_state(self) -> None:
        if self.broken is not None:
            raise Lost(self.broken)
