"""`curate deploy`: bring the runs of `deploy` in curate.yaml to a Prefect server."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from curate.cli.documents import Deployed
from curate.cli.opening import load_config
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.prefect_flows import is_prefect_wanted, prepare_environment
from curate.core.errors import CurateError
from curate.core.terminal import print_line


def deploy_project(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the deployments, and change nothing.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Deployed:
    """Bring work pool, limits and deployments to the Prefect server of PREFECT_API_URL; print what changed."""
    from curate.deploy.deployments import plan_deployments

    settings = load_config(config)
    plan = plan_deployments(settings)
    changes: list[str] = []
    if dry_run:
        for deployment in plan.deployments:
            print_line(f"{deployment.full_name}: {deployment.schedule or 'on demand'}")
    else:
        if not is_prefect_wanted():
            raise CurateError(
                "PREFECT_API_URL is not set: name your Prefect server, such as http://127.0.0.1:4200/api, or start one "
                "with `curate up`."
            )
        prepare_environment(os.environ)
        from curate.deploy.server import deploy_plan

        changes = list(deploy_plan(settings, plan))
        for change in changes:
            print_line(change)
        if not changes:
            print_line(f"nothing to change: {len(plan.deployments)} deployments are as curate.yaml says")
    for sentence in plan.omitted:
        print_line(f"left out: {sentence}")
    schedules = {
        deployment.full_name: str(deployment.schedule) if deployment.schedule else None
        for deployment in plan.deployments
    }
    return Deployed(schedules, changes, list(plan.omitted))
