"""Questions to people as Prefect flows: the two-stage loop, and the pull of answers.

Where people's answers are wanted, a run of the loop that a deployment has started is suspended: it holds no worker,
shows as paused, and goes on when somebody resumes it, or when `verify-pull` has brought the last answer. A run from a
terminal ends, with a state that says how many questions wait; the next run goes on with them.
"""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.flow_runs import suspend_flow_run
from prefect.runtime import deployment
from prefect.states import Completed

from curate.core.progress import progress_bars
from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
from curate.deploy.names import get_project_name
from curate.deploy.paused_runs import resume_paused_runs
from curate.deploy.section_changes import VerifyChanges
from curate.lake.runs import Summary
from curate.pipeline.verification_loop import LoopRun, run_verification_loop
from curate.verify.loop import read_loop_state
from curate.verify.pull import pull_answers


@flow(name="verification", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def verification(config: str = "curate.yaml", options: VerifyChanges | None = None) -> State[LoopRun]:
    """Go on with the loop until people are wanted, or it is done.

    Args:
        config: Path of curate.yaml.
        options: Options of `verify` that are others in this run.
    """
    with open_project(config, "verification", {"verify": options}) as project:
        run = run_verification_loop(
            project.lake, project.config, track=progress_bars, call_stage=project.call_stage
        )
        seconds = round(project.config.deploy.wait_days * 86_400)
    if run.state.waiting and deployment.id is not None:
        # The key: once resumed, the same run may have to wait again, for the questions of the next turn.
        suspend_flow_run(timeout=seconds, key=f"turn-{len(run.state.turns)}-{run.state.waiting}")
    name = "WaitingForPeople" if run.state.waiting else "Completed"
    return Completed(name=name, message=str(run.state), data=run)


@flow(name="verify-pull", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def pull(config: str = "curate.yaml", everything: bool = False) -> list[Summary]:
    """Take in what people have answered, and let a loop go on that waited for the last of it.

    Args:
        config: Path of curate.yaml.
        everything: Look at every task, not only at those that changed.
    """
    with open_project(config, "verify-pull") as project:
        summaries = project.do_stage(
            "pull", lambda lake: pull_answers(lake, project.config, everything=everything)
        )
        waiting = read_loop_state(project.lake, project.config).waiting
    if not waiting:
        resume_paused_runs("verification", get_project_name(project.config))
    return summaries
