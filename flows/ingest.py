"""The stage `ingest` as a Prefect flow."""

from __future__ import annotations

from prefect import flow

from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
from curate.ingest import ingest_sources
from curate.lake.runs import Summary


@flow(name="ingest", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def ingest(config: str = "curate.yaml") -> list[Summary]:
    """Take in the sources of curate.yaml, as far as they are not in the lake yet."""
    with open_project(config, "ingest") as project:
        return project.do_stage("ingest", lambda lake: ingest_sources(lake, project.config))
