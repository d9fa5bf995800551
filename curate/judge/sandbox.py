"""Run untrusted code and tests on it: two processes with little time, little memory and no network.

    run_code("def double(x): return 2 * x", "assert double(2) == 4")      # CodeResult(True, "passed")

The code runs in one process, the tests in another, which asks the first to call functions and compares what comes back
(`sandboxed/`): code that cheats can only give wrong answers; it reaches no part of the tests or of the verdict.
On Linux with user namespaces each process has a root of its own: the system's and Python's folders to read, a /tmp in
memory to write, no network, no sockets, terminals or files of the machine, no other process to be seen, and an end to
all that it started when it ends. Elsewhere `can_isolate` is false, and both processes run with limits on time and
memory alone. The caller has to ask for that, since code can then reach the process of the tests.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from curate.judge.sandboxed import launch

_MAX_FILE = 1 << 20  # bytes of a file that a process may write
_DISK = 16 << 20  # bytes of all files of a sandbox, which are in memory
_PROCESSES = 64  # of a sandbox, threads not counted
_START = 60.0  # seconds for starting both processes, not counted as time of the code
_GRACE = 5.0  # seconds of waiting beside the processor time that the code may take
_MAX_OUTPUT = 4096  # bytes of the end of what a process writes to standard output or error


class SandboxError(Exception):
    """A failure of the sandbox itself, not of the code."""


@dataclass(frozen=True, slots=True)
class CodeResult:
    """The outcome of code and tests: whether both ran to the end, and why (last line of the error, or the limit).

    `asked`: the tests have asked something of the code. Tests that only define functions reach their end whatever the
    code does.
    """

    passed: bool
    reason: str
    asked: bool = True


@cache
def can_isolate() -> bool:
    """Tell whether this machine lets us cut a process off from network and files."""
    if sys.platform != "linux":
        return False
    try:
        return _run_processes("", "", seconds=5, memory_mib=512, cut_off=True).passed
    except SandboxError:
        return False


def run_code(
    code: str, tests: str, *, seconds: int = 5, memory_mib: int = 512, plain: bool = False
) -> CodeResult:
    """Run `code` as a module, then `tests`, which see its names.

    Args:
        code: Python source of the module.
        tests: Python source; the code passes if the tests reach their last line.
        seconds: Processor time of each process.
        memory_mib: Memory of each process, and of all that it starts together.
        plain: Fail where the tests ask an object of the code for more than a plain value.

    Raises:
        SandboxError: The processes could not be run.
    """
    return _run_processes(
        code, tests, seconds=seconds, memory_mib=memory_mib, cut_off=can_isolate(), plain=plain
    )


@dataclass(slots=True)
class _Process:
    """A launcher, with the end of its output."""

    popen: subprocess.Popen[bytes]
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def last_error(self) -> str:
        """Last line of standard error."""
        lines = self.stderr.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:500] if lines else ""

    def read_stream(self, name: str) -> bool:
        """Read the available part of standard output or error; False at its end."""
        stream = getattr(self.popen, name)
        try:
            data = os.read(stream.fileno(), 1 << 16)
        except BlockingIOError:
            return False
        setattr(self, name, (getattr(self, name) + data)[-_MAX_OUTPUT:])
        return bool(data)


def _run_processes(
    code: str, tests: str, *, seconds: int, memory_mib: int, cut_off: bool, plain: bool = False
) -> CodeResult:
    try:
        with contextlib.ExitStack() as stack:
            # Closed here once both processes have theirs: when one of them ends, the other one has to see it.
            with _open_pipe() as (asks, asked), _open_pipe() as (replies, replied):
                limits = {"seconds": seconds, "memory": memory_mib << 20, "isolated": cut_off}
                coder = stack.enter_context(_start_program("serve_code", code, limits, fds=(asks, replied)))
                tester = stack.enter_context(
                    _start_program("run_tests", tests, limits, fds=(replies, asked), options=(plain,))
                )
            in_time = _wait_for_tests(coder, tester, seconds)
            return _read_verdict(coder, tester, in_time, seconds=seconds, memory_mib=memory_mib)
    except OSError as error:
        raise SandboxError(f"a process could not be started: {error}") from error


@contextlib.contextmanager
def _open_pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


@contextlib.contextmanager
def _start_program(
    program: str,
    text: str,
    limits: Mapping[str, Any],
    *,
    fds: tuple[int, int],
    options: tuple[int, ...] = (),
) -> Iterator[_Process]:
    """Start a program of `sandboxed/` that reads `text`; it and all its processes end with the block."""
    folder = tempfile.mkdtemp(prefix="curate-code-")
    executable, python = _locate_python()
    settings = {
        "file": _MAX_FILE,
        "disk": _DISK,
        "processes": _PROCESSES,
        "folder": folder,
        "executable": executable,
        "python": python,
        "options": [str(int(option)) for option in options],
        **limits,
    }
    try:
        with tempfile.TemporaryFile() as source:  # it has no name
            source.write(text.encode("utf-8", "replace"))
            source.seek(0)
            popen = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    "-B",
                    launch.__file__,
                    json.dumps(settings),
                    program,
                    *map(str, fds),
                ],
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=fds,
                cwd=folder,
                env={"OMP_NUM_THREADS": "1", "PATH": os.defpath},
                start_new_session=True,
            )
        with popen:
            try:
                yield _Process(popen)
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(popen.pid, signal.SIGKILL)
    finally:
        remove_folder(Path(folder))


@cache
def _locate_python() -> tuple[str, tuple[str, ...]]:
    """Return the path of this Python without linked folders, and the folders that it needs to run."""
    executable = Path(os.path.realpath(Path(sys.executable).parent), Path(sys.executable).name)
    folders = {
        os.path.realpath(sys.prefix),
        os.path.realpath(sys.base_prefix),
        sys.base_prefix,
        sys.base_exec_prefix,
    }
    path = executable
    while path.is_symlink():
        path = path.parent / path.readlink()
        folders.add(os.path.normpath(path.parent.parent))
    return str(executable), tuple(sorted(folders, key=len))


def _wait_for_tests(coder: _Process, tester: _Process, seconds: int) -> bool:
    """Wait for the end of the tests and read all output; False if they take too long."""
    ready, limit = False, time.monotonic() + _START
    with selectors.DefaultSelector() as selector:
        for process in (coder, tester):
            for name in ("stdout", "stderr"):
                stream = getattr(process.popen, name)
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, (process, name))
        while tester.popen.poll() is None:
            if not ready and tester.stdout:
                ready, limit = True, time.monotonic() + seconds + _GRACE
            if time.monotonic() > limit:
                if not ready:
                    raise SandboxError(f"the processes did not start in {_START:.0f} s")
                return False
            for key, _ in selector.select(0.05):
                process, name = key.data
                if not process.read_stream(name):
                    selector.unregister(key.fileobj)
    for name in ("stdout", "stderr"):
        while tester.read_stream(name):
            pass
    return True


def _read_verdict(
    coder: _Process, tester: _Process, in_time: bool, *, seconds: int, memory_mib: int
) -> CodeResult:
    if not in_time:
        return CodeResult(False, f"took longer than {seconds} s")
    ending = partial(_explain_ending, seconds=seconds, memory_mib=memory_mib)
    try:
        verdict = json.loads(tester.stdout.splitlines()[1])
    except (IndexError, ValueError):  # the tests have ended their own process
        return CodeResult(False, ending(tester))
    if verdict["passed"] and tester.popen.returncode == 0:
        return CodeResult(True, "passed", bool(verdict["asked"]))
    return CodeResult(False, str(verdict["reason"] or ending(coder)))


def _explain_ending(process: _Process, *, seconds: int, memory_mib: int) -> str:
    """Explain why a process ended too early."""
    try:
        status = process.popen.wait(timeout=_GRACE)
    except subprocess.TimeoutExpired:
        return "closed the pipe to the tests"
    with contextlib.suppress(OSError):
        while process.read_stream("stderr"):
            pass
    match status:
        case launch.NOT_ISOLATED:
            raise SandboxError("the system does not let a process be cut off any more")
        case launch.TOO_MANY:
            return f"started more than {_PROCESSES} processes"
        case launch.TOO_LARGE:
            return f"took more than {memory_mib} MiB of memory in all its processes"
        case _ if status in (-signal.SIGXCPU, -signal.SIGKILL, 128 + signal.SIGXCPU, 128 + signal.SIGKILL):
            return f"took more than {seconds} s of processor time, or was killed"
    return process.last_error or f"ended early with exit status {status}"


def remove_folder(folder: Path) -> None:
    """Remove a folder with files of untrusted code; the rest stays if it cannot be removed, and links are not followed.

    The contents of an inner folder are moved up before it is removed, so no path is too long and no depth too great.
    """
    with contextlib.suppress(OSError):
        for number in itertools.count():
            entries = list(os.scandir(folder))
            if not entries:
                break
            left = len(entries)
            for place, entry in enumerate(entries):
                with contextlib.suppress(OSError):
                    if not entry.is_dir(follow_symlinks=False):
                        Path(entry.path).unlink()
                    else:
                        Path(entry.path).chmod(0o700)
                        for index, child in enumerate(os.scandir(entry.path)):
                            Path(child.path).rename(folder / f"{number}-{place}-{index}")
                        Path(entry.path).rmdir()
                    left -= 1
            if left == len(entries):  # nothing could be removed
                break
        folder.rmdir()
