"""The stage `export` as a Prefect flow."""

from __future__ import annotations

from prefect import flow

from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
from curate.lake.runs import Summary
from curate.pipeline.export import export_labels


@flow(name="export", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def export(config: str = "curate.yaml") -> list[Summary]:
    """Write the data sets of curate.yaml."""
    with open_project(config, "export") as project:
        return project.do_stage("export", lambda lake: export_labels(lake, project.config))
