"""The whole chain as a Prefect flow, for a server, a worker or a schedule.

It is `curate.pipeline.curation` with stages as tasks.

Every stage finds out by itself what is left to do, so a flow run that was killed is simply run again.
Tasks are stages, and for judging chunks of prompts: a task costs tens of milliseconds.
A deployment's entry point is `flows/curation.py:curation` in a checkout, and `curate.flows.curation.curation` where the
package is installed.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from curate.config.project import load_config
from curate.core.log_scrubbing import install_log_scrubber, scrub_errors
from curate.core.progress import progress_bars
from curate.judge import answer_chunk
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.pipeline.curation import StageWork, call_stage, run_curation

install_log_scrubber()  # a worker imports this file, not the command line

# Tasks that are called, not submitted, run in the flow's own thread, so they share its lake.
# Prefect stores the errors of tasks and flows in its database: they leave each without secrets.
stage_task = task(cache_policy=NO_CACHE)(scrub_errors()(call_stage))
chunk_task = task(name="judge chunk", cache_policy=NO_CACHE)(scrub_errors()(answer_chunk))


def call_stage_as_task(name: str, work: StageWork, lake: Lake) -> Summary:
    """Do the work of a stage as a Prefect task of its name."""
    return stage_task.with_options(name=name)(name, work, lake)


@flow(name="curation")
@scrub_errors()
def curation(config: str = "curate.yaml") -> list[Summary]:
    """Ingest → judge → aggregate → train → judge with the trained model → aggregate → export → evaluate → report."""
    settings = load_config(Path(config))
    with Lake.open(settings.location) as lake:
        return run_curation(
            lake, settings, track=progress_bars, call_stage=call_stage_as_task, ask_chunk=chunk_task
        )
