"""Cut this process off from the machine, and run a program of this folder in what is left.

    python -I -S launch.py SETTINGS PROGRAM [FD ...]      # SETTINGS: the fields of `Settings` as JSON

The process becomes three. The launcher waits. The watcher, the first process of a new process namespace, builds a root
of its own (the system's and Python's folders read-only, a small /tmp in memory, five devices, and nothing else), and
then watches over the program and all that the program starts. When it ends, the kernel ends everything below it.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

NOT_ISOLATED, TOO_MANY, TOO_LARGE = 97, 98, 99  # exit statuses of the launcher
_OWN = (NOT_ISOLATED, TOO_MANY, TOO_LARGE)

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x20000,
    0x4000000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 0x1000, 0x4000, 0x40000
_SET_MOUNT_ATTRIBUTES, _RECURSIVE, _DETACH = 442, 0x8000, 2
_KEYCTL, _JOIN_SESSION_KEYRING = {"x86_64": 250, "ppc64le": 271, "s390x": 280}.get(os.uname().machine, 219), 1
_DIE_WITH_PARENT, _DUMPABLE, _NO_NEW_PRIVILEGES = 1, 4, 38  # of prctl
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_SETTINGS_OF_SYSTEM = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_USER, _NOBODY = 1000, 65534
_PAUSE = 0.05  # seconds between two looks at what runs
_PAGE = resource.getpagesize()
_NO_KEYRINGS = (errno.ENOSYS, errno.EPERM, errno.EACCES)  # none is within reach of the code either

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and folders: `file`, `disk` and `memory` in bytes; `memory` is for one process and for all together."""

    isolated: bool
    seconds: int
    memory: int
    file: int
    disk: int
    processes: int
    folder: str
    executable: str
    python: tuple[str, ...]
    options: tuple[str, ...]  # of the program, after the descriptors


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


def main() -> NoReturn:
    """Enter the namespaces, set the limits, and become the program."""
    settings, program, fds = Settings(**json.loads(sys.argv[1])), sys.argv[2], sys.argv[3:]
    if not settings.isolated:
        _start_program(settings, program, fds, programs=str(Path(__file__).parent.parent))
    try:
        _leave_keyring()
        _enter_namespaces()
        watcher = os.fork()
        if watcher == 0:
            _libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            _libc.prctl(_DUMPABLE, 0)  # nobody reads or traces it
            _build_root(settings)
    except (OSError, AttributeError):  # a kernel or libc that lacks one of the calls
        os._exit(NOT_ISOLATED)
    if watcher == 0:
        _watch_program(settings, program, fds)
    for fd in fds:
        os.close(int(fd))
    os._exit(_exit_status(os.waitpid(watcher, 0)[1]))


def _leave_keyring() -> None:
    """Take an empty session keyring: no namespace hides the user's keys in the kernel (Kerberos, file systems)."""
    if _libc.syscall(_KEYCTL, _JOIN_SESSION_KEYRING, None) < 0 and ctypes.get_errno() not in _NO_KEYRINGS:
        _check_result(-1)


def _enter_namespaces() -> None:
    """Enter namespaces of our own, where user 1000 is the user, or nobody where the user is root.

    The kernel counts the processes of users other than root only, and root's files are none of the code's business.
    """
    user, group = os.getuid(), os.getgid()
    begin, helper = _start_mapping(os.getpid()) if user == 0 else (-1, 0)
    _check_result(_libc.unshare(_NEWUSER | _NEWNS | _NEWPID | _NEWNET | _NEWIPC | _NEWUTS))
    if helper:
        os.close(begin)
    if not helper or os.waitpid(helper, 0)[1] != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{_USER} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{_USER} {group} 1")
    # A namespace within this one could mount memory without bounds.
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def _start_mapping(pid: int) -> tuple[int, int]:
    """Start a helper outside, where root may map users; it begins when the descriptor is closed."""
    waits, begin = os.pipe()
    helper = os.fork()
    if helper == 0:
        os.close(begin)
        os.read(waits, 1)
        try:
            for name in ("uid_map", "gid_map"):
                Path("/proc", str(pid), name).write_text(f"0 0 1\n{_USER} {_NOBODY} 1\n")
        except OSError:
            os._exit(1)
        os._exit(0)
    os.close(waits)
    os.setgroups([])
    return begin, helper


def _become_user() -> None:
    os.setresgid(_USER, _USER, _USER)
    os.setresuid(_USER, _USER, _USER)


