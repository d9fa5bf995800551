"""The checks of `curate doctor`: each looks at one thing, quickly, and changes nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.extras import is_installed
from curate.core.secrets import scrub_text
from curate.core.yaml_file import read_yaml
from curate.deploy.doctor.findings import Finding, Status
from curate.deploy.doctor.needs import MODULES, list_clear_secrets, list_needed_extras
from curate.deploy.label_studio import find_label_studio, is_here
from curate.deploy.service_start import answers, connects
from curate.lake.attach import NoLakeError
from curate.lake.data_folder import hide_password, is_local
from curate.lake.lake import Lake
from curate.lake.reach import reach_bucket, read_postgres_version

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_LOW, _FULL = 5.0, 0.5  # GB
_OLDEST_POSTGRES = 12  # that DuckLake takes


def check_machine() -> Iterator[Finding]:
    """Check Python, the GPU, the browser of tests and the container client."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding("Python", "ok", version)
    else:
        yield Finding("Python", "missing", version, "use Python 3.11, 3.12 or 3.13")
    yield _check_gpu()
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        yield Finding(
            "Chromium", "note", "not on the PATH; only the project's own tests use it", "make browser"
        )
    else:
        yield Finding("Chromium", "ok", browser)


def _check_gpu() -> Finding:
    if shutil.which("nvidia-smi") is None:
        return Finding("GPU", "note", "no NVIDIA driver: models run on the CPU")
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("GPU", "warning", f"nvidia-smi does not answer ({error})", "restart the driver")
    names = "; ".join(done.stdout.split("\n")).strip("; ")
    if done.returncode or not names:
        return Finding("GPU", "warning", "the NVIDIA driver shows no GPU", "see `nvidia-smi`")
    return Finding("GPU", "ok", names)


def check_extras(config: Config | None) -> Iterator[Finding]:
    """Check the extras: those that the project needs, and those that it could use."""
    needed = {} if config is None else list_needed_extras(config)
    for extra, modules in MODULES.items():
        missing = [module for module in modules if not is_installed(module)]
        remedy = f"pip install 'curate[{extra}]'"
        if not missing:
            yield Finding(f"extra {extra}", "ok", "installed")
        elif extra in needed:
            yield Finding(
                f"extra {extra}", "missing", f"`{needed[extra]}` needs {', '.join(missing)}", remedy
            )
        else:
            yield Finding(f"extra {extra}", "note", "not installed, and curate.yaml does not need it", remedy)
    if importlib.util.find_spec("prefect") is not None:
        from curate.deploy.server import find_server_problem

        if problem := find_server_problem():
            status: Status = "missing" if "flows" in needed else "warning"
            yield Finding("Prefect", status, problem, "pip install 'sqlalchemy<2.1'")


def check_project(config: Config, path: Path) -> Iterator[Finding]:
    """Check the lake, the disk, the secrets, and the servers that curate.yaml names.

    Args:
        config: The project.
        path: Its curate.yaml.
    """
    if config.location.is_postgres:
        yield _check_catalog(config)
    if not is_local(config.location.data):
        yield _check_bucket(config)
    yield _check_lake(config)
    yield from _check_telemetry(config)
    yield _check_disk(config)
    yield from _check_secrets(path)
    yield from _check_judges(config)
    for name, engine in config.engines.items():
        if isinstance(url := engine.get("url"), str):
            yield _check_address(f"engine {name}", url, "start that server, or correct its `url`")
    yield _check_label_studio(config)
    if api := os.environ.get("PREFECT_API_URL"):
        yield _check_address("Prefect server", api, "start it (`curate up`), or correct PREFECT_API_URL")
    else:
        yield Finding("Prefect server", "note", "PREFECT_API_URL is not set: runs are not shown", "curate up")


def _check_catalog(config: Config) -> Finding:
    """Check the PostgreSQL server of the lake's catalog."""
    catalog = config.location.catalog
    try:
        version = read_postgres_version(catalog)
    except CurateError as error:
        return Finding("catalog", "missing", str(error), "start that server, or correct `lake.catalog`")
    message = f"PostgreSQL {version} at {hide_password(catalog)}"
    if int(version.split(".")[0]) < _OLDEST_POSTGRES:
        return Finding("catalog", "warning", message, f"use PostgreSQL {_OLDEST_POSTGRES} or later")
    return Finding("catalog", "ok", message)


