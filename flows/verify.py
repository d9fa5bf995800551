"""The two-stage loop as a Prefect flow, for a server or a schedule.

It is `curate.pipeline.verification_loop` with steps as tasks.

Where people's answers are wanted a flow run ends, with a state that says how many; the next run goes on with them.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from curate.config.project import load_config
from curate.core.log_scrubbing import install_log_scrubber, scrub_errors
from curate.core.progress import progress_bars
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.pipeline.curation import StageWork, call_stage
from curate.pipeline.verification_loop import LoopRun, run_verification_loop

install_log_scrubber()  # a worker imports this file, not the command line

# Tasks that are called, not submitted, run in the flow's own thread, so they share its lake.
# Prefect stores the errors of tasks and flows in its database: they leave each without secrets.
step_task = task(cache_policy=NO_CACHE)(scrub_errors()(call_stage))


def call_step_as_task(name: str, work: StageWork, lake: Lake) -> Summary:
    """Do the work of a step as a Prefect task of its name."""
    return step_task.with_options(name=name)(name, work, lake)


@flow(name="verification")
@scrub_errors()
def verification(config: str = "curate.yaml") -> State[LoopRun]:
    """Go on with the loop until people are wanted, or it is done."""
    settings = load_config(Path(config))
    with Lake.open(settings.location) as lake:
        run = run_verification_loop(lake, settings, track=progress_bars, call_stage=call_step_as_task)
    name = "WaitingForPeople" if run.state.waiting else "Completed"
    return Completed(name=name, message=str(run.state), data=run)
