"""The stage `report` as a Prefect flow."""

from __future__ import annotations

from prefect import flow

from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
from curate.deploy.section_changes import ReportChanges
from curate.lake.runs import Summary
from curate.pipeline.curation import write_report_if_installed


@flow(name="report", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def report(config: str = "curate.yaml", options: ReportChanges | None = None) -> list[Summary]:
    """Write the report, if the lake has changed.

    Args:
        config: Path of curate.yaml.
        options: Options of `report` that are others in this run.
    """
    with open_project(config, "report", {"report": options}) as project:
        return project.do_stage("report", lambda lake: write_report_if_installed(lake, project.config))
