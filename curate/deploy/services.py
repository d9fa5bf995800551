"""Services of a laptop: a Prefect server and a worker with the project's deployments, Label Studio, the report.

All of it listens on this machine only, keeps its data in `services` in the workspace, and runs on until `curate down`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.deploy.deployments import plan_deployments
from curate.deploy.label_studio import find_label_studio, is_here, make_command, read_credentials
from curate.deploy.names import get_project_name
from curate.deploy.server import deploy_plan, find_server_problem, is_worker_online
from curate.deploy.service_records import ServiceRecord, end_service, read_records, write_records
from curate.deploy.service_start import HOST, ServiceCommand, answers, find_port, start_service

PREFECT, WORKER, REPORT, LABEL_STUDIO = "Prefect", "Prefect worker", "report", "Label Studio"
_RUN_LOGS = {
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_TO_API_ENABLED": "true",
}  # a terminal's run has none


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """Choices of `curate up`.

    Attributes:
        prefect_port: Port of the Prefect server, if it is free.
        report_port: Port of the report, if it is free.
        label_studio: The program `label-studio`; None: find it.
        with_label_studio: Start Label Studio, if its program is there.
    """

    prefect_port: int = 4200
    report_port: int = 4280
    label_studio: Path | None = None
    with_label_studio: bool = True


@dataclass(frozen=True, slots=True)
class RunningServices:
    """The services that run after `curate up`.

    Attributes:
        records: The services.
        changes: What was changed on the Prefect server.
        notes: What was not started, and why.
        environment: File with the variables that connect a terminal to them.
    """

    records: tuple[ServiceRecord, ...]
    changes: tuple[str, ...]
    notes: tuple[str, ...]
    environment: Path


class ServiceFolder:
    """The folder `services` of a workspace."""

    def __init__(self, config: Config) -> None:
        self.path = config.resolve(config.workspace) / "services"
        self.records_path = self.path / "records.json"
        self.environment_path = self.path / "environment"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock that keeps two commands from starting the same service twice.

        Raises:
            CurateError: Another command holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise CurateError(
                f"Another `curate up` or `curate down` is at work in {self.path}: wait for it."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def log(self, name: str) -> Path:
        return self.path / f"{name.lower().replace(' ', '-')}.log"


class _Starter:
    """Starts services that are not running yet; each is recorded as soon as it has a process."""

    def __init__(self, folder: ServiceFolder) -> None:
        self._folder = folder
        self.records = [record for record in read_records(folder.records_path) if record.find_process()]

    def find(self, name: str) -> ServiceRecord | None:
        return next((record for record in self.records if record.name == name), None)

    def start(self, name: str, make_service: Callable[[], ServiceCommand]) -> ServiceRecord:
        running = self.find(name)
        return running or start_service(make_service(), self._folder.log(name), self._record)

    def _record(self, record: ServiceRecord) -> None:
        self.records.append(record)
        write_records(self._folder.records_path, self.records)


def start_services(config: Config, options: UpOptions) -> RunningServices:
    """Start what is not running yet, wait until everything answers, and bring the deployments to the server.

    Args:
        config: The project.
        options: Ports, and whether and which Label Studio.

    Raises:
        CurateError: A service does not start, a package is missing, or another `curate up` is at work.
    """
    require_extra("flows", "prefect", "psutil", purpose="`curate up`")
    if problem := find_server_problem():
        raise CurateError(problem)
    folder = ServiceFolder(config)
    with folder.lock():
        return _start_all(config, options, folder)


def stop_services(config: Config) -> list[tuple[str, bool]]:
    """End what `curate up` has started, the last one first; return the names and whether each was still there."""
    require_extra("flows", "psutil", purpose="`curate down`")
    folder = ServiceFolder(config)
    if not folder.records_path.exists():
        return []
    with folder.lock():
        records = read_records(folder.records_path)
        ended = []
        while records:
            ended.append((records[-1].name, end_service(records[-1])))
            records.pop()
            write_records(folder.records_path, records)
        folder.records_path.unlink()
        folder.environment_path.unlink(missing_ok=True)
        return ended


def _start_all(config: Config, options: UpOptions, folder: ServiceFolder) -> RunningServices:
    starter, notes = _Starter(folder), []
    home = {"PREFECT_HOME": str(folder.path / "prefect")}
    prefect = starter.start(PREFECT, lambda: _make_prefect(options.prefect_port, folder, home))
    api = {"PREFECT_API_URL": f"{prefect.url}/api"}
    variables = dict(api)
    report = starter.start(REPORT, lambda: _make_report(config, options.report_port, folder))
    program = find_label_studio(config, options.label_studio) if options.with_label_studio else None
    if starter.find(LABEL_STUDIO) is None and (reason := _explain_no_label_studio(config, options, program)):
        notes.append(reason)
    elif program is not None:
        starter.start(LABEL_STUDIO, lambda: make_command(config, program, folder.path))
        variables["LABEL_STUDIO_API_KEY"] = read_credentials(folder.path)["token"]
    os.environ.update(home | api | {"CURATE_REPORT_URL": report.url})  # before Prefect is imported
    changes = deploy_plan(config, plan := plan_deployments(config))
    notes += [f"not deployed: {sentence}" for sentence in plan.omitted]
    if config.deploy.type == "process":
        environment = home | variables | _RUN_LOGS | {"CURATE_REPORT_URL": report.url}
        starter.start(WORKER, lambda: _make_worker(config, folder, environment))
    else:
        notes.append(
            f"no worker: `deploy.type` is {config.deploy.type}, whose workers run where its containers do"
        )
    _write_environment(folder.environment_path, variables)
    return RunningServices(tuple(starter.records), tuple(changes), tuple(notes), folder.environment_path)


def _make_prefect(wanted: int, folder: ServiceFolder, home: dict[str, str]) -> ServiceCommand:
    port = find_port(wanted)
    url = f"http://{HOST}:{port}"
    settings = {
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_SERVER_UI_API_URL": f"{url}/api",  # or the pages would ask port 4200
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    return ServiceCommand(
        name=PREFECT,
        command=[sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)],
        environment=home | settings,
        url=url,
        is_ready=lambda: answers(f"{url}/api/health"),
        folder=folder.path,
    )


def _make_worker(config: Config, folder: ServiceFolder, environment: dict[str, str]) -> ServiceCommand:
    pool, name = config.deploy.work_pool, f"{get_project_name(config)}-{time.time_ns() // 1_000_000}"
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--name", name]
    return ServiceCommand(
        name=WORKER,
        command=[*command, "--type", "process"],
        environment=environment,
        is_ready=lambda: is_worker_online(pool, name),
        folder=folder.path,
    )


def _make_report(config: Config, wanted: int, folder: ServiceFolder) -> ServiceCommand:
    port = find_port(wanted)
    url = f"http://{HOST}:{port}"
    page = config.resolve(config.report.path)
    return ServiceCommand(
        name=REPORT,
        command=[sys.executable, "-m", "curate.deploy.report_server", str(port), str(page)],
        url=url,
        is_ready=lambda: answers(f"{url}/health"),
        folder=folder.path,
    )


def _explain_no_label_studio(config: Config, options: UpOptions, program: Path | None) -> str:
    """Return why no Label Studio is to be started; "" if one is."""
    if not options.with_label_studio:
        return "no Label Studio: --no-label-studio"
    if not is_here(config):
        return f"no Label Studio: `verify.url` is {config.verify.url}, which is another machine's"
    if answers(f"{config.verify.url}/health"):
        return f"Label Studio: one that was not started here answers at {config.verify.url}"
    if program is None:
        return (
            "no Label Studio: `pip install label-studio` into an environment of its own, and name its program "
            "with --label-studio or CURATE_LABEL_STUDIO"
        )
    return ""


def _write_environment(path: Path, variables: dict[str, str]) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    lines = [f"export {name}={value}\n" for name, value in variables.items()]
    path.write_text("".join(lines), encoding="utf-8")
