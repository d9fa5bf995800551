"""The stage `filter` as a Prefect flow."""

from __future__ import annotations

from prefect import flow

from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
from curate.filter import filter_items
from curate.lake.runs import Summary


@flow(name="filter", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def filter_texts(config: str = "curate.yaml") -> list[Summary]:
    """Decide what judges and exports leave out."""
    with open_project(config, "filter") as project:
        return project.do_stage("filter", lambda lake: filter_items(lake, project.config))
