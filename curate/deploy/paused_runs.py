"""Runs that are paused until people have answered."""

from __future__ import annotations

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import StateType
from prefect.flow_runs import resume_flow_run


def resume_paused_runs(flow: str, deployment: str) -> int:
    """Resume the paused runs of a deployment, and return how many there were.

    Args:
        flow: Name of the flow.
        deployment: Name of its deployment.
    """
    with get_client(sync_client=True) as client:
        paused = client.read_flow_runs(
            flow_filter=FlowFilter.model_validate({"name": {"any_": [flow]}}),
            deployment_filter=DeploymentFilter.model_validate({"name": {"any_": [deployment]}}),
            flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": [StateType.PAUSED]}}}),
        )
    for run in paused:
        resume_flow_run(run.id)
    return len(paused)
