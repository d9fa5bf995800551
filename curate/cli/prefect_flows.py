"""Run a command as a Prefect flow in this process, if `PREFECT_API_URL` names a server.

`curate` imports no flow file: Prefect opens it by its path, as a worker does.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from curate.core.extras import require_extra
from curate.core.network import is_loopback
from curate.core.resources import find_resource

_QUIET = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",  # the command line prints an error once
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
}


def is_prefect_wanted() -> bool:
    """Tell whether `PREFECT_API_URL` names a Prefect server that is to show the run."""
    return bool(os.environ.get("PREFECT_API_URL"))


def prepare_environment(environment: MutableMapping[str, str]) -> None:
    """Set what Prefect reads at its import, so that it neither waits for a proxy nor for a folder that it cannot write.

    A server on this machine is not asked for through a proxy. Prefect keeps settings and a database in `~/.prefect`;
    where that cannot be made, a temporary folder takes its place. It starts no server of its own beside the one named.
    """
    for name, value in _QUIET.items():
        environment.setdefault(name, value)
    host = urlsplit(environment.get("PREFECT_API_URL", "")).hostname or ""
    if is_loopback(host):
        for name in ("no_proxy", "NO_PROXY"):
            environment[name] = ",".join(filter(None, [environment.get(name, ""), host]))
    if "PREFECT_HOME" not in environment and not _can_write(environment.get("HOME", "")):
        environment["PREFECT_HOME"] = tempfile.mkdtemp(prefix="curate-prefect-")


def _can_write(home: str) -> bool:
    if not home:
        return False
    folder = Path(home) / ".prefect"
    try:  # permissions alone do not tell: a disk may be read-only, and root is asked about none
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def run_flow(file: str, flow: str, config: Path) -> Any:
    """Run the flow `flow` of `flows/<file>.py` in this process and return what it returns.

    Args:
        file: Name of the flow file without its suffix.
        flow: Name of the flow in it; its only argument is the path of curate.yaml.
        config: Path of curate.yaml.

    Raises:
        MissingExtraError: If Prefect is not installed.
    """
    prepare_environment(os.environ)  # before Prefect is imported, which reads it then
    require_extra("flows", "prefect", purpose="A run that shows up in the server of PREFECT_API_URL")
    from prefect.flows import load_flow_from_entrypoint

    path = Path(str(find_resource(f"flows/{file}.py")))
    loaded: Any = load_flow_from_entrypoint(f"{path}:{flow}")
    return loaded(str(config.resolve()))
