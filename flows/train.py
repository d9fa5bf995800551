"""The stage `train` as a Prefect flow."""

from __future__ import annotations

from prefect import flow

from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
from curate.deploy.section_changes import TrainChanges
from curate.lake.runs import Summary
from curate.pipeline.train import train_on_panel


@flow(name="train", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def train(config: str = "curate.yaml", options: TrainChanges | None = None) -> list[Summary]:
    """Train the reward model on the labels of the panel.

    Args:
        config: Path of curate.yaml.
        options: Options of `train` that are others in this run.
    """
    with open_project(config, "train", {"train": options}) as project:
        return project.do_stage("train", lambda lake: train_on_panel(lake, project.config))
