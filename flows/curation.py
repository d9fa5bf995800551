"""The whole chain as a Prefect flow, for a server, a worker or a schedule.

It is `curate.pipeline.curation` with stages as tasks, and for judging chunks of prompts: a task costs tens of
milliseconds. `curate deploy` brings it to a server. Its entry point is `flows/curation.py:curation` in a checkout, and
`curate.flows.curation.curation` where the package is installed.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import deployment
from prefect.states import Completed

from curate.config.project import load_config
from curate.core.progress import progress_bars
from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
from curate.deploy.run_lock import hold_run_lock
from curate.deploy.section_changes import (
    AggregateChanges,
    EvaluateChanges,
    JudgeChanges,
    ReportChanges,
    TrainChanges,
)
from curate.lake.runs import Summary
from curate.pipeline.curation import run_curation


@flow(name="curation", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def curation(
    config: str = "curate.yaml",
    judge: JudgeChanges | None = None,
    aggregate: AggregateChanges | None = None,
    train: TrainChanges | None = None,
    evaluate: EvaluateChanges | None = None,
    report: ReportChanges | None = None,
) -> list[Summary] | State[list[Summary]]:
    """Run all stages, from ingest to report; what is done already is skipped.

    A run of a deployment ends at once if another one of this project is at work.

    Args:
        config: Path of curate.yaml.
        judge: Options of `judge` that are others in this run; those below: of their sections.
        aggregate: Options of `aggregate`.
        train: Options of `train`.
        evaluate: Options of `evaluate`.
        report: Options of `report`.
    """
    changes = {
        "judge": judge, "aggregate": aggregate, "train": train, "evaluate": evaluate, "report": report
    }  # fmt: skip
    with hold_run_lock(load_config(Path(config))) as is_alone:
        if not is_alone and deployment.id is not None:
            return Completed(name="Skipped", message="Another run of this project is at work.", data=[])
        with open_project(config, "curation", changes) as project:
            return run_curation(
                project.lake,
                project.config,
                track=progress_bars,
                call_stage=project.call_stage,
                ask_chunk=project.ask_chunk,
            )