def _check_bucket(config: Config) -> Finding:
    """Check the bucket of the lake's files."""
    try:
        server = reach_bucket(config.location.data)
    except CurateError as error:
        return Finding("bucket", "missing", str(error), "start that server, or correct `lake.data` or AWS_…")
    return Finding("bucket", "ok", f"{config.location.data} at {server} can be listed")


def _check_telemetry(config: Config) -> Iterator[Finding]:
    """Check where metrics and traces go, if they are asked for."""
    if config.metrics is not None:
        folder = config.resolve(config.metrics.textfile).parent
        if os.access(folder, os.W_OK):
            yield Finding("metrics", "ok", f"go to {config.metrics.textfile}")
        else:
            yield Finding("metrics", "missing", f"{folder} cannot be written", "make it, or change its owner")
    if config.traces is not None:
        endpoint = config.traces.endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        remedy = "start the collector, or correct `traces.endpoint`; runs go on without it"
        if endpoint is None:
            yield Finding("traces", "warning", "no collector is named", "set `traces.endpoint`")
        else:
            finding = _check_address("traces", endpoint, remedy)
            yield Finding("traces", "warning", finding.message, remedy) if finding.remedy else finding


def _check_lake(config: Config) -> Finding:
    try:
        with Lake.open(config.location, read_only=True) as lake:
            return Finding("lake", "ok", f"snapshot {lake.snapshot()}")
    except NoLakeError:
        return Finding("lake", "note", "there is none yet", "curate run")
    except CurateError as error:
        return Finding("lake", "missing", scrub_text(str(error)), "curate check")


def _check_disk(config: Config) -> Finding:
    folder = config.resolve(config.workspace)
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return Finding(
            "disk", "missing", f"{folder} cannot be written", "change its owner, or name another workspace"
        )
    free = shutil.disk_usage(folder).free / 1e9
    message = f"{free:.1f} GB free at {folder}"
    if free < _FULL:
        return Finding("disk", "missing", message, "free some space, or name another `workspace`")
    return Finding(
        "disk", "warning" if free < _LOW else "ok", message, "free some space" if free < _LOW else ""
    )


def _check_secrets(path: Path) -> Iterator[Finding]:
    keys = list_clear_secrets(read_yaml(path))
    if keys:
        remedy = "put the value into an environment variable, and name that (`api_key_env`, `${NAME}`)"
        yield Finding("secrets", "warning", f"in clear in {path.name}: {', '.join(keys)}", remedy)
        if stat.S_IMODE(path.stat().st_mode) & 0o044:
            yield Finding(
                "secrets", "warning", f"{path.name} may be read by other users", f"chmod 600 {path.name}"
            )
    else:
        yield Finding("secrets", "ok", f"none in clear in {path.name}")


def _check_judges(config: Config) -> Iterator[Finding]:
    from curate.judge.configured import check_judges

    try:
        check_judges(config)
    except CurateError as error:
        yield Finding("judges", "missing", scrub_text(str(error)), "correct curate.yaml")
        return
    yield Finding("judges", "ok", f"{len(config.panel_names)} on the panel")


def _check_address(name: str, url: str, remedy: str) -> Finding:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if parts.hostname and connects(parts.hostname, port):
        return Finding(name, "ok", f"{parts.hostname}:{port} takes connections")
    return Finding(name, "missing", f"{parts.hostname}:{port} takes no connection", remedy)


def _check_label_studio(config: Config) -> Finding:
    is_needed = "verify" in config.model_fields_set and config.verify.loop.through == "label-studio"
    if answers(f"{config.verify.url}/health"):
        if is_needed and not os.environ.get("LABEL_STUDIO_API_KEY"):
            remedy = "set it to an access token of Account & Settings, or `source` what `curate up` wrote"
            return Finding("Label Studio", "missing", "LABEL_STUDIO_API_KEY is not set", remedy)
        return Finding("Label Studio", "ok", config.verify.url)
    program = find_label_studio(config) if is_here(config) else None
    if program is not None:
        return Finding(
            "Label Studio", "missing" if is_needed else "note", f"{program} is not running", "curate up"
        )
    message = f"nothing answers at {config.verify.url}"
    remedy = "install label-studio into an environment of its own, and set CURATE_LABEL_STUDIO"
    return Finding("Label Studio", "missing" if is_needed else "note", message, remedy)
