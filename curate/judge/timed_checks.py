"""Checks with patterns and schemas that come with the data, each with a limit of time that holds.

Python's patterns backtrack: `(a+)+$` needs longer than the universe for a line of text, and nothing within a process
can end it. So they run in a worker process (`check_worker.py`), which the kernel ends at its limit of processor time.
A linear-time engine (RE2) would be a dependency, would refuse lookarounds and back-references that prompts use today,
and would not help with the patterns and loops of JSON Schemas.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Literal

_WAIT_FACTOR, _WAIT_START = 20, 60.0  # of waiting for processor time on a busy machine


class CheckError(Exception):
    """A check could say nothing about a text; the message says why in a clause."""


class BadExpectationError(Exception):
    """The expected value is none that the check can use; the message follows "what the prompt expects "."""


def run_timed_check(
    check: Literal["regex", "json-schema"], text: str, expected: Any, *, seconds: float = 5.0
) -> str | None:
    """Run a check in the worker process.

    Args:
        check: Name of the check.
        text: Text to check.
        expected: Pattern or schema.
        seconds: Most processor time.

    Returns:
        None, or the objection.

    Raises:
        CheckError: It took too long or broke.
        BadExpectationError: The expected value is no pattern or schema.
    """
    request = {"check": check, "text": text, "expected": expected, "seconds": seconds}
    try:
        line = json.dumps(request).encode() + b"\n"
    except RecursionError:
        raise BadExpectationError("is nested too deeply") from None
    answer = _WORKER.ask(line, seconds)
    if answer is None:
        raise CheckError(f"{check} took longer than {seconds:g} s of processor time")
    if "bad" in answer:
        raise BadExpectationError(answer["bad"])
    if "fault" in answer:
        raise CheckError(str(answer["fault"]))
    return answer["objection"]


class _Worker:
    """The worker process, started on first use and again after it was ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, line: bytes, seconds: float) -> dict[str, str | None] | None:
        """Return the answer to a request; None if the worker was ended by it."""
        with self._lock:
            popen = self._start()
            assert popen.stdin is not None
            assert popen.stdout is not None
            reply = b""
            with contextlib.suppress(BrokenPipeError):
                popen.stdin.write(line)
                popen.stdin.flush()
                readable, _, _ = select.select([popen.stdout], [], [], _WAIT_START + _WAIT_FACTOR * seconds)
                reply = popen.stdout.readline() if readable else b""
            if not reply.endswith(b"\n"):
                self.stop()
                return None
            answer: dict[str, str | None] = json.loads(reply)
            return answer

    def _start(self) -> subprocess.Popen[bytes]:
        if self._popen is None or self._owner != os.getpid() or self._popen.poll() is not None:
            self._owner = os.getpid()  # a fork must not share its parent's worker
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-B", str(Path(__file__).with_name("check_worker.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        return self._popen

    def stop(self) -> None:
        """End the worker process."""
        if self._popen is None or self._owner != os.getpid():
            return
        self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._popen = None


_WORKER = _Worker()
atexit.register(_WORKER.stop)
