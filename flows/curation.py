"""The whole chain as a Prefect flow, for a server, a worker or a schedule.

It is `curate.pipeline.curation` with stages as tasks, and for judging chunks of prompts: a task costs tens of
milliseconds. `curate deploy` brings it to a server. Its entry point is `flows/curation.py:curation` in a checkout, and
`curate.flows.curation.curation` where the package is installed.
"""

from __future__ import annotations

from prefect import flow

from curate.core.progress import progress_bars
from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
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
) -> list[Summary]:
    """Ingest → judge → aggregate → train → judge with the trained model → aggregate → export → evaluate → report.

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
    with open_project(config, "curation", **changes) as project:
        return run_curation(
            project.lake,
            project.config,
            track=progress_bars,
            call_stage=project.call_stage,
            ask_chunk=project.ask_chunk,
        )
