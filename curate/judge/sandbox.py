"""Run code that nobody trusts: a Python process of its own with little time, little memory and no network.

    run("def double(x): return 2 * x", "assert double(2) == 4")      # Ran(True, "passed")

On Linux with user namespaces the process sees no network, cannot write but to its own temporary folder, and takes all
that it started with it when it ends. It can read what its user can read. Elsewhere `isolated` is false, and the
code would run with time and memory limits alone, which the caller has to want.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_OUTPUT = 1 << 20  # bytes that the process may write to a file, its output included
_GRACE = 5.0  # seconds for starting Python, beside what the code may take

# Runs in the new process, before any of the code: no name of it may depend on this package.
_LAUNCHER = """
import ctypes, os, resource, signal, sys
seconds, memory, output = map(int, sys.argv[1:4])
isolated, folder = sys.argv[4:6]
def limit():
    for name, value in (("CPU", seconds), ("AS", memory), ("FSIZE", output), ("CORE", 0), ("NOFILE", 64)):
        resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
    os.execv(sys.executable, [sys.executable, "-I", "-B", os.path.join(folder, "harness.py")])
if isolated == "no":
    limit()
libc = ctypes.CDLL(None, use_errno=True)
user, group = os.getuid(), os.getgid()
NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
if libc.unshare(NEWUSER | NEWNS | NEWPID | NEWNET | NEWIPC):
    sys.exit(97)
try:
    for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {user} 1"), ("gid_map", f"1000 {group} 1")):
        with open("/proc/self/" + name, "w") as file:
            file.write(text)
except OSError:
    sys.exit(97)
REC, PRIVATE, BIND, RDONLY = 0x4000, 0x40000, 0x1000, 1
class Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]
def mount(source, target, flags):
    return libc.mount(source, target, None, ctypes.c_ulong(flags), None)
def attributes(target, flags, **changes):
    mine = Attributes(**changes)
    return libc.syscall(442, -100, target, flags, ctypes.byref(mine), ctypes.sizeof(mine))
here = os.fsencode(folder)
if (mount(None, b"/", REC | PRIVATE) or mount(here, here, BIND)
        or attributes(b"/", 0x8000, set=RDONLY) or attributes(here, 0, clear=RDONLY)):
    sys.exit(97)
os.chdir(folder)
child = os.fork()
if child == 0:
    libc.prctl(1, signal.SIGKILL)  # die with the launcher
    libc.prctl(38, 1, 0, 0, 0)  # no new privileges
    limit()
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(status if status >= 0 else 128 - status)
"""

_HARNESS = """
import pathlib, sys
token, space = sys.stdin.readline(), {"__name__": "answer"}
for name in ("answer.py", "tests.py"):
    exec(compile(pathlib.Path(name).read_text("utf-8"), name, "exec"), space)
print("\\n" + token, end="", flush=True)
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """Whether code and tests ran to the end, and if not, why (the last line of the error, or which limit)."""

    passed: bool
    reason: str


@cache
def isolated() -> bool:
    """Whether this machine lets us cut a process off from network and files."""
    return sys.platform == "linux" and _run("", "", seconds=5, memory_mib=512, cut_off=True).passed


def run(code: str, tests: str, *, seconds: int = 5, memory_mib: int = 512) -> Ran:
    """Run `code`, then `tests` in the same namespace.

    Passed means that the last line of the tests was reached: code that ends the process early has failed.
    """
    return _run(code, tests, seconds=seconds, memory_mib=memory_mib, cut_off=isolated())


def _run(code: str, tests: str, *, seconds: int, memory_mib: int, cut_off: bool) -> Ran:
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="curate-code-") as name:
        folder = Path(name)
        for file, content in (("harness.py", _HARNESS), ("answer.py", code), ("tests.py", tests)):
            (folder / file).write_text(content, encoding="utf-8", errors="replace")
        limits = [str(seconds), str(memory_mib << 20), str(_OUTPUT), "yes" if cut_off else "no", name]
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", _LAUNCHER, *limits],
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                cwd=folder,
                env={"OMP_NUM_THREADS": "1", "PATH": os.defpath},
                start_new_session=True,
            )
            try:
                process.communicate(f"{token}\n".encode(), timeout=seconds + _GRACE)
            except subprocess.TimeoutExpired:
                return Ran(False, f"took longer than {seconds} s")
            finally:
                _end(process)
        said, error = (_tail(folder / stream) for stream in ("stdout", "stderr"))
    if process.returncode == 0 and said == token:
        return Ran(True, "passed")
    if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL, 128 + signal.SIGXCPU, 128 + signal.SIGKILL):
        return Ran(False, f"took more than {seconds} s of processor time, or was killed")
    return Ran(False, error or f"ended early with exit status {process.returncode}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End whatever still runs of the process's session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(file: Path) -> str:
    lines = file.read_bytes()[-4096:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:500] if lines else ""
