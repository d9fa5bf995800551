"""Run a command as a Prefect flow in this process, if `PREFECT_API_URL` names a server.

`curate` imports no flow file: Prefect opens it by its path, as a worker does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from curate.core.extras import require_extra
from curate.core.resources import find_resource

_QUIET = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",  # the command line prints an error once
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
}


def is_prefect_wanted() -> bool:
    """Tell whether `PREFECT_API_URL` names a Prefect server that is to show the run."""
    return bool(os.environ.get("PREFECT_API_URL"))


def run_flow(file: str, flow: str, config: Path) -> Any:
    """Run the flow `flow` of `flows/<file>.py` in this process and return what it returns.

    Args:
        file: Name of the flow file without its suffix.
        flow: Name of the flow in it; its only argument is the path of curate.yaml.
        config: Path of curate.yaml.

    Raises:
        MissingExtraError: If Prefect is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)  # before Prefect is imported, which reads them then
    require_extra("flows", "prefect", purpose="A run that shows up in the server of PREFECT_API_URL")
    from prefect.flows import load_flow_from_entrypoint

    path = Path(str(find_resource(f"flows/{file}.py")))
    loaded: Any = load_flow_from_entrypoint(f"{path}:{flow}")
    return loaded(str(config.resolve()))