def _build_root(settings: Settings) -> None:
    root = settings.folder
    _check_result(_mount_path(None, "/", None, _REC | _PRIVATE))
    _check_result(_mount_path("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "size=1m,nr_inodes=4096,mode=755"))
    for name in ("tmp", "dev", "proc", "etc", "programs"):
        Path(root, name).mkdir()
    space = f"size={settings.disk},nr_inodes=8192,mode=1777"
    _check_result(_mount_path("tmpfs", f"{root}/tmp", "tmpfs", _NOSUID | _NODEV, space))
    for path in _SYSTEM:
        if Path(path).is_symlink():
            Path(root + path).symlink_to(Path(path).readlink())
        elif Path(path).is_dir():
            _show_path(path, root + path)
    for path in settings.python:
        if path != "/" and not any(path == shown or path.startswith(f"{shown}/") for shown in _SYSTEM):
            _show_path(path, root + path)
    for name in _SETTINGS_OF_SYSTEM:
        if Path("/etc", name).exists():
            _show_path(f"/etc/{name}", f"{root}/etc/{name}")
    for name in _DEVICES:
        _show_path(f"/dev/{name}", f"{root}/dev/{name}", read_only=False)
    for name, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("shm", "/tmp"),
    ):
        Path(root, "dev", name).symlink_to(target)
    _show_path(str(Path(__file__).parent), f"{root}/programs/sandboxed")
    _check_result(_mount_path("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC))
    _check_result(_set_read_only(root, 0))
    os.chdir(root)
    _check_result(_libc.pivot_root(b".", b"."))  # the old root now lies on the new one
    _check_result(_libc.umount2(b".", _DETACH))
    os.chdir("/tmp")
    _libc.sethostname(b"sandbox", 7)


def _show_path(path: str, place: str, *, read_only: bool = True) -> None:
    """Show a file or folder of the machine at `place`."""
    source = Path(path)
    if source.is_dir():
        Path(place).mkdir(parents=True, exist_ok=True)
    else:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).touch()
    _check_result(_mount_path(str(source.resolve()), place, None, _BIND | _REC))
    if read_only:
        _check_result(_set_read_only(place, _RECURSIVE))


def _mount_path(
    source: str | None, target: str, kind: str | None, flags: int, data: str | None = None
) -> int:
    texts = [
        None if text is None else text.encode("utf-8", "surrogateescape") for text in (source, target, kind)
    ]
    details = None if data is None else data.encode()
    return int(_libc.mount(*texts, ctypes.c_ulong(flags), details))


def _set_read_only(target: str, flags: int) -> int:
    attributes = _MountAttributes(set=_RDONLY | _NOSUID)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    path = target.encode("utf-8", "surrogateescape")
    return int(_libc.syscall(_SET_MOUNT_ATTRIBUTES, -100, path, flags, ctypes.byref(attributes), size))


def _check_result(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _watch_program(settings: Settings, program: str, fds: list[str]) -> NoReturn:
    """Run the program until it ends, or until its processes are too many or too large."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        _become_user()
        _libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        _start_program(settings, program, fds, programs="/programs")
    for fd in (0, 1, 2, *map(int, fds)):
        os.close(fd)
    while True:
        signal.sigtimedwait({signal.SIGCHLD}, _PAUSE)
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == child:
                    status = _exit_status(ended[1])
                    os._exit(1 if status in _OWN else status)  # the program may not speak for the launcher
            if excess := _find_excess(settings):
                os._exit(excess)
        except Exception:  # whatever it is, nothing shall run without being watched
            os._exit(TOO_MANY)


def _find_excess(settings: Settings) -> int:
    """Return the exit status for too many processes or too much memory together; 0 if all is well."""
    pids = [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]  # noqa: PTH208
    if len(pids) > settings.processes:
        return TOO_MANY
    if len(pids) > 1 and sum(map(_read_resident, pids)) > settings.memory:
        return TOO_LARGE if sum(map(_read_proportional, pids)) > settings.memory else 0
    return 0


def _read_resident(pid: str) -> int:
    """Return the bytes of memory of a process, with those that it shares with others."""
    try:
        return int(Path("/proc", pid, "statm").read_text().split()[1]) * _PAGE
    except OSError:  # it has ended meanwhile
        return 0


def _read_proportional(pid: str) -> int:
    """Return the bytes of memory of a process, shared ones divided by the number of sharers."""
    try:
        lines = Path("/proc", pid, "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def _start_program(settings: Settings, program: str, fds: list[str], *, programs: str) -> NoReturn:
    """Become the program, under the limits that the kernel keeps for each process."""
    limits = [
        ("CPU", settings.seconds),
        ("AS", settings.memory),
        ("FSIZE", settings.file),
        ("CORE", 0),
        ("NOFILE", 64),
    ]
    if settings.isolated and _read_kernel_version() >= (
        5,
        14,
    ):  # before, the user's other processes were counted too
        limits.append(("NPROC", 2 * settings.processes))  # threads too; the watcher counts processes
    for name, value in limits:
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is not None:
            hard = resource.getrlimit(number)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (value, value))
    first = (
        f"import sys; sys.path.insert(0, {programs!r}); import sandboxed.{program} as program; program.main()"
    )
    os.execv(settings.executable, [settings.executable, "-I", "-B", "-c", first, *fds, *settings.options])


def _read_kernel_version() -> tuple[int, ...]:
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2] if part.isdigit())


def _exit_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    main()
