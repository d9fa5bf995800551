"""The stage `aggregate` as a Prefect flow."""

from __future__ import annotations

from prefect import flow

from curate.aggregate import aggregate_judgments
from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
from curate.deploy.section_changes import AggregateChanges
from curate.lake.runs import Summary


@flow(name="aggregate", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def aggregate(config: str = "curate.yaml", options: AggregateChanges | None = None) -> list[Summary]:
    """Compute the labels from the judgments.

    Args:
        config: Path of curate.yaml.
        options: Options of `aggregate` that are others in this run.
    """
    with open_project(config, "aggregate", {"aggregate": options}) as project:
        return project.do_stage("aggregate", lambda lake: aggregate_judgments(lake, project.config))
