"""Runs whose process was killed: nobody tells the server, so it is told to take silence for a crash."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

SILENCE = timedelta(minutes=10)
"""Time without a heartbeat after which a run counts as crashed; a run sends one every three minutes."""
_ENDS = ("Completed", "Failed", "Crashed", "Cancelled", "Cancelling", "Suspended", "Paused")


def watch_dead_runs(client: SyncPrefectClient, project: str, tag: str) -> Iterator[str]:
    """Make the automation that marks dead runs of a project as crashed, if it is missing; yield a line if it was.

    Args:
        client: Client of the server.
        project: Name of the project.
        tag: Tag of its runs.
    """
    name = f"curate {project}: runs without a heartbeat have crashed"
    if client.read_automations_by_name(name):
        return
    client.create_automation(
        AutomationCore(
            name=name,
            trigger=EventTrigger(
                posture=Posture.Proactive,
                match={"prefect.resource.id": "prefect.flow-run.*"},
                match_related={"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"},
                for_each={"prefect.resource.id"},
                after={"prefect.flow-run.heartbeat"},
                expect={"prefect.flow-run.heartbeat", *(f"prefect.flow-run.{end}" for end in _ENDS)},
                threshold=1,
                within=SILENCE,
            ),
            actions=[
                ChangeFlowRunState(
                    state=StateType.CRASHED,
                    message="Its process sends no heartbeat; the next run takes it up.",
                )
            ],
        )
    )
    yield f"created automation: runs without a heartbeat for {SILENCE.seconds // 60} minutes have crashed"
