"""Run the code as a module, and do the operations that the process of the tests asks for."""

from __future__ import annotations

import builtins
import io
import os
import sys
import traceback
import types
from typing import Any

from .exchange import Exchange, Lost
from .remote import make_proxy

_MOST_PRINTED = 1 << 20  # characters between two replies; the rest is dropped


class _Printed(io.TextIOBase):
    """Standard output that goes to the tests with the next reply."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._length < _MOST_PRINTED:
            self._parts.append(text[:_MOST_PRINTED])
        self._length += len(text)
        return len(text)

    def take(self) -> str:
        text, self._parts, self._length = "".join(self._parts), [], 0
        return text


class _Asked(io.TextIOBase):
    """Standard input that comes from the tests' own."""

    def __init__(self, read: Any, read_line: Any) -> None:
        self._read, self._read_line = read, read_line

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> str:
        return str(self._read(size))

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override]  # text, as a text file gives it
        return str(self._read_line(size))


def main() -> None:
    """Run the candidate, and answer the calls of its tests."""
    del sys.path[0]
    reads, writes = map(int, sys.argv[1:])
    sys.argv = ["solution.py"]
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    exchange, printed = Exchange("code", reads=reads, writes=writes, proxy=make_proxy), _Printed()
    exchange.printed = printed.take
    exchange.send_message({"value": "ready"})
    ask, read, read_line = exchange.receive_message()["value"]
    builtins.input, sys.stdin, sys.stdout = ask, _Asked(read, read_line), printed
    module = sys.modules["solution"] = types.ModuleType("solution")
    error = _execute_code(text, module)
    names = tuple(name for name in vars(module) if isinstance(name, str) and not name.startswith("__"))
    try:
        exchange.send_message({"value": (error, module, names)})
        while True:
            exchange.answer_request(exchange.receive_message())
    except Lost:
        os._exit(0)


def _execute_code(text: str, module: types.ModuleType) -> str | None:
    """Run the code; return its error in one line, or None. `sys.exit` ends this process."""
    try:
        exec(compile(text, "solution.py", "exec"), vars(module))
    except (SystemExit, Lost):
        raise
    except BaseException as error:
        return traceback.format_exception_only(error)[-1].strip()
    return None
