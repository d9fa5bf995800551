"""The door to the Prefect server: what it needs is asked for, and what goes wrong there is one sentence."""

from __future__ import annotations

import importlib.metadata
import os

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.deploy.deployments import DeploymentPlan


def find_server_problem() -> str:
    """Return why a Prefect server of this environment would not do its work; "" if it would."""
    version = importlib.metadata.version("sqlalchemy")
    if tuple(map(int, version.split(".")[:2])) >= (2, 1):
        return (
            f"SQLAlchemy {version} is installed, with which the server of Prefect 3.8 starts no scheduled run: run "
            "`pip install 'sqlalchemy<2.1'`."
        )
    return ""


def deploy_plan(config: Config, plan: DeploymentPlan) -> list[str]:
    """Bring a project's deployments to the server of PREFECT_API_URL; return a line for each change.

    Raises:
        CurateError: The server cannot be reached or refuses something, or Prefect is not installed.
    """
    require_extra("flows", "prefect", purpose="Deploying")
    import httpx
    from prefect.client.orchestration import get_client

    from curate.deploy.server_changes import apply_plan

    address = os.environ.get("PREFECT_API_URL", "")
    try:
        with get_client(sync_client=True) as client:
            return list(apply_plan(client, config, plan))
    except httpx.HTTPStatusError as error:
        reason = error.response.text[:300]
        raise CurateError(
            f"The Prefect server at {address} refused a change ({error.response.status_code}): {reason}"
        ) from error
    except httpx.HTTPError as error:
        raise CurateError(
            f"The Prefect server at {address} cannot be reached ({type(error).__name__}): start it, or correct "
            "PREFECT_API_URL."
        ) from error


def is_worker_online(pool: str, worker: str) -> bool:
    """Tell whether the server of PREFECT_API_URL has heard of a worker."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return any(known.name == worker for known in client.read_workers_for_work_pool(pool))
