"""The processes that `curate up` has started: which they are, kept in a file, and how they are ended.

A process is known by its number and its start time: a number alone is given to another process after a while.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curate.core.atomic import atomic_file
from curate.core.errors import CurateError

MARK = "CURATE_SERVICE"
_PATIENCE = 20.0  # seconds until a process that was asked to end is killed


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """A service that was started.

    Attributes:
        name: Its name.
        pid: Number of its process.
        started: Start time of the process, in seconds since 1970.
        url: Its address; "" for a service without one.
        log: Path of its log.
        mark: Value of the variable `MARK` in its environment, which all that it starts inherit; "": there is none.
    """

    name: str
    pid: int
    started: float
    url: str
    log: str
    mark: str = ""

    def find_process(self) -> Any | None:
        """Return the process, if it is still the one that was started."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started) < 0.01
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def record_process(name: str, pid: int, *, url: str, log: str, mark: str = "") -> ServiceRecord:
    """Make the record of a process that runs now.

    Args:
        name: Name of the service.
        pid: Number of its process.
        url: Its address.
        log: Path of its log.
        mark: Value of the variable `MARK` in its environment.
    """
    import psutil

    return ServiceRecord(name, pid, float(psutil.Process(pid).create_time()), url, log, mark)


def read_records(path: Path) -> list[ServiceRecord]:
    """Read the services that were started; none where there is no file.

    Raises:
        CurateError: The file is damaged.
    """
    try:
        return [ServiceRecord(**record) for record in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise CurateError(
            f"{path} cannot be read, so it is not known what `curate up` has started: end those processes by hand, and "
            "remove the file."
        ) from error


def write_records(path: Path, records: Sequence[ServiceRecord]) -> None:
    """Write the services that were started."""
    with atomic_file(path) as draft:
        draft.write_text(
            json.dumps([asdict(record) for record in records], indent=2) + "\n", encoding="utf-8"
        )


def end_service(record: ServiceRecord) -> bool:
    """End a service and all processes that it has started; tell whether it was still there.

    They are asked to end; what is there after 20 seconds is killed. What a process has started while it ended is
    ended in its turn.
    """
    import psutil

    process = record.find_process()
    if process is None:
        return False
    while family := _list_family(process, record.mark):
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.terminate()
        _, alive = psutil.wait_procs(family, timeout=_PATIENCE)
        for member in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(alive, timeout=_PATIENCE)
    return True


def _list_family(process: Any, mark: str) -> list[Any]:
    """List a process, its children and all others with its mark, parents first.

    A child whose parent has ended is nobody's child, but still has the mark.
    """
    import psutil

    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [process, *reversed(process.children(recursive=True))]
    for other in psutil.process_iter() if mark else ():
        with contextlib.suppress(psutil.Error, OSError):  # of another user, or gone
            if other.environ().get(MARK) == mark and other not in family:
                family.append(other)
    return [member for member in family if _is_running(member)]


def _is_running(process: Any) -> bool:
    import psutil

    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
