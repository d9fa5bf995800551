"""The stage `evaluate` as a Prefect flow."""

from __future__ import annotations

from prefect import flow

from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
from curate.deploy.section_changes import EvaluateChanges
from curate.lake.runs import Summary
from curate.pipeline.evaluate import evaluate_project


@flow(name="evaluate", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def evaluate(config: str = "curate.yaml", options: EvaluateChanges | None = None) -> list[Summary]:
    """Measure labels, judges and models against gold.

    Args:
        config: Path of curate.yaml.
        options: Options of `evaluate` that are others in this run.
    """
    with open_project(config, "evaluate", {"evaluate": options}) as project:
        return project.do_stage("evaluate", lambda lake: evaluate_project(lake, project.config))
