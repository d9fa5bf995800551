"""The stage `judge` as a Prefect flow: a task for each chunk of questions."""

from __future__ import annotations

from prefect import flow

from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
from curate.deploy.section_changes import JudgeChanges
from curate.judge import judge_responses
from curate.lake.runs import Summary


@flow(name="judge", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def judge(
    config: str = "curate.yaml",
    options: JudgeChanges | None = None,
    only: list[str] | None = None,
    limit: int | None = None,
) -> list[Summary]:
    """Ask the panel all that it has not been asked yet.

    Args:
        config: Path of curate.yaml.
        options: Options of `judge` that are others in this run.
        only: Names of the judges to ask; none: all.
        limit: Number of prompts, the first ones; none: all.
    """
    with open_project(config, "judge", {"judge": options}) as project:
        return project.do_stage(
            "judge",
            lambda lake: judge_responses(
                lake, project.config, only=only, limit=limit, ask_chunk=project.ask_chunk
            ),
        )
